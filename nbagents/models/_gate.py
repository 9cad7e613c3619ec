"""How many requests of one event loop run, and begin, at once.

What is beyond the most that may run waits here, where no deadline counts it. And of many that
come at once a few begin at each turn of the loop, so that neither the streams under way nor the
connections being made have to wait until the last one has begun.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections import deque
from contextlib import nullcontext

from nbagents._waits import waiting_for

__all__ = ["MOST", "Gate", "most_at_once"]

MOST = 1000
"""Requests at once, as with the SDK's own pool; fewer where the process may open fewer files."""

_ABREAST = 8
"""Requests that begin at one turn of the loop; each takes some milliseconds of work."""
_LEAST = 50
_OTHER_FILES = 128


class Gate:
    """Lets the requests of one event loop through, used in its thread alone.

    Args:
        most: How many may run at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._begun = 0  # at this turn of the loop
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait until one more request may run, first come first served."""
        if self._waiting or not self._has_room():
            await self._queue()
        else:
            self._begin()

    def leave(self) -> None:
        """Let another request run."""
        self._taken -= 1
        self._admit()

    def _has_room(self) -> bool:
        return self._taken < self._most and self._begun < _ABREAST

    def _begin(self) -> None:
        self._taken += 1
        self._begun += 1
        if self._begun == 1:
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._begun = 0
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            waiting = self._waiting.popleft()
            if not waiting.done():
                self._begin()
                waiting.set_result(None)

    async def _queue(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        ahead = self._taken + len(self._waiting)
        self._waiting.append(turn)
        try:
            with waiting_for(_FREE.format(self._most)) if ahead >= self._most else nullcontext():
                await turn
        except CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise


_FREE = "one of the {:,} connections that may be open at once"


def most_at_once() -> int:
    """`MOST`, or what the limit on open files leaves."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return MOST
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return MOST
    return max(_LEAST, min(MOST, files - _OTHER_FILES))
