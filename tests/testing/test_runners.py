"""Cassettes under what runs notebooks: pytest-xdist, nbmake, papermill and nbclient."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbclient import NotebookClient

from nbagents.testing import LoopbackServer
from tests.testing.recorded import CELLS, connected

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.kernel

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def two(project: Path) -> Path:
    """The project with a second notebook, which has a cassette of its own."""
    shutil.copy(project / "tour.ipynb", project / "again.ipynb")
    shutil.copy(project / "cassettes/tour.jsonl", project / "cassettes/again.jsonl")
    return project


@pytest.fixture
def nbmake(run_pytest: Run) -> Run:
    """Run pytest with nbmake, where there is no nbval."""
    return lambda *options, **settings: run_pytest(
        "-p", "no:nbval", "--nbmake", *options, **settings
    )


def test_two_workers_keep_the_cells_of_a_notebook_together(two: Path, run: Run) -> None:
    run("-n", "2", "-W", "error::pytest.PytestWarning").assert_outcomes(passed=2 * len(CELLS))


def test_what_two_workers_recorded_is_told_at_the_end(two: Path, run: Run) -> None:
    shutil.rmtree(two / "cassettes")
    with LoopbackServer() as server:
        result = run("-n", "2", "--dist", "loadfile", "--nbagents-record", **connected(server))
    result.assert_outcomes(passed=2 * len(CELLS))
    result.stdout.fnmatch_lines_random(
        ["notebooks/cassettes/again.jsonl: 'Say a number.'", "4 replies recorded · *"]
    )


def test_nbmake_replays_the_cassette_of_the_notebook(project: Path, nbmake: Run) -> None:
    nbmake().assert_outcomes(passed=1)
    cassette = project / "cassettes/tour.jsonl"
    text = cassette.read_text(encoding="utf-8")
    cassette.write_text(text.replace("Say a number.", "Say no number."), encoding="utf-8")
    changed = nbmake()
    changed.assert_outcomes(failed=1)
    changed.stdout.fnmatch_lines(["*CassetteMissError*", "*+user: Say a number.*"])


def test_nbmake_records_what_is_missing_and_tells_of_what_nothing_asks_for(
    project: Path, nbmake: Run
) -> None:
    cassette = project / "cassettes/tour.jsonl"
    text = cassette.read_text(encoding="utf-8")
    cassette.write_text(text.replace("Say a number.", "Say no number."), encoding="utf-8")
    with LoopbackServer() as server:
        recording = nbmake("--nbagents-record", **connected(server))
    recording.assert_outcomes(passed=1, warnings=2)  # the record was changed by hand, too
    recording.stdout.fnmatch_lines(["*tour.jsonl, line *: 'Say no number.'*", "1 reply recorded*"])
    nbmake("--nbagents-strict").assert_outcomes(passed=1, errors=1)


def by_papermill(notebook: Path) -> Any:
    out = notebook.with_suffix(".out.ipynb")
    papermill.execute_notebook(
        notebook, out, cwd=notebook.parent, kernel_name="python3", progress_bar=False
    )
    return nbformat.read(out, as_version=4)


def by_nbclient(notebook: Path) -> Any:
    book = nbformat.read(notebook, as_version=4)
    resources = {"metadata": {"path": str(notebook.parent)}}
    return NotebookClient(book, resources=resources).execute()


@pytest.mark.parametrize("execute", [by_papermill, by_nbclient])
def test_a_notebook_shows_again_what_is_saved_in_it(
    execute: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """papermill and nbclient hand the settings on to the kernel."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setenv("NBAGENTS_CASSETTE", str(project / "cassettes/tour.jsonl"))
    monkeypatch.setenv("NBAGENTS_MODE", "replay")
    saved = nbformat.read(project / "tour.ipynb", as_version=4)
    executed = execute(project / "tour.ipynb")
    widget = len(CELLS) - 1
    assert [cell.outputs for cell in executed.cells[:widget]] == [
        cell.outputs for cell in saved.cells[:widget]
    ]
