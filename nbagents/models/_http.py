"""Our HTTP client below the SDK: deadlines, caps, redirects, and what a request left open."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import aclosing, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from nbagents.errors import ProtocolError, RequestTimeoutError
from nbagents.models._failures import is_quota_exhausted
from nbagents.models._requests import check_allowed
from nbagents.models._scheme import check_tls

if TYPE_CHECKING:
    import ssl

    import httpx2

    from nbagents.models._limits import Limits

__all__ = ["KEEP_ALIVE", "Progress", "http_client", "progress", "tls_context"]

KEEP_ALIVE = 180.0
"""Seconds an idle connection is kept. Azure's load balancers drop theirs without a word after
240 (Microsoft: "TCP reset and idle timeout"), the SDK's own 5 cost each cell a TLS handshake."""

_ERROR_BODY_SECONDS = 5.0
_MOST_REDIRECTS = 20
_GLANCES = 10  # by which the time to connect is measured


class Progress:
    """How far a request has come, told by the HTTP library's trace.

    Attributes:
        sent: Whether any of it was sent to the server.
        connecting: Whether this attempt has no connection yet.
    """

    def __init__(self) -> None:
        self.sent = False
        self.connecting = True
        self._bare: Any = None  # a connection that has not ended its TLS handshake

    async def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Take what the HTTP library tells."""
        if event.endswith("connect_tcp.complete"):
            self._bare = info["return_value"]
        elif event.endswith("start_tls.complete"):
            self._bare = None
        elif event.endswith("send_request_headers.started"):
            self._bare = None
            self.sent = True
            self.connecting = False

    async def abandon(self) -> bool:
        """Close what the HTTP library leaves open when it is cancelled in the TLS handshake.

        Return whether it was.
        """
        bare, self._bare = self._bare, None
        if bare is not None:
            with suppress(Exception):
                await bare.aclose()
        return bare is not None


progress: ContextVar[Progress | None] = ContextVar("nbagents_progress", default=None)
"""That of the request which is being sent."""


_tls: ssl.SSLContext | None = None


def tls_context() -> ssl.SSLContext:
    """The process's own: reading the certificates takes 30 ms and more."""
    global _tls
    if _tls is None:
        import httpx2

        _tls = httpx2.create_ssl_context()
    return _tls


def http_client(
    limits: Limits, transport: httpx2.AsyncBaseTransport | None = None
) -> httpx2.AsyncClient:
    """Make an HTTP client with our deadlines, caps and keep-alive.

    Args:
        limits: The deadlines and caps.
        transport: Answers instead of the network.
    """
    import httpx2

    class GuardedClient(httpx2.AsyncClient):
        """Holds each attempt to its deadline, and bounds what is read of an error."""

        async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            here = progress.get() or Progress()
            here.sent = here.sent or transport is not None
            here.connecting = transport is None
            request.extensions["trace"] = here.note
            try:
                return await self._send_in_time(request, options, here)
            except BaseException as error:
                await check_tls(error, request.url, in_handshake=await here.abandon())
                raise

        async def _send_in_time(
            self, request: httpx2.Request, options: dict[str, Any], here: Progress
        ) -> httpx2.Response:
            timeouts = dict(request.extensions.get("timeout", {}))
            # Our deadlines watch the reading; the client's would count each piece alone.
            first_byte, connect = timeouts.pop("read", None), timeouts.pop("connect", None)
            request.extensions["timeout"] = timeouts
            try:
                async with asyncio.timeout(first_byte) as deadline:
                    with _Patience(connect, here, deadline) as patience:
                        response = await self._send_within(request, options)
            except TimeoutError as error:
                if not deadline.expired():
                    raise
                raise _too_late(request, first_byte, patience) from error
            return await _bounded(response, limits) if response.is_error else response

        async def _send_within(
            self, request: httpx2.Request, options: dict[str, Any]
        ) -> httpx2.Response:
            """Follow redirects on the same server; their bodies, of any length, are not read."""
            for _ in range(_MOST_REDIRECTS):
                response = await super().send(request, **{**options, "follow_redirects": False})
                following = response.next_request
                if following is None:
                    return response
                await response.aclose()
                _check_redirect(request.url, following.url)
                request = following
            raise httpx2.TooManyRedirects(f"more than {_MOST_REDIRECTS} redirects", request=request)

    async def check(request: httpx2.Request) -> None:
        check_allowed(str(request.url))

    connections = httpx2.Limits(
        max_connections=1000, max_keepalive_connections=100, keepalive_expiry=KEEP_ALIVE
    )
    return GuardedClient(
        event_hooks={"request": [check] if transport is None else []},
        limits=connections,
        # What is for this machine is not for a proxy, whatever HTTP_PROXY says.
        mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
        timeout=httpx2.Timeout(None, connect=limits.connect, read=limits.first_byte),
        transport=_network(connections) if transport is None else transport,
        verify=tls_context() if transport is None else False,
    )


