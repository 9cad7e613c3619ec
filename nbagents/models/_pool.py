"""The connections of one HTTP client: idle ones are used again, the warmest first.

The HTTP library's pool looks at all of its connections and waiting requests whenever one begins
or ends, which with a thousand streams is most of the work there is. How many may run is decided
before (`_gate`), so that nothing waits here.
"""

from __future__ import annotations

import ssl
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Protocol, Self, TypeAlias, cast

import httpcore2
import httpx2

from nbagents.models._network import Network

__all__ = ["PooledTransport"]

_Connection: TypeAlias = httpcore2.AsyncConnectionInterface


class PooledTransport(httpx2.AsyncHTTPTransport):
    """The HTTP library's transport over our own connections.

    Args:
        tls: Which certificates are trusted.
        limits: How many idle connections are kept, and how long.
        proxy: What stands before the servers, if anything does.
    """

    def __init__(
        self, tls: ssl.SSLContext, limits: httpx2.Limits, proxy: httpx2.Proxy | None = None
    ) -> None:
        super().__init__(verify=tls, proxy=proxy)  # which makes a pool of its own, unused
        make = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            proxy=None if proxy is None else _as_below(proxy),
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=Network(),
        ).create_connection
        most_idle = limits.max_keepalive_connections or 0
        self._pool = cast(httpcore2.AsyncConnectionPool, _Pool(make, most_idle))


def _as_below(proxy: httpx2.Proxy) -> httpcore2.Proxy:
    """A proxy as the library below takes it."""
    url, raw = proxy.url, proxy.url.raw_path
    return httpcore2.Proxy(
        httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=raw),
        auth=proxy.raw_auth,
        headers=proxy.headers.raw,
        ssl_context=proxy.ssl_context,
    )


class _Pool:
    """What the HTTP library's transport asks of a pool.

    Args:
        make: Makes a connection to a server; it connects with its first request.
        most_idle: How many idle connections are kept.
    """

    def __init__(self, make: Callable[[httpcore2.Origin], _Connection], most_idle: int) -> None:
        self._make = make
        self._most_idle = most_idle
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """Send a request over an idle connection, else a new one."""
        connection = await self._warm(request.url.origin) or self._make(request.url.origin)
        self._busy.add(connection)  # nothing is awaited in between, so that none is lost
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._release(connection)
            raise
        body = _Body(cast(_Stream, response.stream), partial(self._release, connection))
        return httpcore2.Response(
            response.status,
            headers=response.headers,
            content=body,
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections, also those in use, and though it be cancelled meanwhile."""
        self._most_idle = 0  # what is still connecting is not kept either
        kept = [*self._idle, *self._busy]
        self._idle.clear()
        cancelled: CancelledError | None = None
        for connection in kept:
            try:
                await connection.aclose()
            except CancelledError as error:  # one is closed before it waits
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _warm(self, origin: httpcore2.Origin) -> _Connection | None:
        """Take the idle connection that was used last; those that are of no use are closed."""
        while self._idle and self._idle[0].has_expired():
            await self._idle.pop(0).aclose()
        for connection in reversed(self._idle):
            if connection.can_handle_request(origin):
                self._idle.remove(connection)
                if not connection.has_expired():
                    return connection
                await connection.aclose()
        return None

    async def _release(self, connection: _Connection) -> None:
        if connection not in self._busy:  # it was closed twice
            return
        self._busy.remove(connection)
        if connection.is_closed():
            return
        if _is_used_up(connection) and len(self._idle) < self._most_idle:
            self._idle.append(connection)
        else:
            await connection.aclose()


def _is_used_up(connection: _Connection) -> bool:
    """Whether the response has ended, and nothing came behind its end.

    Whatever did would be taken for the answer to the next request. The HTTP library tells only in
    what is not public; where that is not found, no connection is kept.
    """
    http: Any = connection
    while http is not None and not hasattr(http, "_h11_state"):  # a proxy's has one within
        http = getattr(http, "_connection", None)
    return http is not None and connection.is_idle() and not http._h11_state.trailing_data[0]


class _Stream(Protocol):
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


class _Body:
    """A response's body, after which its connection serves another request."""

    def __init__(self, stream: _Stream, release: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._release = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            await self._release()
