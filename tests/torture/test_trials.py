"""A tenth of each trial, from a fixed seed; what depends on the machine's speed is left out."""

from __future__ import annotations

import pytest

from tests.torture.figures import Figure, Scale
from tests.torture.running import names, trial_named

A_TENTH = Scale(share=0.1, seed=1)


@pytest.mark.parametrize("name", names())
def test_a_tenth_of_it_breaks_no_promise(name: str) -> None:
    figures = list(trial_named(name)(A_TENTH))
    broken = [str(figure) for figure in figures if not figure.holds and not figure.timed]
    assert figures
    assert broken == []


@pytest.mark.parametrize(
    ("measured", "promised", "at_least", "holds"),
    [(1, 1, False, True), (2, 1, False, False), (1, 2, True, False), (2, 2, True, True)],
)
def test_a_figure_holds_within_its_bound(
    measured: float, promised: float, at_least: bool, holds: bool
) -> None:
    assert Figure("x", measured, promised, at_least=at_least).holds is holds
