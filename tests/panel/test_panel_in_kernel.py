"""The panel in a real kernel, whose front end is played by the protocol's own client."""

from __future__ import annotations

import time
from collections.abc import Iterator

import ipykernel
import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from tests.notebook.kernels import ROOT
from tests.panel.comms import PanelKernel
from tests.panel.mirror import Mirror

pytestmark = pytest.mark.kernel

SUBSHELLS = ipykernel.version_info[0] >= 7
needs_a_subshell = pytest.mark.skipif(
    not SUBSHELLS, reason="ipykernel 6 has no subshells: a panel's messages wait for the cell"
)
AT_ONCE = 5 * 0.2  # the promise, on a machine that is busy with something else

SETUP = """
%load_ext nbagents
import time
from nbagents import ChatAgent
from nbagents.messages import CreateResult, FunctionCall, RequestUsage
from nbagents.tools import FunctionTool
from tests.scripted import ScriptedClient

long = "word " * 2_000
client = ScriptedClient(*[long] * 20, pause=0.01)
tutor = ChatAgent(client, name="tutor")
"""
BUSY = ["time.sleep(2)", "end = time.monotonic() + 2\nwhile time.monotonic() < end: sum(range(99))"]


@pytest.fixture(scope="module")
def kernel() -> Iterator[PanelKernel]:
    with PanelKernel() as running:
        assert running.run(SETUP).status == "ok"
        yield running


@pytest.fixture
def panel(kernel: PanelKernel) -> Iterator[PanelKernel]:
    """A kernel with an open panel, whose messages run on a subshell as in JupyterLab, if it can."""
    kernel.open("tutor = ChatAgent(client, name='tutor')\npanel = tutor.panel()\npanel")
    if SUBSHELLS:
        kernel.make_subshell()
    yield kernel
    kernel.run("panel.close()")


@needs_a_subshell
@pytest.mark.parametrize("code", BUSY, ids=["sleep", "loop"])
def test_send_and_stop_work_while_a_cell_computes(panel: PanelKernel, code: str) -> None:
    cell = panel.start(code)
    time.sleep(0.2)
    asked = time.monotonic()
    panel.say({"kind": "send", "text": "go", "request": "r1"})
    assert panel.listen(lambda: bool(panel.of("acknowledged"))) - asked < AT_ONCE
    panel.listen(lambda: len(panel.of("blocks")) >= 5)
    asked = time.monotonic()
    panel.say({"kind": "stop"})
    assert panel.listen(lambda: panel.last("m2")["status"] == "cancelled") - asked < AT_ONCE
    assert not panel.is_idle(cell), "it has waited for the cell"
    panel.listen(lambda: panel.is_idle(cell))


def test_a_reply_goes_on_growing_while_a_cell_computes(panel: PanelKernel) -> None:
    panel.say({"kind": "send", "text": "go"})
    panel.listen(lambda: bool(panel.of("blocks")))
    cell = panel.start(BUSY[0])
    before = len(panel.of("blocks"))
    panel.listen(lambda: panel.is_idle(cell))
    assert len(panel.of("blocks")) - before > 20


def test_a_panel_is_painted_at_most_twenty_times_a_second(panel: PanelKernel) -> None:
    panel.say({"kind": "send", "text": "go"})
    panel.listen(lambda: bool(panel.of("blocks")))
    before, started = len(panel.of("blocks")), time.monotonic()
    panel.hear(2)
    painted = (len(panel.of("blocks")) - before) / (time.monotonic() - started)
    assert 0 < painted <= 20.5
    panel.say({"kind": "stop"})
    panel.listen(lambda: panel.last("m2")["status"] == "cancelled")
    mirror = Mirror()
    mirror.take(*panel.heard)
    assert mirror.messages[-1]["status"] == "cancelled"


def test_a_cell_and_a_panel_hold_one_conversation(panel: PanelKernel) -> None:
    panel.run("client.replies.insert(0, 'Yes')")
    cell = panel.start("%%chat tutor\nFrom a cell?")
    panel.listen(lambda: panel.last("m2")["status"] == "complete" and panel.is_idle(cell))
    assert [panel.last(each)["markdown"] for each in ("m1", "m2")] == ["From a cell?", "Yes"]
    panel.run("client.replies.insert(0, 'No')")
    panel.say({"kind": "send", "text": "From the panel?"})
    panel.listen(lambda: panel.last("m4")["status"] == "complete")
    assert "From the panel?" in panel.run("frame = %chat_history tutor\nprint(frame.content)").text


@needs_a_subshell
def test_a_synchronous_tool_waits_for_the_main_thread_and_the_panel_says_so(
    panel: PanelKernel,
) -> None:
    panel.run(
        "import threading\n"
        "def where() -> str:\n"
        "    'Where.'\n"
        "    return threading.current_thread().name\n"
        "call = FunctionCall(id='c1', name='where', arguments='{}')\n"
        "client.replies[:0] = [CreateResult(finish_reason='function_calls', content=[call],\n"
        "    usage=RequestUsage(1, 1), cached=False), 'Done']\n"
        "tutor.tools = ChatAgent(client, tools=[where]).tools\n"
    )
    cell = panel.start("time.sleep(1.5)")
    time.sleep(0.2)
    panel.say({"kind": "send", "text": "go"})
    panel.listen(lambda: any(busy["waiting_for"] for busy in panel.of("busy")))
    assert not panel.is_idle(cell)
    [said] = [busy["waiting_for"] for busy in panel.of("busy") if busy["waiting_for"]]
    assert said == "The kernel is busy: what needs it goes on when it is free."
    panel.listen(lambda: panel.last("m3")["status"] == "complete")
    assert panel.last("m2")["calls"][0]["result"] == "MainThread"
    panel.listen(lambda: panel.of("busy")[-1]["busy"] is False)
    assert panel.of("busy")[-1]["waiting_for"] is None


