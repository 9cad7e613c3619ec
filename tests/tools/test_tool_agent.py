"""An agent that runs tools for others, and the loop in which a model uses it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from nbagents import (
    AgentId,
    CancellationToken,
    FunctionCall,
    SingleThreadedAgentRuntime,
    _hooks,
    ledger,
)
from nbagents.errors import UndeliverableException
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    UserMessage,
)
from nbagents.tools import (
    FunctionTool,
    InvalidToolArgumentsException,
    ToolAgent,
    ToolException,
    ToolExecutionException,
    ToolNotFoundException,
    tool_agent_caller_loop,
)
from tests.scripted import ScriptedClient

TOOLS = AgentId("tools", "default")
ASKED: list[LLMMessage] = [UserMessage(content="Add.", source="ada")]


def add(a: int, b: int) -> int:
    return a + b


def fail() -> None:
    raise ValueError("no luck")


async def wait() -> None:
    await asyncio.sleep(60)


async def meet() -> str:
    await asyncio.wait_for(meeting.wait(), 30)
    return "met"


meeting: asyncio.Barrier

# autogen-core 0.7.5
SIGNATURE = (
    "(caller, tool_agent_id, model_client, input_messages, tool_schema, "
    "cancellation_token=None, caller_source='assistant')"
)


class Caller(ScriptedClient):
    """Replies with calls or text, as it is told."""

    def __init__(self, *contents: Any) -> None:
        super().__init__()
        self.contents = list(contents)
        self.tools: Sequence[Any] = ()

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        self.requests.append(list(messages))
        self.tools = arguments["tools"]
        return CreateResult(
            finish_reason="stop",
            content=self.contents.pop(0),
            usage=RequestUsage(1, 1),
            cached=False,
            thought="hm",
        )


def call(name: str, arguments: str = "{}", call_id: str = "1") -> FunctionCall:
    return FunctionCall(call_id, arguments, name)


@pytest.fixture
async def runtime() -> AsyncIterator[SingleThreadedAgentRuntime]:
    global meeting
    meeting = asyncio.Barrier(2)
    runtime = SingleThreadedAgentRuntime()
    tools = [FunctionTool(function, function.__name__) for function in (add, fail, wait, meet)]
    await ToolAgent.register(runtime, "tools", lambda: ToolAgent("Runs tools.", list(tools)))
    runtime.start()
    yield runtime
    await runtime.stop()


def test_the_signature_is_that_of_autogen() -> None:
    signature = inspect.signature(tool_agent_caller_loop)
    bare = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    assert str(signature.replace(parameters=bare, return_annotation=inspect._empty)) == SIGNATURE
    assert list(inspect.signature(ToolAgent).parameters) == ["description", "tools"]


async def test_a_call_is_answered_with_its_result(runtime: SingleThreadedAgentRuntime) -> None:
    result = await runtime.send_message(call("add", '{"a": 1, "b": 2}'), TOOLS)
    assert result == FunctionExecutionResult(content="3", name="add", call_id="1", is_error=False)


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (call("ad"), ToolNotFoundException, "Did you mean 'add'"),
        (call("add", "{"), InvalidToolArgumentsException, "not JSON"),
        (call("add", '{"a": 1}'), InvalidToolArgumentsException, "b: Field required"),
        (call("fail"), ToolExecutionException, "fail failed: ValueError: no luck"),
    ],
)
async def test_a_wrong_call_raises_what_autogen_raises(
    runtime: SingleThreadedAgentRuntime, wrong: FunctionCall, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await runtime.send_message(wrong, TOOLS)


@pytest.mark.parametrize(
    ("arguments", "own", "person", "said"),
    [
        ('{"name": "a"}', None, None, "Not run: this tool changes something, and nobody"),
        ('{"name": "a"}', None, False, "Not run: the person who was asked did not allow it."),
        ('{"name": "a"}', lambda call, tool: False, True, "Not run: the person"),
        ('{"name": "a"}', None, True, None),
        ('{"name": "a"}', lambda call, tool: True, None, None),
        ('{"nom": "a"}', None, True, "there is no such argument"),
    ],
)
async def test_what_changes_something_runs_only_when_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch, arguments: str, own: Any, person: bool | None, said: str | None
) -> None:
    removed, asked = [], []

    async def ask(call: FunctionCall, tool: Any) -> bool | None:
        asked.append(call.arguments)
        return person

    def remove(name: str) -> None:
        removed.append(name)

    monkeypatch.setattr(_hooks, "ask_person", ask if person is not None else None)
    tool = FunctionTool(remove, "Remove a file.", side_effects=True, approve=own)
    runtime = SingleThreadedAgentRuntime()
    await ToolAgent.register(runtime, "tools", lambda: ToolAgent("Runs tools.", [tool]))
    runtime.start()
    answer = runtime.send_message(call("remove", arguments), TOOLS)
    if said is None:
        await answer
    else:
        with pytest.raises(ToolException, match=said):
            await answer
    await runtime.stop()
    assert removed == (["a"] if said is None else [])
    assert len(asked) == (own is None and person is not None and '"name"' in arguments)


async def test_cancelling_reaches_the_tool(runtime: SingleThreadedAgentRuntime) -> None:
    token = CancellationToken()
    waiting = asyncio.ensure_future(
        runtime.send_message(call("wait"), TOOLS, cancellation_token=token)
    )
    await asyncio.sleep(0.01)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 30)


async def test_the_loop_ends_when_the_model_calls_no_more(
    runtime: SingleThreadedAgentRuntime,
) -> None:
    calls = [call("add", '{"a": 1, "b": 2}', "1"), call("fail", "{}", "2"), call("no", "", "3")]
    client = Caller(calls, "Three.")
    schema = [FunctionTool(add, "Add.").schema]
    before = len(ledger)
    added = await tool_agent_caller_loop(runtime, TOOLS, client, ASKED, schema)
    said, answered, end = added
    assert said == AssistantMessage(content=calls, thought="hm", source="assistant")
    assert isinstance(answered, FunctionExecutionResultMessage)
    assert [(each.call_id, each.is_error) for each in answered.content] == [
        ("1", False),
        ("2", True),
        ("3", True),
    ]
    assert end == AssistantMessage(content="Three.", thought="hm", source="assistant")
    assert client.requests == [ASKED, [*ASKED, said, answered]]
    assert client.tools == schema
    assert len(ASKED) == 1
    assert len(ledger) == before + 2


async def test_the_calls_of_one_reply_run_at_once(runtime: SingleThreadedAgentRuntime) -> None:
    client = Caller([call("meet", "{}", "1"), call("meet", "{}", "2")], "Met.")
    added = await tool_agent_caller_loop(runtime, TOOLS, client, ASKED, [])
    assert isinstance(added[1], FunctionExecutionResultMessage)
    assert [each.content for each in added[1].content] == ["met", "met"]


async def test_another_error_is_raised_when_all_calls_have_ended(
    runtime: SingleThreadedAgentRuntime,
) -> None:
    client = Caller([call("add", '{"a": 1, "b": 2}')])
    nobody = AgentId("nobody", "default")
    with pytest.raises(UndeliverableException, match="nobody"):
        await tool_agent_caller_loop(runtime, nobody, client, ASKED, [])
