"""The connections of one HTTP client: idle ones are used again, the warmest first.

The HTTP library's pool looks at all of its connections and waiting requests whenever one begins
or ends, which with a thousand streams is most of the work there is. How many may run is decided
before (`_gate`), so that nothing waits here.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Protocol, cast

import httpcore2
import httpx2

from nbagents.models._network import Network

__all__ = ["PooledTransport"]


class PooledTransport(httpx2.AsyncHTTPTransport):
    """The HTTP library's transport, without a proxy, over our own connections.

    Args:
        tls: Which certificates are trusted.
        limits: How many idle connections are kept, and how long.
    """

    def __init__(self, tls: ssl.SSLContext, limits: httpx2.Limits) -> None:
        super().__init__(verify=tls)  # which makes a pool of its own, unused
        self._pool = cast(httpcore2.AsyncConnectionPool, _Pool(tls, limits))


class _Pool:
    """What the HTTP library's transport asks of a pool."""

    def __init__(self, tls: ssl.SSLContext, limits: httpx2.Limits) -> None:
        self._tls = tls
        self._keep_alive = limits.keepalive_expiry
        self._most_idle = limits.max_keepalive_connections or 0
        self._network = Network()
        self._idle: list[httpcore2.AsyncHTTPConnection] = []
        self._busy: set[httpcore2.AsyncHTTPConnection] = set()

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """Send a request over an idle connection, else a new one."""
        connection = await self._warm(request.url.origin) or self._new(request.url.origin)
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
        """Close all connections, also those in use."""
        self._most_idle = 0  # what is still connecting is not kept either
        kept = [*self._idle, *self._busy]
        self._idle.clear()
        for connection in kept:
            await connection.aclose()

    async def _warm(self, origin: httpcore2.Origin) -> httpcore2.AsyncHTTPConnection | None:
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

    def _new(self, origin: httpcore2.Origin) -> httpcore2.AsyncHTTPConnection:
        return httpcore2.AsyncHTTPConnection(
            origin,
            ssl_context=self._tls,
            keepalive_expiry=self._keep_alive,
            network_backend=self._network,
        )

    async def _release(self, connection: httpcore2.AsyncHTTPConnection) -> None:
        if connection not in self._busy:  # it was closed twice
            return
        self._busy.remove(connection)
        if connection.is_closed():
            return
        if _is_used_up(connection) and len(self._idle) < self._most_idle:
            self._idle.append(connection)
        else:
            await connection.aclose()


def _is_used_up(connection: httpcore2.AsyncHTTPConnection) -> bool:
    """Whether the response has ended, and nothing came behind its end.

    Whatever did would be taken for the answer to the next request.
    """
    if not connection.is_idle():
        return False
    http: Any = connection._connection
    return not http._h11_state.trailing_data[0]


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
