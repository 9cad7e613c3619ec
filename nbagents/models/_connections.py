"""One object, an SDK client per event loop, and connections that stay warm.

An asynchronous HTTP connection belongs to the loop it was opened on. A notebook has several:
the kernel's, a private one, those of ``asyncio.run`` in a script. So each loop gets an SDK
client of its own when it first asks, and loses it, sockets closed, when the loop ends.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from nbagents.models._gate import Gate, most_at_once
from nbagents.models._logs import our_request, redact_logs
from nbagents.models._progress import Progress, progress
from nbagents.models._secrets import revealed

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

    from nbagents.models._limits import Limits

__all__ = ["Connections", "Place", "create_method", "import_sdk"]

Build = Callable[[], "AsyncOpenAI"]


@dataclass(slots=True)
class _Home:
    """What one event loop has.

    Attributes:
        client: The SDK client.
        keeper: Closes it with the loop.
        gate: How many requests may run.
        process: Where the loop runs; in a process that was forked from it, it stands still.
    """

    client: AsyncOpenAI
    keeper: AsyncGenerator[None]
    gate: Gate
    process: int = field(default_factory=os.getpid)


class Connections:
    """The SDK clients of one model client, one per event loop.

    Args:
        build: Makes an SDK client for the running loop.
        owned: Whether to close what ``build`` makes.
    """

    __slots__ = ("__weakref__", "_build", "_lock", "_of_loop", "_owned")

    def __init__(self, build: Build, *, owned: bool = True) -> None:
        self._build = build
        self._owned = owned
        self._lock = threading.Lock()
        self._of_loop: dict[asyncio.AbstractEventLoop, _Home] = {}

    async def enter(self) -> Place:
        """Wait until a request may run on the running loop, which most of the time is at once."""
        loop = asyncio.get_running_loop()
        home = self._of_loop.get(loop)
        if home is None:
            if not _imported:
                # In a thread: it may take a second, and the loop must hear a cancellation.
                await asyncio.to_thread(import_sdk)
            home = await self._open(loop)
        await home.gate.enter()
        return Place(home.client, home.gate, guarded=self._owned)

    async def close(self) -> None:
        """Close the connections of every loop; a later request opens new ones."""
        with self._lock:
            here = os.getpid()
            ours = [(loop, home) for loop, home in self._of_loop.items() if home.process == here]
            for loop, _ in ours:
                del self._of_loop[loop]
        for loop, home in ours:
            await _close_on(loop, home.keeper)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _Home:
        with self._lock:
            for ended in [each for each in self._of_loop if each.is_closed()]:
                del self._of_loop[ended]
            home = self._of_loop.get(loop)
            if home is not None:
                return home
            client = self._build()
            keeper = _keep(weakref.ref(self), loop, client if self._owned else None)
            home = self._of_loop[loop] = _Home(client, keeper, Gate(most_at_once()))
        await anext(keeper)
        return home

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._of_loop.pop(loop, None)


class Place:
    """Where one request runs; `leave` is owed.

    Args:
        client: The SDK client of the loop.
        gate: What it has been let through.
        guarded: Whether the HTTP client is ours, which tells how far a request has come.
    """

    __slots__ = ("_client", "_gate", "_guarded", "_progress")

    def __init__(self, client: AsyncOpenAI, gate: Gate, *, guarded: bool) -> None:
        self._client = client
        self._gate = gate
        self._guarded = guarded
        self._progress = Progress()

    @property
    def sent(self) -> bool:
        """Whether the server may have any of the request."""
        return self._progress.sent

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

        progress.set(self._progress)
        self._progress.sent = self._progress.sent or not self._guarded
        body = dict(arguments)
        options: dict[str, Any] = {
            "headers": revealed(body.pop("extra_headers", None)),
            "params": revealed(body.pop("extra_query", None)),
            "timeout": httpx2.Timeout(None, connect=limits.connect, read=limits.first_byte),
        }
        body |= body.pop("extra_body", None) or {}
        post: Any = self._client.post  # its options are typed by what is not public
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

    def leave(self) -> None:
        """Let another request run; the response is closed."""
        self._gate.leave()


async def _keep(
    owner: weakref.ref[Connections],
    loop: asyncio.AbstractEventLoop,
    client: AsyncOpenAI | None,
) -> AsyncGenerator[None]:
    """Wait for the end: a loop closes its asynchronous generators before it ends.

    It closes those that are garbage too, so the sockets also go with the model client.
    """
    try:
        yield
    finally:
        connections = owner()
        if connections is not None:
            connections._forget(loop)
        if client is not None:
            await client.close()


async def _close_on(loop: asyncio.AbstractEventLoop, keeper: AsyncGenerator[None]) -> None:
    """Close a loop's connections on that loop; one that stands still does it when it goes on."""
    if loop is asyncio.get_running_loop():
        await keeper.aclose()
    elif loop.is_running():
        with suppress(RuntimeError):
            closing = asyncio.run_coroutine_threadsafe(keeper.aclose(), loop)
            await asyncio.wrap_future(closing)


def create_method() -> Callable[..., Any]:
    """The SDK's method whose signature tells which create arguments there are."""
    from openai.resources.chat.completions import AsyncCompletions

    return AsyncCompletions.create


_imported = False


def import_sdk() -> None:
    """Import the SDK and read the certificates: a second's work, which any thread may do ahead."""
    import openai  # noqa: F401

    from nbagents.models._http import tls_context

    redact_logs()
    tls_context()
    global _imported
    _imported = True
