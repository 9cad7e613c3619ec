"""``%cassette`` in real kernels: recorded against a server, replayed without server and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbagents.testing import LoopbackServer
from tests.notebook.kernels import Cell, Kernel

pytestmark = pytest.mark.kernel

CELLS = [
    "%%chat\nSay a number.",
    "%%chat\nSay another one.",
    "from nbagents.models import OpenAIChatCompletionClient, UserMessage\n"
    "client = OpenAIChatCompletionClient(model='gpt-4.1-mini')\n"
    "(await client.create([UserMessage(content='Say a number.', source='me')])).text",
    "from nbagents import ChatAgent\n"
    "(await ChatAgent(client, name='tutor').ask('Who are you?')).text",
    "client.total_usage()",
    "%usage\nimport nbagents\nnbagents.ledger",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def _kernel(**environment: str) -> Kernel:
    return Kernel(NBAGENTS_RENDER="final", NBAGENTS_REQUESTS="loopback", **environment)


def _recording(server: LoopbackServer) -> Kernel:
    return _kernel(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="sk-x")


def _begin(kernel: Kernel, folder: Path, line: str) -> Cell:
    kernel.run(f"%cd -q {folder}")
    kernel.run("%load_ext nbagents")
    return kernel.run(line)


def _shown(cell: Cell) -> str:
    return json.dumps([cell.status, cell.outputs], indent=1, sort_keys=True)


def test_all_that_a_kernel_asks_is_recorded_and_replayed_without_server_and_key(
    folder: Path,
) -> None:
    with LoopbackServer() as server:
        with _recording(server) as kernel:
            assert _begin(kernel, folder, "%cassette tour.jsonl").outputs == []
            live = [_shown(kernel.run(cell)) for cell in CELLS]
        asked = len(server.requests)
    assert asked >= 4
    assert '"error"' not in "".join(live)
    with _kernel() as kernel:
        assert _begin(kernel, folder, "%cassette tour --mode replay").outputs == []
        for _ in range(2):
            assert [_shown(kernel.run(cell)) for cell in CELLS[:4]] == live[:4]
            kernel.run("%cassette tour --mode replay")
            kernel.run("get_ipython().magics_manager.registry['ChatMagics'].conversations"
                       ".start_over()")  # fmt: skip
        frame = kernel.run("f = %cassette\nprint(*f.used, *f.prompt, sep='|')")
        assert "False|False|False|False|Say a number.|Say another one." in frame.text
        miss = kernel.run("%%chat\nSay a letter.")
        assert miss.status == "error"
        assert miss.reply["ename"] == "CassetteMissError"
        assert "-user: Say a number." in miss.reply["evalue"]
        assert "+user: Say a letter." in miss.reply["evalue"]


def test_a_replaying_kernel_shows_the_ledger_of_the_recording(folder: Path) -> None:
    with LoopbackServer() as server, _recording(server) as kernel:
        _begin(kernel, folder, "%cassette tour")
        live = [_shown(kernel.run(cell)) for cell in CELLS]
    with _kernel(NBAGENTS_MODE="replay") as kernel:
        _begin(kernel, folder, "%cassette tour --mode record")  # what the kernel was given wins
        assert [_shown(kernel.run(cell)) for cell in CELLS] == live


def test_wrong_lines_are_told_and_leave_nothing_in(folder: Path) -> None:
    (folder / "notes.jsonl").write_text("hello\n", encoding="utf-8")
    with _kernel() as kernel:
        _begin(kernel, folder, "")
        for line, said in [
            ("%cassette a.jsonl --fast", "does not know '--fast'"),
            ("%cassette a.jsonl --mode reply", "mode is 'reply'; it can be live"),
            ("%cassette notes.jsonl", "notes.jsonl is no cassette"),
            ("%cassette", "No cassette is in"),
        ]:
            cell = kernel.run(line)
            assert (cell.status, said in cell.reply["evalue"]) == ("error", True), cell.reply
        kernel.run("%cassette gone.jsonl --mode replay")
        miss = kernel.run("%%chat\nHi")
        assert miss.reply["ename"] == "CassetteMissError"
        assert "gone.jsonl does not exist" in miss.reply["evalue"]
        kernel.run("%cassette --off")
        assert "--real-time" in json.dumps(kernel.run("%cassette --help").outputs)
        variables = "import os; print([name for name in os.environ if name in SWITCHES])"
        kernel.run("SWITCHES = ('NBAGENTS_CASSETTE', 'NBAGENTS_MODE', 'NBAGENTS_REAL_TIME')")
        assert kernel.run(variables).text == "[]\n"
        kernel.run("%cassette b.jsonl")
        assert "NBAGENTS_CASSETTE" in kernel.run(variables).text
        kernel.run("%cassette --off")
        assert kernel.run(variables).text == "[]\n"
        kernel.run("%cassette b.jsonl")
        kernel.run("%unload_ext nbagents")
        assert kernel.run(variables).text == "[]\n"
