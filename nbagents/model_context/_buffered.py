"""The context that shows the newest messages."""

from __future__ import annotations

from collections.abc import Sequence

from nbagents.errors import ConfigurationError
from nbagents.messages import LLMMessage
from nbagents.model_context._base import ChatCompletionContext
from nbagents.model_context._units import messages_of, newest, units_of, without_head

__all__ = ["BufferedChatCompletionContext"]


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
        head, units = without_head(units_of(self._messages))
        return head + messages_of(newest(units, self._buffer_size - len(head)))

    def _settings(self) -> str:
        return f"buffer_size={self._buffer_size}"
