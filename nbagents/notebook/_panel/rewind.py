"""Going back in an agent's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbagents.agents._turns import turns_of
from nbagents.errors import NbAgentsError
from nbagents.model_context import ChatCompletionContextState

if TYPE_CHECKING:
    from nbagents.messages import LLMMessage, UserMessage
    from nbagents.model_context import ChatCompletionContext

__all__ = ["memory_of", "restore", "rewind"]

_CHANGED = (
    "The agent's memory is not what this panel shows, so it cannot go back to this message. "
    "Send the text anew instead."
)


async def memory_of(context: ChatCompletionContext) -> list[LLMMessage]:
    """All that the agent remembers, oldest first."""
    state = await context.save_state()
    return ChatCompletionContextState.model_validate({"messages": state["messages"]}).messages


async def rewind(context: ChatCompletionContext, said: Sequence[UserMessage]) -> None:
    """Forget the newest messages of the user, and all that followed the first of them.

    Args:
        context: The memory.
        said: What these messages said, oldest first.

    Raises:
        NbAgentsError: Something else was said; nothing is forgotten.
    """
    if not said:
        return
    async with turns_of(context):
        state = await context.save_state()
        messages = await memory_of(context)
        asked = [
            number for number, message in enumerate(messages) if message.type == "UserMessage"
        ][-len(said) :]
        if [messages[number].content for number in asked] != [each.content for each in said]:
            raise NbAgentsError(_CHANGED)
        await context.load_state({**state, "messages": state["messages"][: asked[0]]})


async def restore(context: ChatCompletionContext, state: Mapping[str, Any]) -> None:
    """Bring back what was remembered before the memory was cleared.

    Raises:
        NbAgentsError: A new conversation has begun.
    """
    async with turns_of(context):
        if len(await memory_of(context)) > len(context.initial_messages):
            raise NbAgentsError(
                "A new conversation has begun, so the old one cannot be brought back."
            )
        await context.load_state(state)
