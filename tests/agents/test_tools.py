"""An agent with tools: calls are run, answered, approved and bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from nbagents import _hooks
from nbagents.agents import (
    CallAsked,
    CallStarted,
    ChatAgent,
    TurnEnded,
    TurnEvent,
    TurnLimits,
    asking,
)
from nbagents.errors import BudgetExceededError, ConfigurationError, TurnLimitError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResultMessage,
    RequestUsage,
)
from nbagents.tools import tool
from tests.scripted import ScriptedClient


def calls(*named: tuple[str, dict[str, Any]]) -> CreateResult:
    return CreateResult(
        finish_reason="function_calls",
        content=[
            FunctionCall(id=str(number), arguments=json.dumps(arguments), name=name)
            for number, (name, arguments) in enumerate(named)
        ],
        usage=RequestUsage(10, 5),
        cached=False,
    )


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def _answers(agent: ChatAgent) -> list[tuple[str, bool | None]]:
    return [
        (result.content, result.is_error)
        for message in await agent.model_context.get_messages()
        if isinstance(message, FunctionExecutionResultMessage)
        for result in message.content
    ]


def _agent(*replies: Any, **options: Any) -> ChatAgent:
    options = {"tools": [add], **options}
    return ChatAgent(ScriptedClient(*replies), **options)


@pytest.mark.parametrize("way", ["ask", "stream"])
async def test_calls_are_run_and_the_model_goes_on_with_the_results(way: str) -> None:
    agent = _agent(calls(("add", {"a": 2, "b": 3})), "It is 5.")
    if way == "ask":
        result = await agent.ask("2 + 3?")
    else:
        events = [event async for event in agent.stream("2 + 3?")]
        kinds = [type(event).__name__ for event in events]
        assert kinds[0] == "AssistantMessage"
        assert kinds[1] == "FunctionExecutionResultMessage"
        result = events[-1]
        assert isinstance(result, CreateResult)
    assert result.content == "It is 5."
    assert result.usage == RequestUsage(20, 8)
    assert await _answers(agent) == [("5", False)]


async def test_calls_of_one_reply_run_side_by_side() -> None:
    inside, most = 0, 0

    async def slow(n: int) -> int:
        """Wait."""
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.02)
        inside -= 1
        return n

    agent = _agent(calls(*[("slow", {"n": n}) for n in range(5)]), "done", tools=[slow])
    await agent.ask("go")
    assert most == 5
    assert await _answers(agent) == [(str(n), False) for n in range(5)]


async def test_a_call_that_fails_is_answered_and_the_turn_goes_on() -> None:
    agent = _agent(calls(("add", {"a": "x"}), ("nothing", {}), ("add", {"a": 1, "b": 1})), "Sorry.")
    assert (await agent.ask("go")).content == "Sorry."
    answers = await _answers(agent)
    assert [is_error for _, is_error in answers] == [True, True, False]
    assert "It takes a (integer, required), b (integer, required)" in answers[0][0]
    assert "no tool named 'nothing'" in answers[1][0]


@tool(side_effects=True)
def delete(name: str) -> str:
    """Delete a file."""
    return f"deleted {name}"


@pytest.mark.parametrize(
    ("approve", "answer"),
    [
        (True, "deleted a.txt"),
        (False, "Not run: the person who was asked did not allow it."),
        (lambda call, tool: call.arguments == '{"name": "a.txt"}', "deleted a.txt"),
        (lambda call, tool: "no", "Not run: the person who was asked did not allow it."),
        (None, "Not run: this tool changes something, and nobody can be asked here"),
    ],
)
async def test_what_changes_something_runs_only_when_it_is_allowed(
    approve: bool | Callable[..., bool] | None, answer: str
) -> None:
    agent = _agent(calls(("delete", {"name": "a.txt"})), "ok", tools=[delete], approve=approve)
    await agent.ask("delete a.txt")
    ((content, is_error),) = await _answers(agent)
    assert content.startswith(answer)
    assert is_error is not content.startswith("deleted")


@pytest.mark.parametrize(
    ("said", "answer"), [(None, "nobody can be asked here"), (False, "did not allow it")]
)
async def test_that_nobody_could_be_asked_is_nobodys_refusal(
    said: bool | None, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(call: object, tool: object) -> bool | None:
        return said

    monkeypatch.setattr(_hooks, "ask_person", ask)
    agent = _agent(calls(("delete", {"name": "a.txt"})), "ok", tools=[delete])
    await agent.ask("delete a.txt")
    ((content, _),) = await _answers(agent)
    assert answer in content


async def test_the_person_is_asked_one_thing_at_a_time() -> None:
    asked, open_questions, most = [], 0, 0

    async def ask(call: FunctionCall, _: Any) -> bool:
        nonlocal open_questions, most
        open_questions += 1
        most = max(most, open_questions)
        await asyncio.sleep(0.01)
        open_questions -= 1
        asked.append(json.loads(call.arguments)["name"])
        return len(asked) == 1

    reply = calls(("delete", {"name": "a"}), ("delete", {"name": "b"}))
    agent = _agent(reply, "ok", tools=[delete])
    with asking(ask):
        await agent.ask("go")
    assert (asked, most) == (["a", "b"], 1)
    assert [is_error for _, is_error in await _answers(agent)] == [False, True]


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (TurnLimits(rounds=2), "2 rounds of tool calls"),
        (TurnLimits(calls=3), "3 tool calls"),
        (TurnLimits(seconds=0.05), r"0\.05 seconds"),
    ],
)
async def test_a_turn_that_goes_on_too_long_is_stopped_and_undone(
    limits: TurnLimits, what: str
) -> None:
    async def again() -> str:
        """Again."""
        await asyncio.sleep(0.02)
        return "again"

    replies = [calls(("again", {}), ("again", {})) for _ in range(50)]
    agent = _agent(*replies, tools=[again], limits=limits)
    with pytest.raises(TurnLimitError, match=what):
        await agent.ask("go")
    assert await agent.model_context.get_messages() == []


async def test_a_turn_that_would_cost_too_much_is_stopped() -> None:
    client = ScriptedClient(calls(("add", {"a": 1, "b": 1})), "never")
    client.model = "gpt-4o"  # type: ignore[misc]
    agent = ChatAgent(client, tools=[add], limits=TurnLimits(cost=0.0000001))
    with pytest.raises(BudgetExceededError, match="the turn's budget"):
        await agent.ask("go")
    assert client.requests == []


async def test_cancelling_a_turn_cancels_its_tools() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def forever() -> None:
        """Never end."""
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    agent = _agent(calls(("forever", {})), tools=[forever])
    turn = asyncio.create_task(agent.ask("go"))
    await begun.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert cancelled.is_set()
    assert await agent.model_context.get_messages() == []


async def test_who_watches_sees_every_turn_whoever_asks() -> None:
    seen: list[TurnEvent] = []
    agent = _agent(calls(("add", {"a": 1, "b": 1})), "2", ValueError("no"))
    stop = agent.watch(seen.append)
    agent.watch(lambda event: 1 / 0)  # harms nobody
    await agent.ask("1 + 1?")
    kinds = [type(event).__name__ for event in seen]
    assert kinds == [
        "TurnStarted",
        "AssistantMessage",
        "CallStarted",
        "FunctionExecutionResultMessage",
        "CreateResult",
        "TurnEnded",
    ]
    with pytest.raises(ValueError, match="no"):
        await agent.ask("again")
    assert isinstance(seen[-1], TurnEnded)
    assert isinstance(seen[-1].error, ValueError)
    stop()
    await agent.clear()
    assert isinstance(seen[-1], TurnEnded)


async def test_who_watches_is_told_who_waits_for_an_answer_and_what_runs() -> None:
    seen: list[TurnEvent] = []
    two = calls(("delete", {"name": "x"}), ("delete", {"name": "y"}))
    agent = _agent(two, "Done.", tools=[delete], approve=lambda call, tool: "x" in call.arguments)
    agent.watch(seen.append)
    await agent.ask("go")
    told = [event for event in seen if isinstance(event, CallAsked | CallStarted)]
    asked = [(type(event), json.loads(event.call.arguments)["name"]) for event in told]
    assert sorted(asked, key=lambda each: each[1]) == [
        (CallAsked, "x"),
        (CallStarted, "x"),
        (CallAsked, "y"),
    ]


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="Two tools are named 'add'"):
        _agent(tools=[add, add])


async def test_the_reply_with_calls_is_in_the_conversation_with_its_thought() -> None:
    reply = calls(("add", {"a": 1, "b": 1})).model_copy(update={"thought": "Let me add."})
    agent = _agent(reply, "2")
    await agent.ask("1 + 1?")
    message = (await agent.model_context.get_messages())[1]
    assert isinstance(message, AssistantMessage)
    assert message.thought == "Let me add."


@pytest.mark.parametrize(
    "arguments", ['{"name": ["a"]}', '{"nom": "a"}', "{}", '{"name": "a', "[]"]
)
async def test_nobody_is_asked_about_a_call_that_cannot_run(arguments: str) -> None:
    asked = []
    bad = calls(("delete", {}))
    bad.content[0].arguments = arguments
    agent = _agent(bad, "Sorry.", tools=[delete], approve=lambda *call: asked.append(call))
    await agent.ask("go")
    ((content, is_error),) = await _answers(agent)
    assert (asked, is_error) == ([], True)
    assert content.startswith("The arguments are wrong: ")
    assert content.endswith("It takes name (string, required).")


async def test_where_asking_fails_nothing_runs_and_the_turn_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(call: FunctionCall, tool: Any) -> bool:
        raise LookupError("no such rule")

    reply = calls(("delete", {"name": "a"}), ("add", {"a": 1, "b": 1}))
    agent = _agent(reply, "Sorry.", tools=[delete, add], approve=broken)
    assert (await agent.ask("go")).content == "Sorry."
    assert await _answers(agent) == [
        ("Not run: asking whether it may failed (LookupError).", True),
        ("2", False),
    ]
    assert "no such rule" in caplog.text
