"""Budgets: a request that would overspend is refused before it is sent."""

from __future__ import annotations

import math
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from nbagents.errors import BudgetExceededError
from nbagents.prices import cost_usd, in_dollars

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbagents.usage._ledger import UsageLedger

__all__ = ["ASSUMED_REPLY_TOKENS", "Budget", "Reservation"]

ASSUMED_REPLY_TOKENS = 1_000
"""How long a reply is taken to be where ``max_tokens`` does not say: some 750 English words."""

# USD: what sums of floats may be off by, and nobody minds.
_ROUNDING = 1e-9


class Budget:
    """A sum that requests may cost together, in USD.

    A request is checked before it is sent, at its estimated cost. What is estimated for
    requests under way is set aside, so that several at once cannot overspend together. Only a
    reply longer than estimated can: give ``max_tokens`` to rule that out.

    A model without a known price is refused. A budget is a promise that no more is spent, and a
    request that nobody can price may break it; who knows the price says so once, with
    `nbagents.prices.set_price` (0 for a model on the own machine).

    Args:
        limit: USD, 0 or more.
        ledger: Where to read what has been spent; without one the budget begins at 0 and counts
            the requests that it let through.
        name: What to call it in an error: "the cell's budget".
        advice: How to raise it, for an error: "%config ChatMagics.budget = 1.00".

    Raises:
        ValueError: The limit is negative or not finite.
    """

    def __init__(
        self,
        limit: float,
        *,
        ledger: UsageLedger | None = None,
        name: str = "the budget",
        advice: str = "",
    ) -> None:
        if not math.isfinite(limit) or limit < 0:
            raise ValueError(f"A budget is 0 or more USD, not {limit!r}.")
        self.limit = float(limit)
        self.name = name
        self._advice = advice or "raise the limit"
        self._ledger = ledger
        self._lock = Lock()
        self._own = 0.0
        self._reserved: list[float] = []

    @property
    def spent(self) -> float:
        """USD spent so far."""
        return self._own + (self._ledger.cost if self._ledger is not None else 0.0)

    @property
    def left(self) -> float:
        """USD that further requests may cost; below 0 when replies were longer than estimated."""
        return self.limit - self.spent - math.fsum(self._reserved)

    def reserve(self, model: str, prompt_tokens: int, max_tokens: int | None = None) -> Reservation:
        """Set aside what a request may cost.

        Args:
            model: The model's name.
            prompt_tokens: How many tokens the request holds, estimated.
            max_tokens: The longest reply asked for; None assumes `ASSUMED_REPLY_TOKENS`.

        Raises:
            BudgetExceededError: The request would overspend, or its price is not known.
        """
        reply = ASSUMED_REPLY_TOKENS if max_tokens is None else max_tokens
        estimate = cost_usd(model, prompt_tokens, reply)
        if estimate is None:
            raise BudgetExceededError(self._unpriced(model))
        with self._lock:
            if estimate and estimate - self.left > _ROUNDING:
                raise BudgetExceededError(self._overspent(model, estimate, prompt_tokens, reply))
            self._reserved.append(estimate)
        return Reservation(partial(self._settle, estimate))

    def __repr__(self) -> str:
        return f"<Budget: {in_dollars(self.spent)} of {in_dollars(self.limit)} spent>"

    def _settle(self, estimate: float, cost: float | None) -> None:
        if cost is not None and self._ledger is not None:
            cost = 0.0  # it is in the ledger
        with self._lock:
            self._reserved.remove(estimate)
            self._own += estimate if cost is None else cost

    def _unpriced(self, model: str) -> str:
        return (
            f"The price of {model} is not known, so {self.name} of {in_dollars(self.limit)} "
            f"cannot be kept. Give it one: nbagents.prices.set_price({model!r}, input=..., "
            "output=...) in USD per million tokens (0 for a model on your own machine)."
        )

    def _overspent(self, model: str, estimate: float, prompt: int, reply: int) -> str:
        under_way = ""
        if self._reserved:
            under_way = f", {in_dollars(math.fsum(self._reserved))} set aside for others under way"
        return (
            f"This request would overspend {self.name} of {in_dollars(self.limit)} by "
            f"{in_dollars(estimate - self.left)}: {in_dollars(self.spent)} spent{under_way}, "
            f"and it may cost {in_dollars(estimate)} ({model}, {prompt:,} tokens in, up to "
            f"{reply:,} out). Ask for a shorter reply, choose a cheaper model, or {self._advice}."
        )


class Reservation:
    """What is set aside for a request under way; leaving it as a context manager gives it back.

    Args:
        settle: What to call once with the cost.
    """

    def __init__(self, *settle: Callable[[float | None], None]) -> None:
        self._settle = settle

    def settle(self, cost: float | None) -> None:
        """Replace what was set aside by what the request cost; only the first call counts.

        Args:
            cost: USD. None, when nobody knows, counts the estimate as spent.
        """
        settle, self._settle = self._settle, ()
        for one in settle:
            one(cost)

    def release(self) -> None:
        """Give back what was set aside: the request was not sent."""
        self.settle(0.0)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
