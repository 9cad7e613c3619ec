"""Our HTTP client below the SDK: deadlines, caps and redirects."""

from __future__ import annotations

import asyncio
import math
import re
import ssl
from contextlib import aclosing, suppress
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import httpx2

from nbagents.errors import ProtocolError, RequestTimeoutError
from nbagents.models._failures import is_quota_exhausted
from nbagents.models._pool import PooledTransport
from nbagents.models._progress import Patience, Progress, progress
from nbagents.models._requests import check_allowed
from nbagents.models._scheme import check_tls

if TYPE_CHECKING:
    from nbagents.models._limits import Limits

__all__ = ["KEEP_ALIVE", "GuardedClient", "tls_context"]

KEEP_ALIVE = 180.0
"""Seconds an idle connection is kept. Azure's load balancers drop theirs without a word after
240 (Microsoft: "TCP reset and idle timeout"), the SDK's own 5 cost each cell a TLS handshake."""

_ERROR_BODY_SECONDS = 5.0
_MOST_REDIRECTS = 20
_ZONE = re.compile(r"%[^\]]*")
_CONNECTIONS = httpx2.Limits(
    max_connections=1000, max_keepalive_connections=100, keepalive_expiry=KEEP_ALIVE
)


@cache
def tls_context() -> ssl.SSLContext:
    """The process's own: reading the certificates takes 30 ms and more."""
    return httpx2.create_ssl_context()


class GuardedClient(httpx2.AsyncClient):
    """Holds each attempt to its deadline, and bounds what is read of an error.

    Args:
        limits: The deadlines and caps.
        transport: Answers instead of the network.
    """

    def __init__(self, limits: Limits, transport: httpx2.AsyncBaseTransport | None) -> None:
        self._bounds = limits
        self._networked = transport is None
        super().__init__(
            # None is kept: a server may put what it was sent into one, or tell by it who asks.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            event_hooks={"request": [_check] if self._networked else []},
            # What is for this machine is not for a proxy, whatever HTTP_PROXY says.
            mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
            limits=_CONNECTIONS,
            timeout=httpx2.Timeout(None, connect=limits.connect, read=limits.first_byte),
            transport=transport,
            verify=tls_context() if self._networked else False,
        )

    # The HTTP library asks these for what stands before a server, which it reads in HTTP_PROXY
    # and the like; should it ask others one day, it takes connections of its own.

    def _init_transport(self, *_: Any, **given: Any) -> httpx2.AsyncBaseTransport:
        return given.get("transport") or PooledTransport(tls_context(), _CONNECTIONS)

    def _init_proxy_transport(self, proxy: Any, *_: Any, **__: Any) -> httpx2.AsyncBaseTransport:
        return PooledTransport(tls_context(), _CONNECTIONS, proxy)

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request, as the SDK has prepared it."""
        here = progress.get() or Progress()
        here.sent = here.sent or not self._networked
        here.connecting = self._networked
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
                with Patience(connect, here, deadline) as patience:
                    response = await self._send_within(request, options)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise _too_late(request, first_byte, patience, here) from error
        return await _bounded(response, self._bounds) if response.is_error else response

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


async def _check(request: httpx2.Request) -> None:
    check_allowed(str(request.url))
    host = request.headers["host"]
    if "%" in host:  # by which of this machine's networks it is reached: RFC 6874, section 4
        request.headers["host"] = _ZONE.sub("", host)


def _too_late(
    request: httpx2.Request, first_byte: float | None, patience: Patience, here: Progress
) -> Exception:
    if patience.over:
        return httpx2.ConnectTimeout("no connection", request=request)
    what, advice = "did not begin to answer", "Try again"
    if here.connecting:
        what, advice = "could not be reached", "Check base_url, the network and its proxy"
    return RequestTimeoutError(
        f"{request.url.host} {what} within {first_byte:g} s. {advice}, or allow more with "
        "limits=Limits(first_byte=...).",
        retryable=True,
    )


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
    return _legible(
        httpx2.Response(
            response.status_code,
            headers=headers,
            content=bytes(body[:limit]),
            request=response.request,
            extensions=response.extensions,
        )
    )


def _legible(response: httpx2.Response) -> httpx2.Response:
    """The response as one that can be read, whatever charset it names: Python knows odd ones."""
    try:
        _ = response.text
    except (ValueError, LookupError, TypeError):  # such as idna and rot13
        response.encoding = "utf-8"
    return response
