"""What the requests of a turn took, as the ledger counts them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbagents.usage import UsageRecord

__all__ = ["Spending"]


class Spending:
    """The ledger's records of the turn under way; each method is called in the turn's own task.

    What agents take that a tool asks is not among them: tools run in tasks of their own.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._records: list[UsageRecord] = []

    def begin(self) -> None:
        """A turn begins."""
        self._task, self._records = _current_task(), []

    def see(self, record: UsageRecord) -> None:
        """Keep a record if it is of the turn; the ledger tells of all, in whatever thread."""
        if self._task is not None and _current_task() is self._task:
            self._records.append(record)

    def end(self) -> list[UsageRecord]:
        """The turn is over; its records."""
        self._task = None
        return self._records


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return None
