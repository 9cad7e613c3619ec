"""How often a panel is painted: what changes within a twentieth of a second goes out at once."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

__all__ = ["Outbox"]

INTERVAL = 0.05
"""Seconds between two paints at least. Jupyter Server drops messages above 1,000 a second."""


class Outbox:
    """Calls ``paint`` soon after something has changed; on the loop that is running.

    Args:
        paint: Sends what has changed.
    """

    def __init__(self, paint: Callable[[], None]) -> None:
        self._paint = paint
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.TimerHandle | None = None
        self._painted_at = float("-inf")

    def changed(self) -> None:
        """Paint when it is time."""
        if self._due is None:
            at = max(self._painted_at + INTERVAL, self._loop.time())
            # In a context of nobody's: what is sent belongs to the cell that is running then,
            # and not to the one in which the conversation began.
            self._due = self._loop.call_at(at, self.flush, context=contextvars.Context())

    def flush(self) -> None:
        """Paint now."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._paint()
        self._painted_at = self._loop.time()
