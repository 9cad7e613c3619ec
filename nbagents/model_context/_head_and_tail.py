"""The context that shows how a conversation began and where it is now."""

from __future__ import annotations

from collections.abc import Sequence

from nbagents.errors import ConfigurationError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.model_context._base import ChatCompletionContext
from nbagents.model_context._units import (
    Unit,
    messages_of,
    newest,
    size_of,
    units_of,
    without_head,
)

__all__ = ["HeadAndTailChatCompletionContext"]


class HeadAndTailChatCompletionContext(ChatCompletionContext):
    """A context that shows the first and the newest messages.

    Between the two a user message says how many were left out.

    Args:
        head_size: How many of the first messages to show at most. The system messages that the
            conversation begins with are among them, and shown in any case.
        tail_size: How many of the newest messages to show at most; a unit of calls and results
            that alone is longer is shown whole.
        initial_messages: What the context starts with.

    Raises:
        ConfigurationError: A size is not positive.
    """

    def __init__(
        self,
        head_size: int,
        tail_size: int,
        initial_messages: Sequence[LLMMessage] | None = None,
    ) -> None:
        super().__init__(initial_messages)
        for name, size in (("head_size", head_size), ("tail_size", tail_size)):
            if size <= 0:
                raise ConfigurationError(f"{name} must be at least 1, not {size}.")
        self._head_size = head_size
        self._tail_size = tail_size

    async def get_messages(self) -> list[LLMMessage]:
        """Return the first units that fit in ``head_size``, and the last in ``tail_size``."""
        head, units = without_head(units_of(self._messages))
        first = _oldest(units, self._head_size - len(head))
        last = newest(units[len(first) :], self._tail_size)
        skipped = size_of(units[len(first) : len(units) - len(last)])
        note = [_note_of(skipped)] if skipped else []
        return head + messages_of(first) + note + messages_of(last)

    def _settings(self) -> str:
        return f"head_size={self._head_size}, tail_size={self._tail_size}"


def _oldest(units: Sequence[Unit], size: int) -> list[Unit]:
    """As many of the first units as fit in ``size`` messages."""
    end = 0
    while end < len(units) and len(units[end]) <= size:
        size -= len(units[end])
        end += 1
    return list(units[:end])


def _note_of(skipped: int) -> LLMMessage:
    messages = "1 message is" if skipped == 1 else f"{skipped} messages are"
    return UserMessage(content=f"({messages} left out here.)", source="System")
