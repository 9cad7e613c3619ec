"""The ready-made agent: it remembers, within bounds, and forgets what went wrong."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from nbagents.agents import ChatAgent
from nbagents.errors import ConfigurationError, ProtocolError, ServerError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from nbagents.model_context import UnboundedChatCompletionContext
from nbagents.models import ReplayChatCompletionClient
from nbagents.usage import ledger
from tests.scripted import ScriptedClient


async def _remembered(agent: ChatAgent) -> list[str]:
    return [str(message.content) for message in await agent.model_context.get_messages()]


async def _take_turn(agent: ChatAgent, way: str, prompt: str, **arguments: Any) -> None:
    if way == "ask":
        await agent.ask(prompt, **arguments)
        return
    async for _ in agent.stream(prompt, **arguments):
        pass


@pytest.mark.parametrize("client", ["gpt-4o", None, ScriptedClient])
def test_what_is_no_client_is_refused_at_once(client: Any) -> None:
    with pytest.raises(ConfigurationError, match="An agent is of a model client, not of"):
        ChatAgent(client)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (
            "timeout",
            " Arguments of the API go into one of them: extra_create_args={'timeout': ...}.",
        ),
        ("tool", " Did you mean tools?"),
        ("colour", ""),
    ],
)
@pytest.mark.parametrize("way", ["ask", "stream"])
async def test_an_argument_that_there_is_not_is_named_in_a_line_with_those_there_are(
    way: str, name: str, hint: str
) -> None:
    agent = ChatAgent(ReplayChatCompletionClient(["never"]))
    with pytest.raises(ConfigurationError) as error:
        await _take_turn(agent, way, "Hi", **{name: 3})
    assert str(error.value) == (
        f"A turn takes no {name!r}; beside the prompt it takes tools, tool_choice, json_output, "
        f"extra_create_args, cancellation_token.{hint}"
    )
    assert not agent.busy
    assert await _remembered(agent) == []


def test_a_stream_that_nobody_reads_says_how_to() -> None:
    stream = ChatAgent(ScriptedClient("Hello")).stream("Hi")
    assert repr(stream) == "<ReplyStream: read it with async for>"


async def test_a_client_that_takes_any_argument_is_given_it() -> None:
    assert (await ChatAgent(ScriptedClient("Hello")).ask("Hi", colour=3)).text == "Hello"


async def test_a_turn_is_remembered_in_the_next() -> None:
    client = ScriptedClient("Hello Ada", "Your name is Ada")
    agent = ChatAgent(client, name="tutor", system_message="Be brief.")
    await agent.ask("I am Ada.")
    await agent.ask("Who am I?")
    assert client.requests[1] == [
        SystemMessage(content="Be brief."),
        UserMessage(content="I am Ada.", source="user"),
        AssistantMessage(content="Hello Ada", source="tutor"),
        UserMessage(content="Who am I?", source="user"),
    ]


async def test_a_stream_gives_chunks_and_last_the_result() -> None:
    agent = ChatAgent(ScriptedClient("one two three"))
    events = [event async for event in agent.stream("Count.")]
    assert events[:-1] == ["one", "two", "three"]
    assert isinstance(events[-1], CreateResult)
    assert await _remembered(agent) == ["Count.", "one two three"]


@pytest.mark.parametrize("way", ["ask", "stream"])
async def test_a_failed_turn_leaves_the_conversation_as_it_was(way: str) -> None:
    agent = ChatAgent(ScriptedClient("fine", ServerError("down"), "again"))
    await agent.ask("first")
    with pytest.raises(ServerError):
        await _take_turn(agent, way, "second")
    assert await _remembered(agent) == ["first", "fine"]
    await agent.ask("third")
    assert await _remembered(agent) == ["first", "fine", "third", "again"]


async def test_a_cancelled_turn_leaves_the_conversation_as_it_was() -> None:
    agent = ChatAgent(ScriptedClient("too late", pause=30))
    turn = asyncio.create_task(agent.ask("wait"))
    await asyncio.sleep(0.05)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert await _remembered(agent) == []


async def test_leaving_a_stream_undoes_the_turn_and_closes_the_clients_stream() -> None:
    client = ScriptedClient("one two three")
    agent = ChatAgent(client)
    stream = agent.stream("Count.")
    async for _ in stream:
        break
    while not client.closed_streams:  # noqa: ASYNC110 - it is a number
        await asyncio.sleep(0.001)
    assert client.closed_streams == 1
    assert await _remembered(agent) == []


async def test_leaving_after_the_result_undoes_nothing() -> None:
    agent = ChatAgent(ScriptedClient("done"))
    async with aclosing(agent.stream("go")) as stream:
        async for event in stream:
            if isinstance(event, CreateResult):
                break
    assert await _remembered(agent) == ["go", "done"]


async def test_two_turns_at_once_do_not_interleave() -> None:
    agent = ChatAgent(ScriptedClient("a", "b", pause=0.02))
    await asyncio.gather(agent.ask("1"), agent.ask("2"))
    assert await _remembered(agent) == ["1", "a", "2", "b"]


async def test_agents_of_one_context_take_turns() -> None:
    context = UnboundedChatCompletionContext()
    agents = [ChatAgent(ScriptedClient(reply, pause=0.02), model_context=context) for reply in "ab"]
    await asyncio.gather(agents[0].ask("1"), agents[1].ask("2"))
    assert await _remembered(agents[0]) == ["1", "a", "2", "b"]


async def test_a_client_without_a_result_is_named() -> None:
    class Mute(ScriptedClient):
        async def create_stream(self, messages, **_):  # type: ignore[no-untyped-def, override]
            yield "words"

    with pytest.raises(ProtocolError, match=r"Mute\.create_stream ended without a CreateResult"):
        async for _ in ChatAgent(Mute()).stream("hi"):
            pass


async def test_its_requests_are_counted_under_its_name() -> None:
    before = len(ledger)
    await ChatAgent(ScriptedClient("yes"), name="tutor").ask("really?")
    assert [(row.source, row.model, row.status) for row in ledger.records[before:]] == [
        ("tutor", "scripted", "complete")
    ]


async def test_what_is_asked_with_other_instructions_counts_for_the_agent() -> None:
    agent = ChatAgent(ScriptedClient("one", "two"))
    await agent.ask("Count.")
    once = agent.usage
    await agent.but(system_message="Be brief.").ask("Count on.")
    assert agent.usage.total_tokens > once.total_tokens


def _said(model: str, *, cached: bool = False) -> CreateResult:
    usage = RequestUsage(200_000, 10)  # two of these are a long prompt, one is not
    return CreateResult(
        finish_reason="stop", content="yes", usage=usage, cached=cached, model=model
    )


async def test_its_cost_is_that_of_its_requests_in_the_ledger() -> None:
    agent = ChatAgent(ScriptedClient(*[_said("gpt-5.4")] * 2, _said("gpt-5.4", cached=True)))
    before = len(ledger)
    for prompt in ("first", "second", "third"):
        await agent.ask(prompt)
    costs = [row.cost for row in ledger.records[before:]]
    assert costs == [pytest.approx(0.50015)] * 2 + [0.0]
    assert agent.cost == pytest.approx(sum(filter(None, costs)))


async def test_its_cost_is_unknown_with_one_of_its_replies() -> None:
    agent = ChatAgent(ScriptedClient(_said("gpt-4o"), _said("nobody-knows"), _said("gpt-4o")))
    assert agent.cost == 0
    for prompt in ("first", "second", "third"):
        await agent.ask(prompt)
    assert agent.cost is None
