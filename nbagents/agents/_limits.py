"""How long a turn may go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from nbagents.errors import ConfigurationError, TurnLimitError
from nbagents.usage import Budget, within

__all__ = ["TurnLimits", "TurnMeter"]

T = TypeVar("T")


@dataclass(frozen=True)
class TurnLimits:
    """What one turn of an agent may take, tools included.

    Attributes:
        rounds: How often the model may call tools, one after the other.
        calls: How many calls it may make in all.
        seconds: How long the turn may last; None for no limit.
        cost: What its requests may cost together, in USD; None for no limit.

    Raises:
        ConfigurationError: One is negative.
    """

    rounds: int = 25
    calls: int = 64
    seconds: float | None = None
    cost: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and value < 0:
                raise ConfigurationError(f"TurnLimits({name}=...) is 0 or more, not {value}.")


class TurnMeter:
    """Holds one turn to its limits."""

    def __init__(self, limits: TurnLimits) -> None:
        self._limits = limits
        self._rounds = self._calls = 0
        self._deadline = (
            None if limits.seconds is None else asyncio.get_running_loop().time() + limits.seconds
        )
        self._budget = (
            None if limits.cost is None else Budget(limits.cost, name="the turn's budget")
        )

    def count(self, calls: int) -> None:
        """Count a round of ``calls``.

        Raises:
            TurnLimitError: It is one too many.
        """
        self._rounds += 1
        self._calls += calls
        if self._rounds > self._limits.rounds:
            raise _exceeded("rounds", f"{self._limits.rounds:,} rounds of tool calls")
        if self._calls > self._limits.calls:
            raise _exceeded("calls", f"{self._limits.calls:,} tool calls")

    async def next(self, events: AsyncGenerator[T, None]) -> T | None:
        """The next event, in time and within the budget; None at the end.

        Raises:
            TurnLimitError: The turn has lasted too long.
            BudgetExceededError: A request would overspend.
        """
        return await self.wait(anext(events, None))

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait for something that belongs to the turn, under the same limits."""
        budget: AbstractContextManager[object] = (
            nullcontext() if self._budget is None else within(self._budget)
        )
        try:
            with budget:
                async with asyncio.timeout_at(self._deadline) as deadline:
                    return await awaitable
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise _exceeded("seconds", f"{self._limits.seconds:g} seconds") from error


def _exceeded(name: str, what: str) -> TurnLimitError:
    return TurnLimitError(
        f"The turn was stopped after {what}, and is undone. Ask for less at once, or allow more: "
        f"limits=TurnLimits({name}=...)."
    )
