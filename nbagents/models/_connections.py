"""One object, an SDK client per event loop, and connections that stay warm.

An asynchronous HTTP connection belongs to the loop it was opened on. A notebook has several:
the kernel's, a private one, those of ``asyncio.run`` in a script. So each loop gets an SDK
client of its own when it first asks, and loses it, sockets closed, when the loop ends.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from nbagents.errors import ProtocolError, RequestTimeoutError
from nbagents.models._failures import is_quota_exhausted
from nbagents.models._lanes import Lane, Lanes, most_at_once
from nbagents.models._logs import our_request, redact_logs
from nbagents.models._requests import check_allowed
from nbagents.models._secrets import revealed

if TYPE_CHECKING:
    import ssl

    import httpx2
    from openai import AsyncOpenAI

    from nbagents.models._limits import Limits

__all__ = ["KEEP_ALIVE", "Connections", "Place", "create_method", "http_client", "import_sdk"]

KEEP_ALIVE = 180.0
"""Seconds an idle connection is kept. Azure's load balancers drop theirs without a word after
240 (Microsoft: "TCP reset and idle timeout"), the SDK's own 5 cost each cell a TLS handshake."""

_ERROR_BODY_SECONDS = 5.0
_MOST_REDIRECTS = 20

Build = Callable[[], "AsyncOpenAI"]


class Connections:
    """The SDK clients of one model client.

    Args:
        build: Makes an SDK client for the running loop.
        owned: Whether to close what ``build`` makes.
    """

    __slots__ = ("__weakref__", "_build", "_lock", "_of_loop", "_owned")

    def __init__(self, build: Build, *, owned: bool = True) -> None:
        self._build = build
        self._owned = owned
        self._lock = threading.Lock()
        self._of_loop: dict[asyncio.AbstractEventLoop, Lanes] = {}

    async def enter(self) -> Place:
        """Wait until a request may run on the running loop, which most of the time is at once."""
        loop = asyncio.get_running_loop()
        lanes = self._of_loop.get(loop)
        if lanes is None:
            # In a thread: it may take a second, and the loop must hear a cancellation.
            await asyncio.to_thread(import_sdk)
            lanes = await self._open(loop)
        return Place(lanes, await lanes.enter())

    async def close(self) -> None:
        """Close the connections of every loop; a later request opens new ones."""
        with self._lock:
            kept = list(self._of_loop.items())
            self._of_loop.clear()
        for loop, lanes in kept:
            for lane in lanes.all:
                await _close_on(loop, lane)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Lanes:
        with self._lock:
            for ended in [each for each in self._of_loop if each.is_closed()]:
                del self._of_loop[ended]
            lanes = self._of_loop.get(loop)
            if lanes is not None:
                return lanes
            first = _lane(self._build, self._owned, weakref.ref(self), loop)
            # Further ones must not hold this object, which ends them when it is let go.
            add = partial(_lane, self._build, self._owned) if self._owned else None
            lanes = self._of_loop[loop] = Lanes(first, add, most_at_once())
        await anext(first.keeper)
        return lanes

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._of_loop.pop(loop, None)


class Place:
    """Where one request runs; `leave` is owed."""

    __slots__ = ("_lane", "_lanes")

    def __init__(self, lanes: Lanes, lane: Lane) -> None:
        self._lanes = lanes
        self._lane = lane

    async def send(self, arguments: Mapping[str, Any], limits: Limits) -> httpx2.Response:
        """Send a request for a chat completion; return the response, its body unread.

        It goes through the SDK's ``post``. What its ``chat.completions.create`` does beside, to
        bring the arguments into the form they have already, costs more than all the rest.

        Args:
            arguments: The arguments of ``create``.
            limits: The deadlines; ``connect`` and ``first_byte`` are watched here.
        """
        import httpx2
        from openai import AsyncStream

        body = dict(arguments)
        options: dict[str, Any] = {
            "headers": revealed(body.pop("extra_headers", None)),
            "params": revealed(body.pop("extra_query", None)),
            "timeout": httpx2.Timeout(None, connect=limits.connect, read=limits.first_byte),
        }
        body |= body.pop("extra_body", None) or {}
        post: Any = self._lane.client.post  # its options are typed by what is not public
        with our_request():
            response = await post(
                "/chat/completions",
                cast_to=httpx2.Response,
                body=body,
                options={name: value for name, value in options.items() if value is not None},
                stream=True,
                stream_cls=AsyncStream[Any],
            )
        return cast("httpx2.Response", response)

    async def leave(self) -> None:
        """Let another request run; the response is closed."""
        await self._lanes.leave(self._lane)


def _lane(
    build: Build,
    owned: bool,
    owner: weakref.ref[Connections] | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Lane:
    """Make an SDK client; with the first one of a loop its ``owner`` forgets the loop."""
    client = build()
    return Lane(client, _keep(owner, loop, client if owned else None))


async def _keep(
    owner: weakref.ref[Connections] | None,
    loop: asyncio.AbstractEventLoop | None,
    client: AsyncOpenAI | None,
) -> AsyncGenerator[None, None]:
    """Wait for the end: a loop closes its asynchronous generators before it ends.

    It closes those that are garbage too, so the sockets also go with the model client.
    """
    try:
        yield
    finally:
        connections = owner() if owner is not None else None
        if connections is not None and loop is not None:
            connections._forget(loop)
        if client is not None:
            await client.close()


async def _close_on(loop: asyncio.AbstractEventLoop, lane: Lane) -> None:
    """Close a loop's connections on that loop; one that stands still does it when it goes on."""
    if loop is asyncio.get_running_loop():
        await lane.keeper.aclose()
    elif loop.is_running():
        with suppress(RuntimeError):
            closing = asyncio.run_coroutine_threadsafe(lane.keeper.aclose(), loop)
            await asyncio.wrap_future(closing)


def create_method() -> Callable[..., Any]:
    """The SDK's method whose signature tells which create arguments there are."""
    from openai.resources.chat.completions import AsyncCompletions

    return AsyncCompletions.create


# Some of it the SDK imports only when it is used, which would be on the event loop.
_NEEDED = (
    "openai",
    "anyio._backends._asyncio",
    "h11",
    "httpcore2",
    "httpx2",
)


def import_sdk() -> None:
    """Import the SDK and read the certificates: a second's work, which any thread may do ahead."""
    for name in _NEEDED:
        with suppress(ImportError):
            importlib.import_module(name)
    redact_logs()
    _tls_context()


_tls: ssl.SSLContext | None = None


def _tls_context() -> ssl.SSLContext:
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
            timeouts = dict(request.extensions.get("timeout", {}))
            # Our deadlines watch the reading; the client's would count each piece alone.
            first_byte = timeouts.pop("read", None)
            request.extensions["timeout"] = timeouts
            try:
                async with asyncio.timeout(first_byte) as deadline:
                    response = await self._send_within(request, options)
            except TimeoutError as error:
                if not deadline.expired():
                    raise
                raise RequestTimeoutError(
                    f"{request.url.host} did not begin to answer within {first_byte:g} s. Try "
                    "again, or allow more with limits=Limits(first_byte=...).",
                    retryable=True,
                ) from error
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

    return GuardedClient(
        event_hooks={"request": [check] if transport is None else []},
        limits=httpx2.Limits(
            max_connections=1000, max_keepalive_connections=100, keepalive_expiry=KEEP_ALIVE
        ),
        # What is for this machine is not for a proxy, whatever HTTP_PROXY says.
        mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
        timeout=httpx2.Timeout(None, connect=limits.connect, read=limits.first_byte),
        transport=transport,
        verify=_tls_context() if transport is None else False,
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
