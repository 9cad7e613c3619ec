"""A deadline for one wait after the other, at the price of one timer.

``asyncio.timeout`` sets and clears a timer each time, which for every piece of a stream is a
fifth of all its work. Here a wait only notes when it has to end; the timer looks at the note.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ["Alarm", "AlarmRang"]

T = TypeVar("T")


class AlarmRang(Exception):  # noqa: N818 - not an error: whoever set the alarm says what it means
    """The wait was ended by its alarm."""


class Alarm:
    """Ends a wait when its time is up, or when told to.

    As with ``asyncio.timeout`` the waiting task is cancelled, and that cancellation taken back:
    a cancellation from elsewhere is passed on as what it is.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._until = 0.0
        self._rang = False

    async def wait(self, wanted: Awaitable[T], until: float) -> T:
        """Wait for ``wanted``, at most until the loop's clock shows ``until``.

        Raises:
            AlarmRang: It was not there in time, or `ring` was called.
        """
        task = self._task = asyncio.current_task()
        assert task is not None
        cancelling = task.cancelling()
        self._until, self._rang = until, False
        if self._timer is None or self._timer.when() > until:
            self._set(until)
        try:
            result = await wanted
        except BaseException as error:
            if not self._rang or task.uncancel() > cancelling:
                raise
            raise AlarmRang from error
        else:
            if self._rang:  # but the cancellation was swallowed
                task.uncancel()
            return result
        finally:
            self._task = None

    @property
    def rang(self) -> bool:
        """Whether it has ended the newest wait."""
        return self._rang

    def ring(self) -> bool:
        """End the wait now; return whether there is one."""
        if self._task is None:
            return False
        if not self._rang:
            self._rang = True
            self._task.cancel()
        return True

    def close(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, until: float) -> None:
        self.close()
        self._timer = None if until == float("inf") else self._loop.call_at(until, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._task is not None:
            if self._loop.time() >= self._until:
                self.ring()
            else:
                self._set(self._until)
