"""The base of all contexts, and the one that shows everything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from nbagents.messages import LLMMessage
from nbagents.model_context._units import messages_of, units_of

__all__ = [
    "ChatCompletionContext",
    "ChatCompletionContextState",
    "UnboundedChatCompletionContext",
]


class ChatCompletionContextState(BaseModel):
    """A context's messages, as they are saved."""

    messages: list[LLMMessage] = Field(default_factory=list)


class ChatCompletionContext(ABC):
    """Messages of a conversation, and a view of them for a model.

    As the last expression of a cell it shows the conversation.

    Args:
        initial_messages: What the context starts with and returns to with `clear`.
    """

    def __init__(self, initial_messages: Sequence[LLMMessage] | None = None) -> None:
        self._initial_messages: list[LLMMessage] = list(initial_messages or ())
        self._messages: list[LLMMessage] = list(self._initial_messages)

    @property
    def initial_messages(self) -> list[LLMMessage]:
        """What the context starts with: a copy."""
        return list(self._initial_messages)

    async def add_message(self, message: LLMMessage) -> None:
        """Append a message."""
        self._messages.append(message)

    @abstractmethod
    async def get_messages(self) -> list[LLMMessage]:
        """Return the view for the model: a new list, oldest first."""

    async def clear(self) -> None:
        """Forget everything but the initial messages."""
        self._messages = list(self._initial_messages)

    async def save_state(self) -> Mapping[str, Any]:
        """Return all messages, as JSON-able data."""
        return ChatCompletionContextState(messages=self._messages).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the messages that `save_state` returned."""
        self._messages = ChatCompletionContextState.model_validate(state).messages

    def _settings(self) -> str:
        """The bounds of the view, as they are written in the constructor."""
        return ""

    def __len__(self) -> int:
        return len(self._messages)

    def __bool__(self) -> bool:
        return True  # an empty context is still a context

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._settings()}): {len(self._messages):,} messages>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        from nbagents.model_context._show import conversation_bundle

        return conversation_bundle(self._messages, f"{type(self).__name__}({self._settings()})")


class UnboundedChatCompletionContext(ChatCompletionContext):
    """A context that shows everything."""

    async def get_messages(self) -> list[LLMMessage]:
        """Return all messages."""
        return messages_of(units_of(self._messages))