def _network(connections: httpx2.Limits) -> httpx2.AsyncBaseTransport | None:
    """Our own network; None, for the HTTP library's, where a proxy stands before it."""
    from urllib.request import getproxies

    if not {"http", "https", "all"}.isdisjoint(getproxies()):
        return None
    from nbagents.models._pool import PooledTransport

    return PooledTransport(tls_context(), connections)


def _too_late(request: httpx2.Request, first_byte: float | None, patience: _Patience) -> Exception:
    import httpx2

    if patience.over:
        return httpx2.ConnectTimeout("no connection", request=request)
    return RequestTimeoutError(
        f"{request.url.host} did not begin to answer within {first_byte:g} s. Try "
        "again, or allow more with limits=Limits(first_byte=...).",
        retryable=True,
    )


class _Patience:
    """Ends an attempt that has not connected in time, as the event loop has seen it.

    Counted in turns of a timer: seconds in which the loop was busy elsewhere, or the process had
    no processor, are no fault of the server's.

    Args:
        seconds: How long an attempt may connect; None for ever.
        here: Tells when it has.
        deadline: What to let run out.

    Attributes:
        over: Whether that has happened.
    """

    def __init__(self, seconds: float | None, here: Progress, deadline: asyncio.Timeout) -> None:
        self.over = False
        self._pause = None if seconds is None else seconds / _GLANCES
        self._here = here
        self._deadline = deadline
        self._glances = 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> _Patience:
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        if self._pause is not None and self._here.connecting:
            self._timer = asyncio.get_running_loop().call_later(self._pause, self._glance)

    def _glance(self) -> None:
        self._glances += 1
        if self._glances < _GLANCES:
            self._wait()
        elif self._here.connecting:
            self.over = True
            self._deadline.reschedule(asyncio.get_running_loop().time())


def _check_redirect(here: httpx2.URL, there: httpx2.URL) -> None:
    """Refuse to be led to another server: prompts and keys are for the one that was chosen.

    The HTTP library would drop the header Authorization and keep all others, and the prompt.
    """
    same = (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port)
    schemes, ports = (here.scheme, there.scheme), (here.port, there.port)
    to_tls = here.host == there.host and schemes == ("http", "https") and ports == (None, None)
    if same or to_tls:
        return
    check_allowed(str(there))
    raise ProtocolError(
        f"{here.host} redirects to another server, {there.scheme}://{there.netloc.decode()}, and "
        "nothing was sent there. If it is the right one, give its address as base_url."
    )


async def _bounded(response: httpx2.Response, limits: Limits) -> httpx2.Response:
    """Read an error's body up to its cap; what comes too late or broken is left out."""
    import httpx2

    limit, seconds = limits.error_bytes, min(_ERROR_BODY_SECONDS, limits.silence or math.inf)
    body = bytearray()
    with suppress(TimeoutError, httpx2.HTTPError, httpx2.StreamError):
        async with asyncio.timeout(seconds), aclosing(response.aiter_bytes()) as pieces:
            async for piece in pieces:
                body += piece
                if len(body) >= limit:
                    break
    await response.aclose()
    headers = httpx2.Headers(response.headers)
    for name in ("content-encoding", "content-length", "transfer-encoding"):
        headers.pop(name, None)
    if response.status_code == 429 and is_quota_exhausted(bytes(body)):
        headers["x-should-retry"] = "false"  # the SDK obeys it
    return httpx2.Response(
        response.status_code,
        headers=headers,
        content=bytes(body[:limit]),
        request=response.request,
        extensions=response.extensions,
    )
