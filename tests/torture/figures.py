"""What a trial is given, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Figure", "Scale", "Trial"]


@dataclass(frozen=True)
class Scale:
    """How much of a trial is run, and from which seed.

    Attributes:
        share: 1.0 is the whole, 0.1 the tenth that runs with the tests.
        seed: What everything random starts from.
    """

    share: float = 1.0
    seed: int = 0

    def of(self, whole: int, *, least: int = 1) -> int:
        """This share of so many."""
        return max(least, round(whole * self.share))


@dataclass(frozen=True)
class Figure:
    """One measured figure beside what is promised.

    Attributes:
        what: What was counted or measured, with the numbers that make it meaningful.
        measured: The figure.
        promised: What it may be at most, or at least.
        unit: ``"s"``, ``"MiB"``; empty for a count.
        at_least: Whether ``promised`` is the least instead of the most.
        timed: Whether it depends on how fast and how busy the machine is. The tests, which run
            on any machine, leave such figures to the whole run.
    """

    what: str
    measured: float
    promised: float
    unit: str = ""
    at_least: bool = False
    timed: bool = False

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        if self.at_least:
            return self.measured >= self.promised
        return self.measured <= self.promised

    @property
    def shown(self) -> str:
        """The figure with its unit."""
        return self._number(self.measured)

    @property
    def bound(self) -> str:
        """The promise in words."""
        if self.promised == 0 and not self.at_least:
            return "none"
        return f"{'at least' if self.at_least else 'at most'} {self._number(self.promised)}"

    def __str__(self) -> str:
        return f"{self.what}: {self.shown} (promised: {self.bound})"

    def _number(self, value: float) -> str:
        digits = f"{value:,.0f}" if value == round(value) else f"{value:,.3g}"
        return f"{digits} {self.unit}".strip()


Trial = Callable[[Scale], Iterator[Figure]]
