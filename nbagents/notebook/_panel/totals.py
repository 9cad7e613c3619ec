"""What the replies of a conversation took together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbagents._mode import is_final
from nbagents.messages import CreateResult, RequestUsage
from nbagents.prices import in_dollars

if TYPE_CHECKING:
    from nbagents.usage import UsageRecord

__all__ = ["Totals"]


class Totals:
    """Adds up replies; as text one line, empty before the first.

    The seconds are left out where outputs are compared from run to run.
    """

    def __init__(self) -> None:
        self._replies = 0
        self._usage = RequestUsage(0, 0)
        self._cost: float | None = 0.0
        self._seconds = 0.0
        self._estimated: set[bool] = set()

    def add(self, result: CreateResult) -> None:
        """Count a reply."""
        self._replies += 1
        self._add(result.usage, result.cost, result.latency)
        self._estimated.add(result.usage.estimated)

    def add_broken_off(self, records: Sequence[UsageRecord]) -> None:
        """Count a reply that did not come to its end, by what the ledger has of its requests."""
        worked = [record for record in records if record.prompt_tokens is not None]
        self._replies += bool(worked)
        for record in worked:
            usage = RequestUsage(record.prompt_tokens or 0, record.completion_tokens or 0)
            self._add(usage, record.cost, record.seconds)
            self._estimated.add(record.estimated)

    def _add(self, usage: RequestUsage, cost: float | None, seconds: float | None) -> None:
        self._usage += usage
        self._cost = None if cost is None or self._cost is None else self._cost + cost
        self._seconds += seconds or 0.0

    def __str__(self) -> str:
        if not self._replies:
            return ""
        usage = self._usage
        parts = [
            f"{self._replies:,} {'reply' if self._replies == 1 else 'replies'}",
            f"{usage.prompt_tokens:,} → {usage.completion_tokens:,} tokens",
        ]
        if self._cost is not None:
            parts.append(in_dollars(self._cost))
        if self._seconds and not is_final():
            parts.append(f"{self._seconds:,.1f} s")
        if True in self._estimated:
            parts.append("partly estimated" if False in self._estimated else "estimated")
        return " · ".join(parts)
