"""The tour's runner, on notebooks of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyterlab_server.config import get_page_config
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.tour import own_copy, quiet

RUNNER = Path(__file__).with_name("tour.py")

pytestmark = pytest.mark.kernel


def start(folder: Path, *cells: nbformat.NotebookNode) -> subprocess.Popen[str]:
    nbformat.write(new_notebook(cells=list(cells)), folder / "small.ipynb")
    return subprocess.Popen(
        [sys.executable, str(RUNNER), "small.ipynb"],
        cwd=folder,
        env={**os.environ, "HEADLESS": "1", "COLUMNS": "60"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_cells_and_outputs_are_printed_and_kept(tmp_path: Path) -> None:
    prose = "# A title\n\nWords that are\nfolded where the window ends, which is at sixty columns."
    cells = [new_markdown_cell(prose), new_code_cell("print('one')\n6 * 7")]
    runner = start(tmp_path, *cells)
    printed, _ = runner.communicate(timeout=300)
    assert printed.splitlines() == [
        "# A title",
        "",
        "Words that are folded where the window ends, which is at",
        "sixty columns.",
        "",
        "> print('one')",
        "> 6 * 7",
        "  one",
        "  42",
        "",
        "Executed notebook: artifacts/small.ipynb",
        "HTML page:         artifacts/small.html",
    ]
    executed = nbformat.read(tmp_path / "artifacts/small.ipynb", as_version=4)
    assert [output.output_type for output in executed.cells[1].outputs] == [
        "stream",
        "execute_result",
    ]
    assert "A title" in (tmp_path / "artifacts/small.html").read_text(encoding="utf-8")
    assert runner.returncode == 0


def test_a_growing_output_is_printed_before_its_cell_ends(tmp_path: Path) -> None:
    source = (
        "import pathlib, time\n"
        "handle = display({'text/plain': 'first\\nsec'}, raw=True, display_id=True)\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.05)\n"
        "handle.update({'text/plain': 'first\\nsecond'}, raw=True)"
    )
    runner = start(tmp_path, new_code_cell(source))
    assert runner.stdout is not None
    with runner.stdout:
        while (line := runner.stdout.readline()) != "  first\n":
            assert line, "the runner ended before it printed the first line"
        (tmp_path / "go").touch()
        assert runner.stdout.readline() == "  second\n"
        runner.stdout.read()
    assert runner.wait(timeout=300) == 0


def test_lab_is_opened_on_a_copy_that_keeps_what_was_done_in_it(tmp_path: Path) -> None:
    notebooks = tmp_path / "notebooks"
    (notebooks / "cassettes").mkdir(parents=True)
    (notebooks / "first.ipynb").write_text("first")
    (notebooks / "cassettes/first.jsonl").write_text("recorded")
    copy = own_copy(notebooks / "first.ipynb", tmp_path / "tour")
    assert (copy, copy.read_text()) == (tmp_path / "tour/first.ipynb", "first")
    assert (tmp_path / "tour/cassettes/first.jsonl").read_text() == "recorded"
    copy.write_text("worked on")
    (notebooks / "second.ipynb").write_text("second")
    own_copy(notebooks / "first.ipynb", tmp_path / "tour")
    assert copy.read_text() == "worked on"
    assert (tmp_path / "tour/second.ipynb").read_text() == "second"
    assert (notebooks / "first.ipynb").read_text() == "first"


def test_lab_asks_nothing_about_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in quiet(tmp_path).items():
        monkeypatch.setenv(name, value)
    off = get_page_config([])["disabledExtensions"]
    assert "@jupyterlab/apputils-extension:announcements" in off


def test_a_failed_cell_stops_the_tour_and_is_shown(tmp_path: Path) -> None:
    runner = start(tmp_path, new_code_cell("1 / 0"), new_code_cell("print('never')"))
    printed, _ = runner.communicate(timeout=300)
    assert "The notebook stopped: ZeroDivisionError: division by zero" in printed
    assert "\x1b" not in printed
    assert "> print('never')" not in printed
    assert runner.returncode == 1
