"""`ChatAgent.ask_sync` and `run`: without ``await``, wherever the code runs, and never for ever."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nbagents import ChatAgent
from nbagents.errors import RuntimeStateError
from nbagents.loop import Interrupted, engine
from tests.notebook.kernels import Kernel
from tests.scripted import ScriptedClient

ROOT = Path(__file__).parents[2]

SETUP = """
import asyncio, threading
from nbagents import ChatAgent, run
from nbagents.loop import call_on_main, engine
from tests.scripted import ScriptedClient
"""


async def messages_of(agent: ChatAgent) -> list[Any]:
    return [message.content for message in await agent.model_context.get_messages()]


def until_asked(client: ScriptedClient) -> None:
    deadline = time.monotonic() + 60
    while not client.requests:
        assert time.monotonic() < deadline
        time.sleep(0.001)


class TestWhereItWorks:
    def test_in_a_thread_that_has_no_loop(self) -> None:
        agent = ChatAgent(ScriptedClient("one", "two"))
        assert str(agent.ask_sync("first")) == "one"
        replies: list[str] = []
        thread = threading.Thread(target=lambda: replies.append(str(agent.ask_sync("second"))))
        thread.start()
        thread.join(30)
        assert replies == ["two"]

    async def test_in_code_that_a_running_loop_calls(self) -> None:
        agent = ChatAgent(ScriptedClient("one"))
        replies: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: replies.put_nowait(str(agent.ask_sync("first"))))
        assert await replies.get() == "one"

    def test_in_a_script_which_then_ends_in_silence(self) -> None:
        script = (
            "import sys\n"
            "from nbagents import ChatAgent\n"
            "from tests.scripted import ScriptedClient\n"
            "print(ChatAgent(ScriptedClient('one')).ask_sync('first').content)\n"
            "assert 'IPython' not in sys.modules\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "one\n", "")

    @pytest.mark.kernel
    def test_in_cells_and_in_the_callback_of_a_widget(self) -> None:
        with Kernel() as kernel:
            kernel.run(SETUP)
            assert kernel.run("print(ChatAgent(ScriptedClient('one')).ask_sync('?'))").text == (
                "one\n"
            )
            kernel.run("""
                import ipywidgets
                agent, replies = ChatAgent(ScriptedClient("two", pause=0.05)), []
                button = ipywidgets.Button()
                button.on_click(lambda _: replies.append(agent.ask_sync("?").content))
            """)
            widget = kernel.run("print(button.model_id)").text.strip()
            kernel.send_to_widget(widget, {"method": "custom", "content": {"event": "click"}})
            assert kernel.run("print(replies)").text == "['two']\n"
            assert kernel.run("print('_nest_patched' in vars(asyncio))").text == "False\n"


def test_an_interrupt_ends_it_and_the_conversation_is_as_it_was() -> None:
    client = ScriptedClient("never", pause=60)
    agent = ChatAgent(client)

    def interrupt_once_asked() -> None:
        while not client.requests:
            time.sleep(0.001)
        signal.raise_signal(signal.SIGINT)

    pressing = threading.Thread(target=interrupt_once_asked)
    pressing.start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        agent.ask_sync("?")
    assert time.monotonic() - started < 60
    assert asyncio.run(messages_of(agent)) == []
    assert not agent.busy
    pressing.join()


class TestWhatCouldNeverEnd:
    async def test_a_turn_on_the_loop_that_would_stand_still_is_told_of(self) -> None:
        agent = ChatAgent(ScriptedClient("one", "two", pause=0.05))
        first = asyncio.create_task(agent.ask("first"))
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeStateError, match="neither could end"):
            agent.ask_sync("second")
        assert str(await first) == "one"
        assert str(agent.ask_sync("second")) == "two"

    async def test_so_is_one_that_waits_there_for_its_turn(self) -> None:
        client = ScriptedClient("one", "two", pause=0.2)
        agent = ChatAgent(client)
        first = engine().submit(agent.ask("first"))
        until_asked(client)
        second = asyncio.create_task(agent.ask("second"))
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeStateError, match="neither could end"):
            agent.ask_sync("third")
        assert [str(await asyncio.wrap_future(first)), str(await second)] == ["one", "two"]

    async def test_a_turn_elsewhere_is_waited_for(self) -> None:
        client = ScriptedClient("one", "two", pause=0.1)
        agent = ChatAgent(client)
        first = engine().submit(agent.ask("first"))
        until_asked(client)
        assert str(agent.ask_sync("second")) == "two"
        assert str(await asyncio.wrap_future(first)) == "one"

    @pytest.mark.kernel
    def test_a_chat_cell_serves_the_turn_it_waits_for(self) -> None:
        """A panel's turn wants a tool run on the main thread, which waits for that turn."""
        with Kernel() as kernel:
            kernel.run(SETUP)
            kernel.run("""
                def tool():
                    return threading.current_thread() is threading.main_thread()
                def wait_for_a_panel():
                    turn = engine().submit(call_on_main(tool))
                    async def wait():
                        return await asyncio.wrap_future(turn)
                    return run(wait())
            """)
            assert kernel.run("print(wait_for_a_panel())").text == "True\n"
            kernel.run("""
                import time
                def tool():
                    print("in", flush=True)
                    time.sleep(300)
            """)
            running = kernel.start("wait_for_a_panel()")
            kernel.wait_for_output(running)
            kernel.interrupt()
            assert kernel.wait(running).reply["ename"] == "Interrupted"
            assert kernel.run("print(run(asyncio.sleep(0, 'goes on')))").text == "goes on\n"


STRESS = """
import random
from contextlib import suppress

class Echo(ScriptedClient):
    inside = most = 0
    async def create(self, messages, **_):
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(chance.uniform(0, 0.002))
            return self._result(messages[-1].content)
        finally:
            self.inside -= 1

chance = random.Random(7)
client = Echo()
agent = ChatAgent(client)

async def cancelled(prompt):
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(agent.ask(prompt), chance.uniform(0, 0.004))

async def rounds(count):
    asked = 0
    for number in range(count):
        prompts = [f"{number} {who}" for who in ("cell", "thread", "private loop", "gives up")]
        cell, thread, private, gives_up = prompts
        replies = await asyncio.gather(
            agent.ask(cell),
            asyncio.to_thread(agent.ask_sync, thread),
            asyncio.wrap_future(engine().submit(agent.ask(private))),
            cancelled(gives_up),
        )
        assert [reply.content for reply in replies[:3]] == [cell, thread, private]
        said = [message.content for message in await agent.model_context.get_messages()]
        assert len(said) in (6, 8) and set(prompts[:3]) <= set(said), said
        assert said[::2] == said[1::2], said
        await agent.clear()
        asked += 3
    return asked
"""


@pytest.mark.kernel
def test_a_cell_a_thread_and_the_private_loop_ask_one_agent_two_hundred_times_at_once() -> None:
    with Kernel() as kernel:
        kernel.run(SETUP + STRESS)
        cell = kernel.run("print(await rounds(200), client.most, agent.busy)")
    assert cell.text == "600 1 False\n", cell.outputs
