"""A turn runs on the private loop; the thread that waits for it does what only it may do.

In a cell that is the main thread: it displays, so that output lands in the right cell on every
kernel; it runs the synchronous tools, so that the user's code stays where the user's objects
live; and it answers the interrupt.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from asyncio import CancelledError
from collections.abc import AsyncIterable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from nbagents.errors import NbAgentsError
from nbagents.loop._calls import Call, End, Inbox, inbox_of_turn, run_calls
from nbagents.loop._engine import engine
from nbagents.loop._interrupts import Interrupted, InterruptGuard

__all__ = ["drive", "run"]

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
        tick: Called when it is due; and earlier where a call is about to take the thread, for
            what came before it.
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


class _Turn(Generic[T]):
    """A coroutine as a task of the private loop, and the thread that waits for it."""

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.begun = False
        self._coroutine = begin
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._told = False  # the task knows
        self._inbox: Inbox[Any] = Inbox()
        self._on_main = threading.current_thread() is threading.main_thread()
        self._untold = False  # there were events since the last tick
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
        # First, so that nothing is started that the interrupt would not stop, and so that it
        # does not raise where a lock is held.
        guard.hold(self.cancel)
        self._start()
        try:
            self._serve(guard, on_event, due, tick)
        except BaseException as error:
            guard.raising = False
            self._stop()
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted from None
            raise
        finally:
            self._inbox.close()
        if guard.requested:
            raise Interrupted
        return self._outcome()

    def cancel(self) -> None:
        """Cancel the task, once; from any thread, also from a signal handler."""
        self._cancelled = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel)

    def _start(self) -> None:
        self._loop = engine().loop
        context = contextvars.copy_context()
        context.run(inbox_of_turn.set, self._inbox)
        self._loop.call_soon_threadsafe(self._begin, context=context)

    def _begin(self) -> None:
        if self._cancelled:
            self._inbox.put(End(), urgent=True)
            return
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._inbox.put(End(), urgent=True))

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
        # A second cancellation would break into the closing of the stream.
        if self._task is not None and not self._told:
            self._told = True
            self._task.cancel()

    def _serve(
        self,
        guard: InterruptGuard,
        on_event: Callable[[Any], None],
        due: Callable[[], float | None],
        tick: Callable[[], None],
    ) -> None:
        deadline = None
        while not self._handle(guard, on_event, due, tick):
            delay = due()
            if delay is not None and delay <= 0:
                tick()
                self._untold = False
                continue
            if guard.requested:
                deadline = deadline or time.monotonic() + PATIENCE
                if time.monotonic() > deadline:
                    return
            self._inbox.dozing = self._untold and delay is not None
            self._inbox.wait(HEARTBEAT if delay is None else min(delay, HEARTBEAT))

    def _handle(
        self,
        guard: InterruptGuard,
        on_event: Callable[[Any], None],
        due: Callable[[], float | None],
        tick: Callable[[], None],
    ) -> bool:
        """Do what is in the inbox; whether that was the last of it."""
        if self._on_main:
            run_calls(guard)
        for item in self._inbox.take():
            if isinstance(item, End):
                return True
            if isinstance(item, Call):
                if self._untold and due() is not None:
                    tick()  # not once the call is through: it may ask about what has come
                    self._untold = False
                item.run(guard)
            else:
                on_event(item)
                self._untold = True
        return False

    def _stop(self) -> None:
        """Cancel the turn and wait for its end; what it still has to say is dropped."""
        self.cancel()
        self._inbox.dozing = False
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if any(isinstance(item, End) for item in self._inbox.take()):
                return
            self._inbox.wait(HEARTBEAT)

    def _outcome(self) -> T:
        if not self._ended:
            raise self._error
        return self._result  # type: ignore[return-value]  # T may be None


async def _deliver(source: Callable[[], AsyncIterable[T]]) -> None:
    inbox = inbox_of_turn.get()
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


_DEADLOCK = (
    "run() was called on nbagents' own event loop, where it would wait for itself for ever. "
    "`await` the coroutine there instead."
)
