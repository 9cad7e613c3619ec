"""One turn at a time, first come first served, across event loops and threads."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from weakref import WeakKeyDictionary

from nbagents.errors import RuntimeStateError
from nbagents.loop import stands_still

__all__ = ["TurnLock", "turns_of"]


class _Turn:
    """Somebody's turn, and the locks that its tools wait for."""

    def __init__(self) -> None:
        self.waits_for: list[TurnLock] = []


# The turns whose tools are running here: a turn cannot wait for what waits for it.
_inside: ContextVar[tuple[_Turn, ...]] = ContextVar("nbagents_turns", default=())
_graph = threading.Lock()


class TurnLock:
    """A fair lock that tasks of different event loops may wait for: ``async with lock``.

    Raises:
        RuntimeStateError: Who asks works for the very turn it would have to wait for (a tool of
            an agent that asks the agent), or keeps the event loop of that turn waiting.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._turn: _Turn | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[tuple[Future[None], asyncio.AbstractEventLoop]] = deque()

    @property
    def held(self) -> bool:
        """Whether somebody has the turn."""
        return self._held

    async def __aenter__(self) -> None:
        inside = _inside.get()
        with _graph:
            if self._leads_to(inside):
                raise RuntimeStateError(
                    "This conversation is in the middle of a turn that waits for the one just "
                    "asked for, so neither could end. Ask another agent, with a context of its own."
                )
            for turn in inside:
                turn.waits_for.append(self)
        try:
            await self._acquire()
        finally:
            with _graph:
                for turn in inside:
                    turn.waits_for.remove(self)
        self._turn = _Turn()

    def _leads_to(self, turns: tuple[_Turn, ...]) -> bool:
        """Whether who has the lock waits, at however many removes, for one of ``turns``."""
        turn = self._turn
        if turn is None or not turns:
            return False
        return turn in turns or any(lock._leads_to(turns) for lock in turn.waits_for)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Mark that the turn waits for what runs inside: it must not ask for this lock."""
        assert self._turn is not None
        token = _inside.set((*_inside.get(), self._turn))
        try:
            yield
        finally:
            _inside.reset(token)

    async def _acquire(self) -> None:
        with self._mutex:
            loop = asyncio.get_running_loop()
            if not self._held:
                self._held, self._loop = True, loop
                return
            if any(map(stands_still, (self._loop, *(other for _, other in self._waiting)))):
                raise RuntimeStateError(_KEPT_WAITING)
            turn: Future[None] = Future()
            self._waiting.append((turn, loop))
        try:
            await asyncio.wrap_future(turn)
        except asyncio.CancelledError:
            # The turn may have been handed over in the very moment of the cancellation.
            if not turn.cancel():
                self._pass_on()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        self._turn = None
        with self._mutex:
            while self._waiting:
                turn, self._loop = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._held, self._loop = False, None


_KEPT_WAITING = (
    "A turn of this conversation runs on the event loop that would have to wait for the one just "
    "asked for, so neither could end. Await the first turn before, or `await agent.ask(...)` here."
)


_locks: WeakKeyDictionary[object, TurnLock] = WeakKeyDictionary()
_locks_mutex = threading.Lock()


def turns_of(context: object) -> TurnLock:
    """Return the lock of a conversation's context: agents that share one take turns."""
    with _locks_mutex:
        return _locks.setdefault(context, TurnLock())
