"""What the replies of a conversation took together."""

from __future__ import annotations

from nbagents._mode import is_final
from nbagents.messages import CreateResult, RequestUsage
from nbagents.prices import in_dollars

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

    def add(self, result: CreateResult) -> None:
        """Count a reply."""
        cost = result.cost
        self._replies += 1
        self._usage += result.usage
        self._cost = None if cost is None or self._cost is None else self._cost + cost
        self._seconds += result.latency or 0.0

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
        return " · ".join(parts)
