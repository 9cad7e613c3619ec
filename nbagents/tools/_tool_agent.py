"""An agent that runs tools for others, and the loop in which a model uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbagents._cancellation import CancellationToken
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
)
from nbagents.runtime import (
    AgentId,
    AgentRuntime,
    BaseAgent,
    MessageContext,
    RoutedAgent,
    message_handler,
)
from nbagents.tools._approval import changes_something, refusal_of
from nbagents.tools._base import Tool
from nbagents.tools._calls import fault_in, run_call
from nbagents.tools._exceptions import (
    InvalidToolArgumentsException,
    ToolException,
    ToolExecutionException,
)

if TYPE_CHECKING:
    from nbagents.models import ChatCompletionClient
    from nbagents.tools._schema import ToolSchema

__all__ = ["ToolAgent", "tool_agent_caller_loop"]


class ToolAgent(RoutedAgent, concurrent_messages=True):
    """An agent that is sent a `FunctionCall` and answers with a `FunctionExecutionResult`.

    Calls that come while others run are run beside them. A tool that changes something runs
    when its own ``approve``, or else the person at the keyboard, has allowed it.

    Args:
        description: What the agent is for.
        tools: What it can run.
    """

    def __init__(self, description: str, tools: list[Tool]) -> None:
        super().__init__(description)
        self._tools = tools
        self._asking = asyncio.Lock()

    @property
    def tools(self) -> list[Tool]:
        """What it can run."""
        return self._tools

    @message_handler
    async def handle_function_call(
        self, message: FunctionCall, ctx: MessageContext
    ) -> FunctionExecutionResult:
        """Run the tool that is called.

        Raises:
            ToolNotFoundException: There is no tool of that name.
            InvalidToolArgumentsException: The arguments are not JSON, or not what it takes.
            ToolExecutionException: The tool raised an error, or was not allowed to run.
        """
        await self._permit(message)
        content = await run_call(message, self._tools, ctx.cancellation_token)
        return FunctionExecutionResult(
            content=content, name=message.name, call_id=message.id, is_error=False
        )

    async def _permit(self, call: FunctionCall) -> None:
        tool = next((tool for tool in self._tools if tool.name == call.name), None)
        if tool is None or not changes_something(tool):
            return
        if fault := fault_in(call, self._tools):  # nobody is asked about what cannot run
            raise InvalidToolArgumentsException(call.id, fault.content, call.name)
        async with self._asking:  # a person is asked one thing at a time
            why = await refusal_of(call, tool)
        if why is not None:
            raise ToolExecutionException(call.id, why, call.name)


async def tool_agent_caller_loop(
    caller: BaseAgent | AgentRuntime,
    tool_agent_id: AgentId,
    model_client: ChatCompletionClient,
    input_messages: list[LLMMessage],
    tool_schema: Sequence[ToolSchema] | Sequence[Tool],
    cancellation_token: CancellationToken | None = None,
    caller_source: str = "assistant",
) -> list[LLMMessage]:
    """Ask a model, have a tool agent run what it calls, and ask again until it calls no more.

    The calls of one reply run at once. A call that fails is answered with the error.

    Args:
        caller: Who sends the calls: an agent, or a runtime.
        tool_agent_id: Who runs them.
        model_client: The model.
        input_messages: The conversation so far; it is not changed.
        tool_schema: What the model may call.
        cancellation_token: Cancels the request or the calls under way when used.
        caller_source: Whose name the model's messages bear.

    Returns:
        The messages that were added: replies, and the results of calls.
    """
    from nbagents.models import through

    client = through(model_client)
    added: list[LLMMessage] = []

    async def ask() -> CreateResult:
        reply = await client.create(
            [*input_messages, *added], tools=tool_schema, cancellation_token=cancellation_token
        )
        added.append(
            AssistantMessage(content=reply.content, thought=reply.thought, source=caller_source)
        )
        return reply

    reply = await ask()
    while isinstance(reply.content, list) and reply.content:
        answers = await asyncio.gather(
            *(_answer(caller, tool_agent_id, call, cancellation_token) for call in reply.content),
            return_exceptions=True,  # so that none is left running
        )
        added.append(FunctionExecutionResultMessage(content=_unless_failed(answers)))
        reply = await ask()
    return added


async def _answer(
    caller: BaseAgent | AgentRuntime,
    recipient: AgentId,
    call: FunctionCall,
    cancellation_token: CancellationToken | None,
) -> FunctionExecutionResult:
    try:
        answer: FunctionExecutionResult = await caller.send_message(
            call, recipient, cancellation_token=cancellation_token
        )
    except ToolException as error:
        return FunctionExecutionResult(
            content=error.content, name=error.name, call_id=error.call_id, is_error=True
        )
    return answer


def _unless_failed(
    answers: Sequence[FunctionExecutionResult | BaseException],
) -> list[FunctionExecutionResult]:
    results = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        results.append(answer)
    return results
