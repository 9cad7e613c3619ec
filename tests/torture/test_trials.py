"""A tenth of each trial, from a fixed seed; what depends on the machine's speed is left out."""

from __future__ import annotations

import sys

import pytest

from tests.torture.__main__ import main
from tests.torture.figures import Figure, Scale
from tests.torture.running import UNTIMED, names, trial_named

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


def test_trials_that_are_not_timed_run_beside_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "json_files", "--share", "0.01", "--processes", "2"])
    assert main() == 0
    printed = capsys.readouterr().out
    assert printed.count("| json_files | took | ") == 1
    assert "No promises broken.\nAll of it took " in printed
    assert set(names()) > UNTIMED
