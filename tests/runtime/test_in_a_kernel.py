"""The runtime in a real kernel: cells that are interrupted, run again, and print."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from nbagents.testing import LoopbackServer, text
from tests.notebook.kernels import Kernel

pytestmark = pytest.mark.kernel

DEFINE = """
from dataclasses import dataclass
from nbagents import *
from nbagents.models import OpenAIChatCompletionClient, UserMessage

@dataclass
class Message:
    content: str

class Assistant(RoutedAgent):
    def __init__(self):
        super().__init__("An assistant")
        self.client = OpenAIChatCompletionClient(model="gpt-4o", api_key="x", base_url=BASE_URL)

    @message_handler
    async def on_message(self, message: Message, ctx: MessageContext) -> Message:
        print("asking")
        messages = [UserMessage(content=message.content, source="user")]
        reply = await self.client.create(messages, cancellation_token=ctx.cancellation_token)
        return Message(reply.content)

await Assistant.register(runtime, "assistant", Assistant)
"""
ASK = """(await runtime.send_message(Message("Hi"), AgentId("assistant", "x"))).content"""


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture(scope="module")
def kernel(server: LoopbackServer) -> Iterator[Kernel]:
    with Kernel() as kernel:
        begin = (
            "%load_ext nbagents\nfrom nbagents import SingleThreadedAgentRuntime\n"
            f"runtime = SingleThreadedAgentRuntime()\nBASE_URL = {server.base_url!r}"
        )
        assert kernel.run(begin).status == "ok"
        assert kernel.run(DEFINE).status == "ok"
        yield kernel


def test_a_cell_shows_the_answer_and_what_the_handler_prints(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("Hello")
    assert kernel.run("runtime.start()").status == "ok"
    cell = kernel.run(ASK)
    assert cell.text == "asking\n"
    assert cell.of("execute_result")[0]["data"]["text/plain"] == "'Hello'"


def test_interrupting_a_cell_that_waits_for_an_answer_stops_the_model_call(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply(text("never quite all").but(ending="stall"))
    before = len(server.requests)
    request = kernel.start(ASK)
    kernel.wait_for_output(request, text="asking")
    deadline = time.monotonic() + 20
    while len(server.requests) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    kernel.interrupt()
    assert kernel.wait(request).status == "error"
    [asked] = server.requests[before:]
    assert asked.wait(20)
    assert asked.left is not None


def test_cells_that_define_and_register_can_be_run_again(
    kernel: Kernel, server: LoopbackServer
) -> None:
    for reply in ("again", "and again"):
        server.will_reply(reply)
        assert kernel.run(DEFINE + "runtime.start()").status == "ok"
        cell = kernel.run(ASK)
        assert cell.of("execute_result")[0]["data"]["text/plain"] == repr(reply)
        assert kernel.run("await runtime.stop_when_idle()").status == "ok"


def test_an_error_of_a_published_message_is_shown_in_a_cell(kernel: Kernel) -> None:
    code = """
@default_subscription
class Failing(RoutedAgent):
    @message_handler
    async def on_message(self, message: Message, ctx: MessageContext) -> None:
        raise ValueError("oh no")

await Failing.register(runtime, "failing", lambda: Failing("Fails."))
runtime.start()
await runtime.publish_message(Message("hi"), DefaultTopicId())
await runtime.stop_when_idle()
"""
    cell = kernel.run(code)
    assert "failing/default failed with a Message that was published: oh no" in cell.text
