"""From the loop to the thread that waits for a turn: its events, its calls and its end."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from nbagents.loop._interrupts import InterruptGuard

__all__ = ["Call", "End", "Inbox", "call_on_main", "inbox_of_turn", "run_calls", "stands_still"]

T = TypeVar("T")


async def call_on_main(function: Callable[..., T], *args: object) -> T:
    """Call ``function`` in the thread that waits for this turn, and wait for its result.

    A turn that no thread waits for (a panel's) has it called on the kernel's main thread once
    that is free or waits for another turn, or in a worker thread where there is no kernel.
    """
    call: Call[T] = Call(lambda: function(*args))
    inbox = inbox_of_turn.get()
    if inbox is not None and not inbox.closed:
        inbox.put(call, urgent=True)
    elif (kernel := _kernel()) is not None:
        _for_main.append(call)
        kernel.io_loop.add_callback(_run_calls_when_free)
    else:
        return await asyncio.to_thread(function, *args)
    return await call.outcome()


def stands_still(loop: asyncio.AbstractEventLoop | None) -> bool:
    """Whether ``loop`` does nothing until this turn has ended, because its thread waits for it."""
    inbox = inbox_of_turn.get()
    while inbox is not None:
        if inbox.blocks is loop and loop is not None and not inbox.closed:
            return True
        inbox = inbox.outer
    return False


class End:
    """The turn's task is done: nothing follows."""


class Inbox(Generic[T]):
    """What the loop has for the waiting thread: events, calls and the end, in order.

    While `dozing` the thread has something to do at a later time anyway, so that an event does
    not wake it: a burst costs two wake-ups per tick instead of one per event.

    Attributes:
        blocks: The event loop of the waiting thread, which stands still meanwhile.
        outer: The inbox of the turn that this one is a part of.
    """

    def __init__(self) -> None:
        self.blocks = asyncio._get_running_loop()  # the public one raises where there is none
        self.outer = inbox_of_turn.get()
        self.closed = False
        self.dozing = False
        self._items: deque[T | Call[Any] | End] = deque()
        # SimpleQueue: the one place to wait in that a signal handler may also use.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._woken = False

    def put(self, item: T | Call[Any] | End, *, urgent: bool = False) -> None:
        """Add an item; an urgent one wakes the thread in any case."""
        self._items.append(item)
        if (urgent or not self.dozing) and not self._woken:
            self._woken = True
            self._wake.put(None)
        if self.closed:
            self.close()

    def wait(self, seconds: float) -> None:
        """Wait until there is something to do, at most ``seconds``."""
        if self._items and not self.dozing:
            return
        with suppress(Empty):
            self._wake.get(timeout=max(seconds, 0))
        self._woken = False

    def take(self) -> Iterator[T | Call[Any] | End]:
        """What is there now; what comes meanwhile is for the next time."""
        for _ in range(len(self._items)):
            yield self._items.popleft()

    def close(self) -> None:
        """Nobody takes anything any more: cancel the calls."""
        self.closed = True
        for item in self.take():
            if isinstance(item, Call):
                item.cancel()


class Call(Generic[T]):
    """A function that the loop wants called elsewhere, in the context of who wants it."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._context = contextvars.copy_context()
        self._loop = asyncio.get_running_loop()
        self._settled: asyncio.Future[None] = self._loop.create_future()
        self._result: T | None = None
        self._error: Exception | None = None

    def run(self, guard: InterruptGuard) -> None:
        """Call it, unless nobody waits any more. KeyboardInterrupt passes through."""
        if self._settled.cancelled():
            return
        try:
            guard.raising = True
            self._result = self._context.run(self._function)
        except Exception as error:  # noqa: BLE001  # it is raised where the result is awaited
            self._error = error
        finally:
            guard.raising = False
        self._loop.call_soon_threadsafe(self._settle)

    def cancel(self) -> None:
        """Cancel whoever waits for it; from any thread."""
        self._loop.call_soon_threadsafe(self._settled.cancel)

    async def outcome(self) -> T:
        """Wait for the result, or raise what the function raised."""
        await self._settled
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # T may be None

    def _settle(self) -> None:
        if not self._settled.done():
            self._settled.set_result(None)


def run_calls(guard: InterruptGuard) -> None:
    """Run what turns that no thread waits for have for the main thread, which calls this.

    It may be the one that the caller's own turn has to wait for.
    """
    while _for_main:
        call = _for_main.popleft()
        try:
            call.run(guard)
        except BaseException:
            call.cancel()
            raise


def _run_calls_when_free() -> None:
    """Run them on the kernel's idle main thread; the interrupt cancels the turn of the call."""
    while _for_main:
        call = _for_main.popleft()
        with suppress(KeyboardInterrupt), InterruptGuard() as guard:
            guard.hold(call.cancel)
            call.run(guard)


def _kernel() -> Any:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)


_for_main: deque[Call[Any]] = deque()

inbox_of_turn: contextvars.ContextVar[Inbox[Any] | None] = contextvars.ContextVar(
    "inbox_of_turn", default=None
)
