"""A cell that awaits a request can be interrupted, also when nothing arrives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbagents.notebook._heartbeat import keep_interruptible
from tests.notebook.kernels import Cell, Kernel
from tests.support import Request, Server, silence, stream, text

SOON = 15.0
"""Seconds, on a machine that is busy with something else; else it would be for ever."""

SETUP = """
%load_ext nbagents
import asyncio, threading, nbagents
from nbagents import ChatAgent
from nbagents.models import OpenAIChatCompletionClient, UserMessage
client = OpenAIChatCompletionClient(model="gpt-4o", api_key="sk-of-the-test", max_retries=0)
messages = [UserMessage(content="Hello?", source="user")]
"""

RUNTIME = """
from nbagents import AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime
from nbagents import message_handler
class Asker(RoutedAgent):
    def __init__(self):
        super().__init__("asks a model")
    @message_handler
    async def ask(self, message: UserMessage, ctx: MessageContext) -> str:
        return (await client.create([message])).content
runtime = SingleThreadedAgentRuntime()
await Asker.register(runtime, "asker", Asker)
runtime.start()
"""

CREATE = "await client.create(messages)"
STREAM = "async for chunk in client.create_stream(messages):\n    print(chunk)"
ASK = "await ChatAgent(client).ask('Hello?')"
SEND = "await runtime.send_message(messages[0], AgentId('asker', 'me'))"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(silence()) as running:
        yield running


@pytest.fixture(scope="module")
def kernel(server: Server) -> Iterator[Kernel]:
    with Kernel(OPENAI_BASE_URL=server.base_url) as running:
        yield running


@pytest.fixture(autouse=True)
def as_at_the_start(request: pytest.FixtureRequest, server: Server) -> None:
    server.handlers = [silence()]
    if "kernel" in request.fixturenames:
        kernel: Kernel = request.getfixturevalue("kernel")
        assert kernel.run(SETUP).status == "ok"
        kernel.run("nbagents.ledger.clear()")


def interrupt_once_asked(kernel: Kernel, server: Server, code: str) -> tuple[Cell, float]:
    """Run a cell, interrupt it when its request has come; the cell, and how long it took."""
    asked = len(server.requests)
    running = kernel.start(code)
    request = next_request(server, asked)
    time.sleep(0.3)
    at = time.monotonic()
    kernel.interrupt()
    cell = kernel.wait(running)
    assert request.gone.wait(30)
    assert request.gone_at is not None
    return cell, request.gone_at - at


def until(something: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not something():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def next_request(server: Server, asked: int) -> Request:
    until(lambda: len(server.requests) > asked)
    return server.requests[asked]


@pytest.mark.kernel
@pytest.mark.parametrize("code", [CREATE, STREAM, ASK, SEND])
def test_an_interrupt_ends_the_request_at_once(kernel: Kernel, server: Server, code: str) -> None:
    assert kernel.run(RUNTIME).status == "ok"
    # Several in a row: an interrupt may come right after a beat, or right before.
    took = []
    for _ in range(5):
        cell, seconds = interrupt_once_asked(kernel, server, code)
        took.append(seconds)
        assert (cell.status, cell.reply["ename"]) == ("error", "CancelledError")
        (line,) = cell.reply["traceback"]
        assert line == (
            "CancelledError: the message was withdrawn, and what handled it stopped."
            if code == SEND
            else "CancelledError: the request was stopped, and its connection closed."
        )
    assert max(took) < SOON
    assert kernel.run("print(1 + 1)").text == "2\n"
    rows = kernel.run(
        "for row in nbagents.ledger.records:\n    print(row.status, row.estimated)"
    ).text
    assert rows.splitlines() == ["cancelled True"] * 5


@pytest.mark.kernel
def test_it_ends_a_stream_between_two_chunks_and_what_came_stays(
    kernel: Kernel, server: Server
) -> None:
    server.handlers = [stream(text("Once upon"), 30.0)]
    cell, took = interrupt_once_asked(kernel, server, STREAM)
    assert took < SOON
    assert cell.status == "error"
    assert cell.text == "Once upon\n"


@pytest.mark.kernel
def test_it_reaches_the_cell_that_loads_the_extension(server: Server) -> None:
    with Kernel(OPENAI_BASE_URL=server.base_url) as kernel:
        cell, took = interrupt_once_asked(kernel, server, SETUP + CREATE)
    assert cell.status == "error"
    assert took < SOON


@pytest.mark.kernel
def test_cells_run_by_the_cell_do_not_end_it(kernel: Kernel, server: Server) -> None:
    code = f"get_ipython().run_cell('1 + 1')\n{CREATE}"
    cell, took = interrupt_once_asked(kernel, server, code)
    assert cell.status == "error"
    assert took < SOON


BEATS = """
def beats():
    handles = [h for h in list(loop._scheduled) if not h.cancelled()]
    return sum("_Heart" in repr(h) for h in handles)

def look(found):
    end = time.monotonic() + 30
    while beats() and time.monotonic() < end:
        time.sleep(0.01)
    pathlib.Path(found).write_text(str(beats()))
"""


@pytest.mark.kernel
def test_nothing_runs_while_the_kernel_is_idle_or_when_the_extension_is_gone(
    kernel: Kernel, tmp_path: Path
) -> None:
    kernel.run("import pathlib, time\nloop = asyncio.get_running_loop()" + BEATS)
    assert kernel.run("await asyncio.sleep(0.3); print(beats())").text == "1\n"
    found = tmp_path / "found"
    kernel.run(f"threading.Thread(target=look, args=[{str(found)!r}]).start()")
    until(lambda: found.exists() and found.read_text())  # a cell would keep the heart beating
    assert found.read_text() == "0"
    kernel.run("%unload_ext nbagents")
    assert kernel.run("await asyncio.sleep(0.3); print(beats())").text == "0\n"
    assert kernel.run("print(get_ipython().events.callbacks['pre_run_cell'])").text == "[]\n"


def test_without_a_kernel_it_does_nothing() -> None:
    shell = InteractiveShell()
    before = {event: list(calls) for event, calls in shell.events.callbacks.items()}
    end = keep_interruptible(shell)
    assert shell.events.callbacks == before
    end()
