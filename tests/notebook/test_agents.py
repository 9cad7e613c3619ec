"""Agents at home in a kernel: made by a cell, listed, asked, and let go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from nbagents.testing import LoopbackServer, completion, stream
from nbagents.testing import chunk as delta
from tests.notebook.kernels import Kernel

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.fixture(scope="module")
def kernel(server: LoopbackServer) -> Iterator[Kernel]:
    with Kernel(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="x") as running:
        assert running.run("%load_ext nbagents\n%config ChatMagics.model='gpt-4o'").status == "ok"
        yield running


@pytest.fixture(autouse=True)
def _fresh(server: LoopbackServer) -> None:
    server.forget()


def _calls(name: str, arguments: dict[str, Any]) -> Any:
    call = {
        "index": 0,
        "id": "c1",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }
    return stream(delta(None, None, tool_calls=[call]), delta(None, "tool_calls"))


WHERE = """
import threading
def where(place: str) -> str:
    'Say where the code runs.'
    return f'{place}: {threading.current_thread() is threading.main_thread()}'
"""


def _define(kernel: Kernel, server: LoopbackServer) -> None:
    """A client, and an agent with a tool that changes something."""
    kernel.run(
        "from nbagents import ChatAgent\n"
        "from nbagents.models import OpenAIChatCompletionClient\n"
        "from nbagents.tools import tool\n"
        "deleted = []\n"
        "@tool(side_effects=True)\n"
        "def delete(name: str) -> str:\n"
        "    'Delete a file.'\n"
        "    deleted.append(name)\n"
        "    return 'done'\n"
        f"client = OpenAIChatCompletionClient(model='gpt-4o', base_url={server.base_url!r},"
        " api_key='x')\n"
        "keeper = ChatAgent(client, tools=[delete])"
    )


def test_a_cell_makes_an_agent_with_tools_that_run_on_the_main_thread(
    kernel: Kernel, server: LoopbackServer
) -> None:
    kernel.run(WHERE)
    server.will_reply(_calls("where", {"place": "here"}), "On the main thread.")
    cell = kernel.run("%%chat tutor --new -s 'Be brief.' --buffer 10 --tools where\nWhere?")
    assert cell.status == "ok"
    (output,) = cell.outputs
    assert output["data"]["text/plain"].startswith(
        "called where(place='here')\n\nOn the main thread."
    )
    assert "here: True" in output["data"]["text/html"]
    sent = server.requests[-1].json()["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]
    assert kernel.run("print(type(tutor).__name__, tutor.name)").text == "ChatAgent tutor\n"


def test_agents_are_listed_with_what_they_hold_and_cost(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("Hello.")
    kernel.run("%%chat listed --new\nHi")
    shown = kernel.run(
        "frame = get_ipython().run_line_magic('agents', '')\n"
        "print(frame[frame.name == 'listed'].iloc[0].to_dict())"
    ).text
    for words in ("'model': 'gpt-4o'", "'messages': 2", "'state': 'idle'"):
        assert words in shown
    kernel.run("del listed")
    assert "listed" not in kernel.run("print(get_ipython().run_line_magic('agents', ''))").text


def test_agents_in_a_runtime_are_listed_too(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("Hello.")
    kernel.run("%%chat hosted --new\nHi")
    kernel.run(
        "from nbagents import AgentId, SingleThreadedAgentRuntime\n"
        "post = SingleThreadedAgentRuntime()\n"
        "await hosted.register(post, 'clerk')\n"
        "_ = await post.get(AgentId('clerk', 'ada'), lazy=False)"
    )
    shown = kernel.run(
        "frame = get_ipython().run_line_magic('agents', '')\n"
        "print(frame[frame.name.str.startswith('post')].iloc[0].to_dict())"
    ).text
    for words in ("'name': 'post: clerk/ada'", "'model': 'gpt-4o'", "'messages': 2"):
        assert words in shown


def test_an_agent_that_only_a_panel_holds_is_listed_too(kernel: Kernel) -> None:
    kernel.run(
        "from nbagents import ChatAgent\n"
        "from nbagents.models import ReplayChatCompletionClient\n"
        "seen = ChatAgent(ReplayChatCompletionClient([]))\n"
        "window = seen.panel()\n"
        "q = ChatAgent(ReplayChatCompletionClient([])).panel()\n"
        "q2 = q"
    )
    shown = kernel.run("frame = %agents\nprint([*frame.name])").text
    assert "'seen'" in shown
    assert "'q.agent'" in shown
    assert "window" not in shown
    assert "q2" not in shown
    kernel.run("q.close(); window.close(); del q, q2, window, seen")


def test_what_is_not_known_of_an_agent_is_left_blank(kernel: Kernel) -> None:
    kernel.run(
        "from nbagents import AgentId, RoutedAgent, SingleThreadedAgentRuntime\n"
        "offices = SingleThreadedAgentRuntime()\n"
        "await RoutedAgent.register(offices, 'routed', lambda: RoutedAgent('Routes.'))\n"
        "_ = await offices.get(AgentId('routed', 'ada'), lazy=False)"
    )
    row = "frame = %agents\nframe[frame.name == 'offices: routed/ada']"
    assert "<NA>" in kernel.run(row).of("execute_result")[0]["data"]["text/plain"]
    shown = kernel.run("%agents").of("execute_result")[0]["data"]
    (line,) = [line for line in shown["text/plain"].split("\n") if "routed/ada" in line]
    assert line.split()[1:] == ["offices:", "routed/ada"]
    assert "<td>&lt;NA&gt;</td>" not in shown["text/html"]
    assert "<td>NaN</td>" not in shown["text/html"]


def test_making_an_agent_again_replaces_it(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("1", "2")
    kernel.run("%%chat again --new\nHi")
    cell = kernel.run("%%chat again --new\nHi")
    assert cell.status == "ok"
    assert len(server.requests[-1].json()["messages"]) == 1


def test_a_new_agent_replaces_nothing_but_an_agent(kernel: Kernel) -> None:
    kernel.run("precious = {'a': 1}")
    problem = kernel.run("%%chat precious --new\nHi").of("error")[0]["traceback"]
    assert "'precious' holds a dict, which a new agent would replace" in problem[0]
    assert kernel.run("print(precious)").text == "{'a': 1}\n"


def test_a_mistake_in_making_one_is_told(kernel: Kernel) -> None:
    for line, words in [
        ("--new", "--new needs a name"),
        ("x --tools f", "are for a new agent"),
        ("x --new --tools nothing", "there is no function nothing"),
    ]:
        problem = kernel.run(f"%%chat {line}\nHi").of("error")[0]["traceback"]
        assert len(problem) == 1
        assert words in problem[0]


@pytest.mark.parametrize(("answer", "ran"), [("y", "True"), ("n", "False")])
def test_the_person_is_asked_before_a_tool_changes_something(
    kernel: Kernel, server: LoopbackServer, answer: str, ran: str
) -> None:
    _define(kernel, server)
    server.will_reply(_calls("delete", {"name": "a\x1b[2Kb"}), "ok")
    asked: list[str] = []

    def reply(prompt: str) -> str:
        asked.append(prompt)
        return answer

    cell = kernel.run("%%chat keeper\nDelete it.", answer=reply)
    assert cell.status == "ok"
    assert asked == ["Run delete(name='a\\x1b[2Kb')? [y/N] "]
    assert kernel.run("print(bool(deleted))").text == f"{ran}\n"
    shown = str(cell.outputs)
    assert ("wanted to call delete" in shown and ": not allowed" in shown) == (answer == "n")
    assert ": failed" not in shown


def test_a_long_call_is_asked_for_whole_and_its_last_line_is_no_part_of_it(
    kernel: Kernel, server: LoopbackServer
) -> None:
    kernel.run(
        "from nbagents import ChatAgent\n"
        "from nbagents.models import OpenAIChatCompletionClient\n"
        "from nbagents.tools import tool\n"
        f"client = OpenAIChatCompletionClient(model='gpt-4o', base_url={server.base_url!r},"
        " api_key='x')\n"
        "@tool(side_effects=True)\n"
        "def write(text: str, path: str) -> str:\n"
        "    'Write a file.'\n"
        "    return 'written'\n"
        "writer = ChatAgent(client, tools=[write])"
    )
    text = "x" * 500 + "')? [y/N] y\nRun write(path='harmless"
    server.will_reply(_calls("write", {"text": text, "path": "/etc/passwd"}), "ok")
    asked: list[str] = []
    kernel.run("%%chat writer\nWrite it.", answer=lambda prompt: str(asked.append(prompt)))
    first, *whole, last = asked[0].split("\n")
    assert first == "Run this?"
    assert json.loads("\n".join(whole)) == {"path": "/etc/passwd", "text": text}
    assert last.startswith('write(text="xxx')
    assert last.endswith("(539 characters), path='/etc/passwd')? [y/N] ")
    assert len(last) < 200


def test_where_nobody_can_answer_nothing_runs(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply(_calls("delete", {"name": "a"}), "ok")
    _define(kernel, server)
    cell = kernel.run("%%chat keeper\nDelete it.")
    assert cell.status == "ok"
    assert ": nobody could be asked" in str(cell.outputs)
    assert kernel.run("print(deleted)").text == "[]\n"
    assert "nobody can be asked here" in json.dumps(server.requests[-1].json())


def test_a_synchronous_tool_of_an_awaited_turn_runs_on_the_main_thread(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply(
        completion(
            tool_calls=[
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "where", "arguments": '{"place": "here"}'},
                }
            ]
        ),
        completion("ok"),
    )
    _define(kernel, server)
    kernel.run(WHERE)
    kernel.run("awaiting = ChatAgent(client, tools=[where])")
    assert kernel.run("print((await awaiting.ask('Where?')).content)").text == "ok\n"
    assert "here: True" in json.dumps(server.requests[-1].json())


def test_interrupting_a_tool_stops_the_turn_and_undoes_it(
    kernel: Kernel, server: LoopbackServer
) -> None:
    _define(kernel, server)
    kernel.run(
        "import time\n"
        "def sleep() -> str:\n"
        "    'Sleep.'\n"
        "    print('asleep')\n"
        "    time.sleep(30)\n"
        "    return 'awake'\n"
        "sleeper = ChatAgent(client, tools=[sleep])"
    )
    server.will_reply(_calls("sleep", {}), "never")
    request = kernel.start("%%chat sleeper\nSleep.")
    kernel.wait_for_output(request, text="asleep")
    kernel.interrupt()
    cell = kernel.wait(request)
    assert cell.status == "error"
    assert "Interrupted" in cell.reply["ename"]
    assert (
        "messages': 0"
        in kernel.run(
            "frame = %agents\nprint(frame[frame.name == 'sleeper'].iloc[0].to_dict())"
        ).text
    )


def test_starting_over_clears_the_panel_of_the_notebooks_conversation(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("one", "two")
    kernel.run("%%chat\nfirst")
    kernel.run("panel = get_ipython().run_line_magic('chat_panel', '')")
    kernel.run("%%chat --fresh\nsecond")
    said = kernel.run("""
        import time
        def said(): return [message["markdown"] for message in panel.messages]
        end = time.monotonic() + 30
        while said()[-1:] != ["two"] and time.monotonic() < end: time.sleep(0.01)
        print(said())
    """)
    assert said.text == "['second', 'two']\n"