@needs_a_subshell
def test_a_message_that_attaches_waits_for_the_main_thread_and_comes_back(
    panel: PanelKernel,
) -> None:
    panel.run("data = [1, 2]")
    cell = panel.start("time.sleep(1.5)")
    time.sleep(0.2)
    panel.say({"kind": "send", "text": "@data?", "attach": ["data"], "request": "r1"})
    panel.listen(lambda: any(busy["waiting_for"] for busy in panel.of("busy")))
    assert not panel.is_idle(cell)
    [said] = [busy["waiting_for"] for busy in panel.of("busy") if busy["waiting_for"]]
    assert said == "The kernel is busy: your message waits for it."
    panel.listen(lambda: panel.last("w1")["status"] == "waiting")
    assert (panel.last("w1")["markdown"], panel.last("w1")["notes"]) == ("@data?", ["data"])
    assert not panel.is_idle(cell)
    panel.say({"kind": "stop"})
    panel.listen(lambda: panel.of("error"))
    assert panel.of("error")[-1]["request"] == "r1"
    panel.listen(lambda: panel.of("removed"))
    assert panel.of("removed")[-1]["ids"] == ["w1"]


def test_a_cell_that_waits_for_the_panel_runs_its_tools(panel: PanelKernel) -> None:
    cell = panel.run(
        "import threading\n"
        "def where() -> str:\n"
        "    'Where.'\n"
        "    return threading.current_thread().name\n"
        "call = FunctionCall(id='c1', name='where', arguments='{}')\n"
        "client.replies[:0] = [CreateResult(finish_reason='function_calls', content=[call],\n"
        "    usage=RequestUsage(1, 1), cached=False), 'Done']\n"
        "tutor.tools = ChatAgent(client, tools=[where]).tools\n"
        "panel.send('go')\n"
        "panel.wait()\n"
        "print(panel.value, panel.messages[1]['calls'][0]['result'])"
    )
    assert cell.text == "Done MainThread\n"


def test_below_the_view_stands_a_copy_that_is_kept_up_to_date(kernel: PanelKernel) -> None:
    cell = kernel.run("client.replies.insert(0, '**Yes**')\npanel = tutor.panel()\npanel")
    view, copy = cell.outputs
    assert set(view["data"]) == {"application/vnd.jupyter.widget-view+json", "text/plain"}
    assert view["data"]["text/plain"] == "ChatPanel('tutor')"
    later = kernel.run("panel.send('a')\npanel.wait()\ntime.sleep(1)")
    [update] = [
        content
        for content in later.of("update_display_data")
        if content["transient"]["display_id"] == copy["id"]
    ]
    assert "<strong>Yes</strong>" in update["data"]["text/html"]
    assert "**Yes**" in update["data"]["text/markdown"]
    kernel.run("panel.close()")


def test_a_page_that_has_not_seen_the_cell_run_gets_the_copy_by_the_panel(
    panel: PanelKernel,
) -> None:
    panel.run("client.replies[:0] = ['**Yes**', '**No**']")
    panel.say({"kind": "whole", "fresh": True})
    panel.say({"kind": "send", "text": "a"})
    panel.listen(lambda: panel.last("m2")["status"] == "complete")
    panel.say({"kind": "whole"})
    panel.hear(1)
    assert panel.of("copy") == []
    panel.say({"kind": "whole", "fresh": True})
    panel.listen(lambda: len(panel.of("copy")) == 1)
    panel.say({"kind": "send", "text": "b"})
    panel.listen(lambda: len(panel.of("copy")) == 2)
    first, second = (content["data"]["text/markdown"] for content in panel.of("copy"))
    assert ("**Yes**" in first, "**No**" in first) == (True, False)
    assert "**No**" in second


def test_the_magic_opens_the_notebooks_own_conversation(kernel: PanelKernel) -> None:
    kernel.run("%%chat\nWhat is a panel?")
    kernel.run("own = %chat_panel")
    cell = kernel.run("print([m['role'] for m in own.messages], own)\nown.close()")
    assert cell.text.startswith("['user', 'assistant'")
    assert "ChatPanel('chat')" in cell.text
    assert kernel.run("%chat_panel nobody").status == "error"
    named = kernel.run("p = %chat_panel tutor\nprint(p.agent is tutor)\np.close()")
    assert named.text == "True\n"


def test_a_notebook_that_was_run_shows_the_conversation() -> None:
    """As nbclient, papermill and Jupyter Book run it."""
    cells = [
        SETUP.replace("[long] * 20", "['**Yes**']"),
        "panel = tutor.panel()\npanel",
        "panel.send('Why?')\npanel.wait()\ntime.sleep(1)",
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    with PanelKernel.outside_of_pytest():
        folder = {"metadata": {"path": ROOT}}
        NotebookClient(notebook, timeout=60, kernel_name="python3", resources=folder).execute()
    _, copy = notebook.cells[1].outputs
    assert "<strong>Yes</strong>" in copy.data["text/html"]
    assert "Why?" in copy.data["text/markdown"]
    nbformat.validate(notebook)
