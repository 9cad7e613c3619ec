"""Agents kept: in a file, in a runtime, as a tool, on a card."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from nbagents.agents import ChatAgent
from nbagents.errors import ConfigurationError
from nbagents.messages import (
    CreateResult,
    FunctionExecutionResultMessage,
    Image,
    UserMessage,
)
from nbagents.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    UnboundedChatCompletionContext,
)
from nbagents.runtime import AgentId, SingleThreadedAgentRuntime
from tests.agents.test_tools import add, calls
from tests.scripted import ScriptedClient


async def test_a_saved_agent_remembers_and_holds_no_secret(tmp_path: Path) -> None:
    client = ScriptedClient(calls(("add", {"a": 1, "b": 2})), "3", "still 3")
    client.api_key = "sk-secret"  # type: ignore[attr-defined]
    agent = ChatAgent(client, name="tutor", system_message="Be brief.", tools=[add])
    await agent.ask("1 + 2?")
    path = tmp_path / "tutor.json"
    agent.save(path)
    assert "sk-secret" not in path.read_text()
    loaded = ChatAgent.load(path, client, tools=[add])
    assert (loaded.name, loaded.system_message) == ("tutor", "Be brief.")
    before = await agent.model_context.get_messages()
    assert await loaded.model_context.get_messages() == before
    assert (await loaded.ask("Sure?")).content == "still 3"
    assert os.listdir(tmp_path) == ["tutor.json"]  # noqa: PTH208 - no draft is left


async def test_a_link_that_lies_in_wait_is_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "agent.json.part").symlink_to(precious)
    ChatAgent(ScriptedClient()).save(tmp_path / "agent.json")
    assert precious.read_text() == "mine"
    assert not (tmp_path / "agent.json").is_symlink()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"no folder \S+nope to save .* another path"
    ) as told:
        ChatAgent(ScriptedClient()).save(tmp_path / "nope" / "tutor.json")
    assert ".part" not in str(told.value)


async def test_a_file_of_another_kind_or_a_missing_tool_is_told(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    path.write_text('{"kind": "recipe"}')
    with pytest.raises(ConfigurationError, match="not what nbagents saved"):
        ChatAgent.load(path, ScriptedClient())
    ChatAgent(ScriptedClient(), tools=[add]).save(path)
    with pytest.raises(ConfigurationError, match=r"saved with the tools add; pass them again"):
        ChatAgent.load(path, ScriptedClient())
    path.write_text(path.read_text().replace('"messages": []', '"messages": [{"type": "?"}]'))
    with pytest.raises(ConfigurationError, match="damaged"):
        ChatAgent.load(path, ScriptedClient(), tools=[add])


def test_a_context_that_waits_is_told_instead_of_hanging(tmp_path: Path) -> None:
    class Remote(UnboundedChatCompletionContext):
        async def save_state(self):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0)
            return await super().save_state()

    agent = ChatAgent(ScriptedClient(), model_context=Remote())
    with pytest.raises(ConfigurationError, match="with await"):
        agent.save(tmp_path / "x.json")


async def test_an_agent_answers_messages_in_a_runtime() -> None:
    runtime = SingleThreadedAgentRuntime()
    agent = ChatAgent(ScriptedClient("Hello."))
    await agent.register(runtime, "tutor")
    runtime.start()
    message = UserMessage(content="Hi", source="ada")
    answer = await runtime.send_message(message, AgentId("tutor", "default"))
    await runtime.stop_when_idle()
    assert isinstance(answer, CreateResult)
    assert answer.content == "Hello."


async def test_an_agent_is_a_tool_of_another() -> None:
    expert = ChatAgent(ScriptedClient("42"), name="expert", system_message="You know answers.")
    asks = calls(("expert", {"prompt": "What is the answer?"}))
    chief = ChatAgent(ScriptedClient(asks, "It is 42."), tools=[expert.as_tool()])
    assert (await chief.ask("Find out.")).content == "It is 42."
    assert [m.content for m in await expert.model_context.get_messages()] == [
        "What is the answer?",
        "42",
    ]
    assert "You know answers." in expert.as_tool().description


async def test_an_agent_that_asks_itself_is_told_instead_of_hanging() -> None:
    agent = ChatAgent(ScriptedClient(calls(("assistant", {"prompt": "me?"})), "no"))
    agent.tools = [agent.as_tool()]
    assert (await asyncio.wait_for(agent.ask("go"), 30)).content == "no"
    (result,) = (await agent.model_context.get_messages())[2].content
    assert "in the middle of a turn" in result.content


async def test_a_reader_that_left_a_stream_may_ask_again() -> None:
    agent = ChatAgent(ScriptedClient("one two", "three"))
    async for _ in agent.stream("go"):
        break
    assert (await asyncio.wait_for(agent.ask("again"), 30)).content == "three"


@pytest.mark.parametrize(
    "context", [UnboundedChatCompletionContext(), BufferedChatCompletionContext(5)]
)
async def test_a_card_shows_who_the_agent_is_and_what_was_said(
    context: ChatCompletionContext,
) -> None:
    agent = ChatAgent(
        ScriptedClient("**Four.**"),
        name="tutor-of-the-card",
        system_message="Be brief.",
        model_context=context,
        tools=[add],
    )
    await agent.ask("2 + 2?")
    card = agent._repr_mimebundle_()
    for words in ("tutor-of-the-card · scripted", "Be brief.", "2 + 2?", "2 messages · 11 tokens"):
        assert words in card["text/plain"]
    assert "<strong>Four.</strong>" in card["text/html"]
    assert "Add two numbers." in card["text/html"]


async def test_two_agents_that_ask_each_other_at_once_are_told_instead_of_hanging() -> None:
    one = ChatAgent(
        ScriptedClient(calls(("two", {"prompt": "?"})), "1", "1", pause=0.02), name="one"
    )
    two = ChatAgent(
        ScriptedClient(calls(("one", {"prompt": "?"})), "2", "2", pause=0.02), name="two"
    )
    one.tools, two.tools = [two.as_tool()], [one.as_tool()]
    replies = await asyncio.wait_for(asyncio.gather(one.ask("go"), two.ask("go")), 30)
    assert sorted(str(reply) for reply in replies) == ["1", "2"]
    told = [
        result.content
        for agent in (one, two)
        for message in await agent.model_context.get_messages()
        if isinstance(message, FunctionExecutionResultMessage)
        for result in message.content
    ]
    assert sum("in the middle of a turn" in content for content in told) == 1


def test_a_saved_agent_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    path.write_text("older, and for everybody")
    path.chmod(0o644)
    ChatAgent(ScriptedClient()).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _spoilt(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def spoil(data: bytes) -> bytes:
        content = json.loads(data)
        change(content)
        return json.dumps(content).encode()

    return spoil


_BEFORE = b'{"kind": "nbagents.ChatAgent", "name": "x", "conversation": '


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_spoilt(lambda saved: saved.update(name="x" * 10**6)), "name: .*at most 200"),
        (_spoilt(lambda saved: saved.update(name=5)), "name: .*valid string"),
        (_spoilt(lambda saved: saved.update(version=2)), "another version of nbagents"),
        (_spoilt(lambda saved: saved.update(conversation={"messages": [1] * 10**4})), "messages.0"),
        (_spoilt(lambda saved: saved.update(tools=["t" * 10**6] * 100)), "and 95 more; pass them"),
        (lambda _: _BEFORE + b"[" * 10**6 + b"]" * 10**6 + b"}", "recursion limit"),
        (lambda _: _BEFORE + b'{"a":' * 10**6 + b"1" + b"}" * 10**6 + b"}", "recursion limit"),
        (lambda data: data.replace(b"ada", b"a\0da"), "control character"),
        (lambda data: data.replace(b'"ada"', b"9" * 10**5), "name: .*number|out of range|string"),
        (lambda data: data.replace(b"ada", b"\\ud800"), "hex escape"),
        (lambda data: data.decode().encode("utf-16"), "utf-8"),
        (lambda data: data[: len(data) // 2], "EOF"),
        (lambda _: b"", "EOF"),
    ],
)
def test_a_hostile_file_is_told_in_one_short_line(
    tmp_path: Path, spoil: Callable[[bytes], bytes], said: str
) -> None:
    path = tmp_path / "agent.json"
    ChatAgent(ScriptedClient(), name="ada").save(path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ConfigurationError, match=said) as raised:
        ChatAgent.load(path, ScriptedClient())
    assert len(str(raised.value)) < 800
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("change", [b"\xef\xbb\xbf%b", b"%b\r\n"])
def test_what_editors_and_git_add_does_no_harm(tmp_path: Path, change: bytes) -> None:
    path = tmp_path / "agent.json"
    ChatAgent(ScriptedClient(), name="ada").save(path)
    path.write_bytes(change % path.read_bytes().replace(b"\n", b"\r\n"))
    assert ChatAgent.load(path, ScriptedClient()).name == "ada"


def test_what_is_no_file_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("pipe", "not a file"), ("", "not a file"), ("none", "No such file")):
        with pytest.raises(ConfigurationError, match=f"cannot be read: .*{why}"):
            ChatAgent.load(tmp_path / name, ScriptedClient())
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match=r"cannot be saved as .*give another path"):
        ChatAgent(ScriptedClient()).save(tmp_path / "folder")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "pipe"]


@pytest.mark.parametrize("name", ["x" * 201, None, 5])
def test_a_name_is_a_short_text(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="at most 200 characters"):
        ChatAgent(ScriptedClient(), name=name)


def test_half_a_surrogate_pair_and_an_image_are_saved(tmp_path: Path) -> None:
    agent = ChatAgent(ScriptedClient("h\ud800i", "A picture."), system_message="x\udfff")
    agent.ask_sync("q\ud800")
    agent.ask_sync(["What is it?", Image.from_pil(PIL.Image.new("RGB", (1, 1)))])
    agent.save(tmp_path / "agent.json")
    again = ChatAgent.load(tmp_path / "agent.json", ScriptedClient())
    assert again.system_message == "x\ufffd"
    messages = asyncio.run(again.model_context.get_messages())
    assert [message.content for message in messages[:2]] == ["q\ufffd", "h\ufffdi"]
    assert isinstance(messages[2].content[1], Image)
