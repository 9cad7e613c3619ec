"""One reply of an agent's model, whichever way its client gives it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from nbagents.agents._calls import distinct
from nbagents.errors import ProtocolError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    LLMMessage,
    StreamChunk,
    SystemMessage,
)
from nbagents.models import ChatCompletionClient, through
from nbagents.usage import attribute

if TYPE_CHECKING:
    from nbagents.agents._chat import ChatAgent

__all__ = ["as_message", "next_reply"]


async def next_reply(
    agent: ChatAgent, arguments: Mapping[str, Any], *, streaming: bool
) -> AsyncGenerator[StreamChunk | CreateResult, None]:
    """What the model says to the conversation: chunks, if it streams, and always a result last.

    Raises:
        ProtocolError: The client's stream ended without a result.
    """
    messages = [*_instructions(agent), *await agent.model_context.get_messages()]
    client = _routed(agent)
    if agent.tools:
        arguments = {"tools": agent.tools, **arguments}
    if not streaming:
        yield await client.create(messages, **arguments)
        return
    result = None
    async with aclosing(client.create_stream(messages, **arguments)) as events:
        async for event in events:
            if isinstance(event, CreateResult):
                result = event
            else:
                yield event if isinstance(event, StreamChunk) else StreamChunk(event)
    if result is None:
        raise ProtocolError(
            f"{type(agent.client).__name__}.create_stream ended without a CreateResult; "
            "it must yield one last."
        )
    yield result


def as_message(agent: ChatAgent, result: CreateResult) -> AssistantMessage:
    """A reply as the message of it that the agent remembers."""
    content = result.content or result.refusal or ""
    content = content if isinstance(content, str) else distinct(content)
    return AssistantMessage(content=content, thought=result.thought, source=agent.name)


def _routed(agent: ChatAgent) -> ChatCompletionClient:
    with attribute(source=agent.name):
        return through(agent.client)


def _instructions(agent: ChatAgent) -> list[LLMMessage]:
    return [SystemMessage(content=agent.system_message)] if agent.system_message else []
