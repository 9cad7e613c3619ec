"""How many requests of one event loop run and begin at once, and which SDK client takes each.

The HTTP library's pool looks at all of its connections whenever one is taken or given back: with
a thousand streams that is most of the work there is. So requests are spread over small pools.
What is beyond the most that may run waits here, where no deadline counts it. And of many that
come at once a few begin at each turn of the loop, so that neither the streams under way nor the
connections being made have to wait until the last one has begun.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from nbagents._waits import waiting_for

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["MOST", "Lane", "Lanes", "most_at_once"]

MOST = 1000
"""Requests at once, as with the SDK's own pool; fewer where the process may open fewer files."""

_ABREAST = 8
"""Requests that begin at one turn of the loop; each takes some milliseconds of work."""
_WIDTH = 20
_KEPT = 5  # lanes whose idle connections stay warm; no others stay when their last request ends
_LEAST = 50
_OTHER_FILES = 128


class Lane:
    """An SDK client and how many requests run through it.

    Attributes:
        client: The SDK client.
        keeper: Closes it with the loop, see `Connections`.
        taken: How many requests run.
    """

    __slots__ = ("client", "keeper", "taken")

    def __init__(self, client: AsyncOpenAI, keeper: AsyncGenerator[None, None]) -> None:
        self.client = client
        self.keeper = keeper
        self.taken = 0


class Lanes:
    """The SDK clients of one event loop, used in its thread alone.

    Args:
        add: Makes a further SDK client; None where there is one for all, somebody else's.
        first: The first SDK client.
        most: How many requests may run at once.
    """

    def __init__(self, first: Lane, add: Callable[[], Lane] | None, most: int) -> None:
        self._add = add
        self._most = most
        self._lanes = [first]
        self._taken = 0
        self._begun = 0  # at this turn of the loop
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def all(self) -> list[Lane]:
        """The lanes there are."""
        return list(self._lanes)

    async def enter(self) -> Lane:
        """Wait until one more request may run, first come first served; return its lane."""
        if self._waiting or not self._has_room():
            await self._queue()
        else:
            self._begin()
        try:
            lane = await self._free()
        except BaseException:
            self._end()
            raise
        lane.taken += 1
        return lane

    async def leave(self, lane: Lane) -> None:
        """Give back what `enter` gave."""
        lane.taken -= 1
        self._end()
        if not lane.taken and lane in self._lanes[_KEPT:]:
            self._lanes.remove(lane)
            with suppress(RuntimeError):  # the whole client is being closed just now
                await lane.keeper.aclose()

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

    def _end(self) -> None:
        self._taken -= 1
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
                self._end()
            raise

    async def _free(self) -> Lane:
        """The first lane with room, so that a few requests share the same warm connections."""
        if self._add is None:
            return self._lanes[0]
        for lane in self._lanes:
            if lane.taken < _WIDTH:
                return lane
        lane = self._add()
        self._lanes.append(lane)
        await anext(lane.keeper)
        return lane


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
