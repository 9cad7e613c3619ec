"""A turn runs on the private loop; the thread that waits for it does what only it may do.

In a cell that is the main thread: it displays, so that output lands in the right cell on every
kernel; it runs the synchronous tools, so that the user's code stays where the user's objects
live; and it answers the interrupt.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import time
from asyncio import CancelledError
from collections import deque
from collections.abc import AsyncIterable, Callable, Coroutine, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from nbagents.errors import NbAgentsError
from nbagents.notebook._engine import engine
from nbagents.notebook._interrupts import Interrupted, InterruptGuard

__all__ = ["call_on_main", "drive", "run"]

T = TypeVar("T")

HEARTBEAT = 0.05
"""Seconds between looks at pending signals, for systems where they do not end a wait."""
PATIENCE = 3.0
"""Seconds that a turn has to end after the interrupt, before it is left to itself."""
FAIRNESS = 64
"""Events after which a source that never waits lets the loop see its other tasks."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run ``coroutine`` to its end and return its result: from a cell, a callback, a script.

    It runs on nbagents' own event loop; the calling thread waits, and runs the synchronous
    tools that the coroutine needs. The kernel's interrupt cancels it.

    Raises:
        Interrupted: (a KeyboardInterrupt) after the kernel's interrupt.
        NbAgentsError: when called on that loop itself.
    """
    turn = _Turn(lambda: coroutine)
    try:
        with InterruptGuard() as guard:
            return turn.pump(guard)
    finally:
        if not turn.begun:
            coroutine.close()


def drive(
    source: Callable[[], AsyncIterable[T]],
    on_event: Callable[[T], None],
    *,
    due: Callable[[], float | None] = lambda: None,
    tick: Callable[[], None] = lambda: None,
    guard: InterruptGuard | None = None,
) -> None:
    """Iterate ``source()`` on the private loop and hand its events to the calling thread.

    Args:
        source: Makes the iterator; called on the loop, within the turn. It is closed whatever
            happens.
        on_event: Called in the calling thread, in order, with all that has come at once.
        due: The seconds until `tick` shall be called, None for not at all; asked after events.
        tick: Called when it is due.
        guard: The caller's, when the interrupt shall stay held after the events are through (to
            show what came); else `drive` has its own.

    Raises:
        Interrupted: (a KeyboardInterrupt) after the kernel's interrupt, when the turn has ended
            or `PATIENCE` has passed.
        Exception: whatever the iteration, ``on_event`` or ``tick`` raised; the turn has ended.
    """
    if guard is None:
        with InterruptGuard() as own:
            return drive(source, on_event, due=due, tick=tick, guard=own)
    turn = _Turn(lambda: _deliver(source))
    return turn.pump(guard, on_event, due, tick)


async def call_on_main(function: Callable[..., T], *args: object) -> T:
    """Call ``function`` in the thread that waits for this turn, and wait for its result.

    A turn that no thread waits for (a panel's) has it called on the kernel's main thread once
    that is free, or in a worker thread where there is no kernel.
    """
    call: _Call[T] = _Call(lambda: function(*args))
    inbox = _inbox.get()
    if inbox is not None and not inbox.closed:
        inbox.put(call, urgent=True)
    elif (kernel := _kernel()) is not None:
        kernel.io_loop.add_callback(_call_when_free, call)
    else:
        return await asyncio.to_thread(function, *args)
    return await call.outcome()


class _Inbox(Generic[T]):
    """What the loop has for the waiting thread: events, calls and the end, in order.

    While `dozing` the thread has work waiting for a later time anyway, so that an event does not
    wake it: a burst costs two wake-ups per tick instead of one per event.
    """

    def __init__(self) -> None:
        self.closed = False
        self.dozing = False
        self._items: deque[T | _Call[Any] | _End] = deque()
        # SimpleQueue is the one waiting place that a signal handler may also use.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._woken = False

    def put(self, item: T | _Call[Any] | _End, *, urgent: bool = False) -> None:
        self._items.append(item)
        if (urgent or not self.dozing) and not self._woken:
            self._woken = True
            self._wake.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until there is something to do, at most ``seconds``."""
        if self._items and not self.dozing:
            return
        with suppress(Empty):
            self._wake.get(timeout=max(seconds, 0))
        self._woken = False

    def take(self) -> Iterator[T | _Call[Any] | _End]:
        """What is there now; what comes meanwhile is for the next time."""
        for _ in range(len(self._items)):
            yield self._items.popleft()


class _End:
    """The turn's task is done: nothing follows."""


class _Turn(Generic[T]):
    """A coroutine as a task of the private loop, and the thread that waits for it."""

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.begun = False
        self._coroutine = begin
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._inbox: _Inbox[Any] = _Inbox()
        self._result: T | None = None
        self._error: BaseException = CancelledError()
        self._ended = False

    def pump(
        self,
        guard: InterruptGuard,
        on_event: Callable[[Any], None] = lambda event: None,
        due: Callable[[], float | None] = lambda: None,
        tick: Callable[[], None] = lambda: None,
    ) -> T:
        """Start the turn, serve it until it has ended, and return its result."""
        if engine().is_current:
            raise NbAgentsError(_DEADLOCK)
        # In this order: nothing is started that the interrupt would not stop.
        guard.hold(self.cancel)
        self._start()
        try:
            self._serve(guard, on_event, due, tick)
        except BaseException as error:
            self._stop()
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted from None
            raise
        finally:
            self._inbox.closed = True
        if guard.requested:
            raise Interrupted
        return self._outcome()

    def cancel(self) -> None:
        """Cancel the task; from any thread, also from a signal handler."""
        engine().loop.call_soon_threadsafe(self._cancel)

    def _start(self) -> None:
        context = contextvars.copy_context()
        context.run(_inbox.set, self._inbox)
        engine().loop.call_soon_threadsafe(self._begin, context=context)

    def _begin(self) -> None:
        if self._cancelled:
            self._inbox.put(_End(), urgent=True)
            return
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(lambda _: self._inbox.put(_End(), urgent=True))

    async def _run(self) -> None:
        # The error is kept rather than raised: KeyboardInterrupt and SystemExit would end the
        # loop, and a subclass of CancelledError would not come out as it went in.
        try:
            self.begun = True
            self._result = await self._coroutine()
            self._ended = True
        except BaseException as error:  # noqa: BLE001
            self._error = error

    def _cancel(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    def _serve(
        self,
        guard: InterruptGuard,
        on_event: Callable[[Any], None],
        due: Callable[[], float | None],
        tick: Callable[[], None],
    ) -> None:
        deadline = None
        while not self._handle(guard, on_event):
            delay = due()
            if delay is not None and delay <= 0:
                tick()
                self._inbox.dozing = False
                continue
            if guard.requested:
                deadline = deadline or time.monotonic() + PATIENCE
                if time.monotonic() > deadline:
                    return self.cancel()
            self._inbox.wait(HEARTBEAT if delay is None else min(delay, HEARTBEAT))
        return None

    def _handle(self, guard: InterruptGuard, on_event: Callable[[Any], None]) -> bool:
        """Do what is in the inbox; whether that was the last of it."""
        for item in self._inbox.take():
            if isinstance(item, _End):
                return True
            if isinstance(item, _Call):
                item.run(guard)
            else:
                on_event(item)
                self._inbox.dozing = True
        return False

    def _stop(self) -> None:
        """Cancel the turn and wait for its end; what it still has to say is dropped."""
        self.cancel()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if any(isinstance(item, _End) for item in self._inbox.take()):
                return
            self._inbox.dozing = False
            self._inbox.wait(HEARTBEAT)

    def _outcome(self) -> T:
        if not self._ended:
            raise self._error
        return self._result  # type: ignore[return-value]  # T may be None


class _Call(Generic[T]):
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
            with guard.raising():
                self._result = self._context.run(self._function)
        except Exception as error:  # noqa: BLE001  # it is raised where the result is awaited
            self._error = error
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


def _call_when_free(call: _Call[Any]) -> None:
    """Run ``call`` on the kernel's idle main thread; the interrupt cancels its turn."""
    with suppress(KeyboardInterrupt), InterruptGuard() as guard:
        guard.hold(call.cancel)
        call.run(guard)


async def _deliver(source: Callable[[], AsyncIterable[T]]) -> None:
    inbox = _inbox.get()
    assert inbox is not None
    events = source()
    try:
        count = 0
        async for event in events:
            inbox.put(event)
            count += 1
            if count % FAIRNESS == 0:
                await asyncio.sleep(0)
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


def _kernel() -> Any:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)


_inbox: contextvars.ContextVar[_Inbox[Any] | None] = contextvars.ContextVar("inbox", default=None)

_DEADLOCK = (
    "run() was called on nbagents' own event loop, where it would wait for itself for ever. "
    "`await` the coroutine there instead."
)
