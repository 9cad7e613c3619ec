"""The budgets a request has to keep: the process's, and those of the code that makes it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from nbagents.usage._budget import Budget, Reservation

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["budgets", "reserve", "set_budget", "within"]

_process: Budget | None = None
_inside: ContextVar[tuple[Budget, ...]] = ContextVar("nbagents_budgets", default=())


def set_budget(budget: Budget | None) -> None:
    """Hold every request of the process to ``budget``; None lifts it."""
    global _process
    _process = budget


@contextmanager
def within(budget: Budget) -> Iterator[Budget]:
    """Hold the requests made inside, and in tasks started inside, to ``budget`` as well."""
    token = _inside.set((*_inside.get(), budget))
    try:
        yield budget
    finally:
        # Closed in another context than it was started in: that one never had the budget.
        with suppress(ValueError):
            _inside.reset(token)


def budgets() -> tuple[Budget, ...]:
    """The budgets that hold here; the process's is first."""
    return (*(() if _process is None else (_process,)), *_inside.get())


def reserve(model: str, prompt_tokens: int, max_tokens: int | None = None) -> Reservation:
    """Set aside what a request may cost in every budget that holds here, or in none.

    Takes what `Budget.reserve` takes.

    Raises:
        BudgetExceededError: It would overspend one of them.
    """
    with ExitStack() as refused:
        made = [
            refused.enter_context(budget.reserve(model, prompt_tokens, max_tokens))
            for budget in budgets()
        ]
        refused.pop_all()
    return Reservation(*(reservation.settle for reservation in made))
