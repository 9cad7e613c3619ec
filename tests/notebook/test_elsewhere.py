"""Chat cells where there is no JupyterLab: nbclient, papermill, terminal IPython, callbacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from nbagents.testing import LoopbackServer, chunk, error, stream

pytestmark = pytest.mark.kernel


@pytest.fixture
def server(loopback_server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> LoopbackServer:
    monkeypatch.setenv("OPENAI_BASE_URL", loopback_server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    return loopback_server


def _notebook(*cells: str) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_code_cell(cell) for cell in ("%load_ext nbagents", *cells)])


def _terminal(*cells: str) -> str:
    run = "; ".join(f"get_ipython().run_cell({cell!r})" for cell in cells)
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", run]
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("render", ["final", "live"])
def test_nbclient_leaves_the_same_output_live_and_final(
    server: LoopbackServer, render: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if render == "live":
        monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    server.will_reply("**Four.**")
    notebook = _notebook("%%chat\n2 + 2?")
    NotebookClient(notebook, timeout=300).execute()
    (output,) = notebook.cells[1].outputs
    assert set(output["data"]) == {"text/html", "text/markdown", "text/plain"}
    assert "<strong>Four.</strong>" in output["data"]["text/html"]
    assert "transient" not in output


def test_nbclient_stops_at_a_failed_reply(server: LoopbackServer) -> None:
    server.will_reply(error(400, "no such thing"))
    notebook = _notebook("%%chat\nHi", "never = 1")
    with pytest.raises(CellExecutionError, match="BadRequestError"):
        NotebookClient(notebook, timeout=300).execute()
    assert notebook.cells[2].execution_count is None


def test_papermill_runs_chat_cells(server: LoopbackServer, tmp_path: Path) -> None:
    server.will_reply("Ulm it is.")
    source, result = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    nbformat.write(_notebook("city = 'Ulm'", "%%chat\nIs it {city}?"), source)
    papermill.execute_notebook(source, result, kernel_name="python3", progress_bar=False)
    outputs = nbformat.read(result, 4).cells[2].outputs
    assert "Ulm it is." in outputs[0]["data"]["text/plain"]


def test_a_terminal_gets_the_text_once_and_a_line_of_usage(server: LoopbackServer) -> None:
    server.will_reply("Four \x1b[31mof course.")
    shown = _terminal("%load_ext nbagents", "%chat -m gpt-4o What is 2 + 2?")
    assert shown.count("Four") == 1
    assert "Four of course." in shown
    assert "gpt-4o" in shown
    assert "\x1b[31m" not in shown


def test_a_terminal_shows_json_without_a_fence_and_each_call(server: LoopbackServer) -> None:
    wanted = {"name": "add", "arguments": '{"a": 2}'}
    call = {"index": 0, "id": "1", "type": "function", "function": wanted}
    server.will_reply('{"four": 4}', stream(chunk(None, "tool_calls", tool_calls=[call])), "Four.")
    shown = _terminal(
        "%load_ext nbagents",
        "%chat -m gpt-4o --format json What is 2 + 2?",
        "def add(a: int) -> int:\n    'Add 2.'\n    return a + 2",
        "%chat adder --new -m gpt-4o --tools add What is 2 + 2?",
        "%usage",
    )
    assert '\n{"four": 4}\n' in f"\n{shown}"
    assert "(calls add(a=2))\nFour.\n" in shown
    assert "thinking" not in shown
    assert "completion_tokens" in shown


def test_a_terminal_says_that_a_panel_needs_a_notebook_and_what_to_use() -> None:
    shown = _terminal("%load_ext nbagents", "%chat_panel", "%chat_panel tutor")
    needs = "A panel is a widget: it needs a notebook, and this is none. Talk in lines:"
    assert f"{needs} %chat Hello, or a cell of %%chat." in shown
    assert f"{needs} %chat tutor Hello, or a cell of %%chat." in shown
    assert "Traceback" not in shown


def test_a_terminal_shows_a_mistake_in_one_line(server: LoopbackServer) -> None:
    shown = _terminal("%load_ext nbagents", "%chat --bogus hi")
    assert "There is no option --bogus" in shown
    assert "Traceback" not in shown
