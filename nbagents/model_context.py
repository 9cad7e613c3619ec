"""What a model is shown of a conversation: contexts that hold messages and give a bounded view.

A view is always one that the API accepts: function calls and their results are one unit and
never parted, it does not begin with the result of a call that is out of sight, and the newest
unit is always in it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from nbagents.errors import ConfigurationError
from nbagents.messages import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
)

__all__ = [
    "BufferedChatCompletionContext",
    "ChatCompletionContext",
    "ChatCompletionContextState",
    "UnboundedChatCompletionContext",
]


class ChatCompletionContextState(BaseModel):
    """A context's messages, as they are saved."""

    messages: list[LLMMessage] = Field(default_factory=list)


class ChatCompletionContext(ABC):
    """Messages of a conversation, and a view of them for a model.

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


class UnboundedChatCompletionContext(ChatCompletionContext):
    """A context that shows everything."""

    async def get_messages(self) -> list[LLMMessage]:
        """Return all messages."""
        return list(self._messages)


class BufferedChatCompletionContext(ChatCompletionContext):
    """A context that shows the newest messages, and the system messages it began with.

    Args:
        buffer_size: How many messages to show at most; a unit of calls and results that alone
            is longer is shown whole.
        initial_messages: What the context starts with.

    Raises:
        ConfigurationError: ``buffer_size`` is not positive.
    """

    def __init__(
        self, buffer_size: int, initial_messages: Sequence[LLMMessage] | None = None
    ) -> None:
        super().__init__(initial_messages)
        if buffer_size <= 0:
            raise ConfigurationError(f"buffer_size must be at least 1, not {buffer_size}.")
        self._buffer_size = buffer_size

    async def get_messages(self) -> list[LLMMessage]:
        """Return the newest units that fit in ``buffer_size`` messages."""
        head = _leading_system_messages(self._messages)
        return head + _newest(self._messages[len(head) :], self._buffer_size - len(head))


def _leading_system_messages(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    head: list[LLMMessage] = []
    for message in messages:
        if not isinstance(message, SystemMessage):
            break
        head.append(message)
    return head


def _newest(messages: Sequence[LLMMessage], size: int) -> list[LLMMessage]:
    """The longest run of whole units at the end within ``size``, and at least the last unit."""
    start = len(messages)
    for begin in reversed(_unit_starts(messages)):
        if start < len(messages) and len(messages) - begin > size:
            break
        start = begin
    return list(messages[start:])


def _unit_starts(messages: Sequence[LLMMessage]) -> list[int]:
    """Where units begin; results without their calls belong to no unit and begin none."""
    starts: list[int] = []
    in_unit = False
    for index, message in enumerate(messages):
        is_result = isinstance(message, FunctionExecutionResultMessage)
        if not is_result:
            starts.append(index)
        elif not in_unit:
            continue
        in_unit = is_result or _has_calls(message)
    return starts


def _has_calls(message: LLMMessage) -> bool:
    return isinstance(message, AssistantMessage) and not isinstance(message.content, str)
