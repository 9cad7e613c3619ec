"""What the replies of a conversation took together."""

from __future__ import annotations

from nbagents.messages import CreateResult, RequestUsage
from nbagents.prices import cost_usd, in_dollars

__all__ = ["Totals"]


class Totals:
    """Adds up replies; as text one line, empty before the first."""

    def __init__(self) -> None:
        self._replies = 0
        self._usage = RequestUsage(0, 0)
        self._cost: float | None = 0.0

    def add(self, result: CreateResult) -> None:
        """Count a reply."""
        usage = result.usage
        cost = cost_usd(
            result.model or "", usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
        )
        if result.cached:
            cost = 0.0
        self._replies += 1
        self._usage += usage
        self._cost = None if cost is None or self._cost is None else self._cost + cost

    def __str__(self) -> str:
        if not self._replies:
            return ""
        usage = self._usage
        parts = [
            f"{self._replies:,} {'reply' if self._replies == 1 else 'replies'}",
            f"{usage.prompt_tokens:,} → {usage.completion_tokens:,} tokens",
        ]
        if self._cost:
            parts.append(in_dollars(self._cost))
        return " · ".join(parts)
