"""The context that shows as much as fits in a number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbagents.errors import ConfigurationError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.model_context._base import ChatCompletionContext
from nbagents.model_context._units import messages_of, units_of, without_head

if TYPE_CHECKING:
    from nbagents.models import ChatCompletionClient

__all__ = ["TokenLimitedChatCompletionContext"]

# Each message is counted beside this one, so that what a request takes around its messages is
# not counted with each. It is long enough to show when the client learns to count better.
_PROBE = UserMessage(content="The quick brown fox jumps over the lazy dog. " * 10, source="user")


class TokenLimitedChatCompletionContext(ChatCompletionContext):
    """A context that shows the newest messages that fit in a number of tokens.

    The system messages that it began with are always shown, and so is the newest unit of calls
    and results, even where they alone exceed the limit. Each message is counted once.

    Args:
        model_client: The client that counts.
        token_limit: How many tokens messages and tools may take; what the client's model reads
            (its ``remaining_tokens``) when left out.
        tool_schema: The tools, or their schemas, that will be sent with the messages.
        initial_messages: What the context starts with.

    Raises:
        ConfigurationError: ``token_limit`` is not positive.
    """

    def __init__(
        self,
        model_client: ChatCompletionClient,
        *,
        token_limit: int | None = None,
        tool_schema: Sequence[Any] | None = None,
        initial_messages: Sequence[LLMMessage] | None = None,
    ) -> None:
        super().__init__(initial_messages)
        if token_limit is not None and token_limit <= 0:
            raise ConfigurationError(f"token_limit must be at least 1, not {token_limit}.")
        self._model_client = model_client
        self._token_limit = token_limit
        self._tool_schema: list[Any] = list(tool_schema or ())
        self._counter = _Counter(model_client)

    async def get_messages(self) -> list[LLMMessage]:
        """Return the newest units that fit."""
        head, units = without_head(units_of(self._messages))
        self._counter.begin()
        room = self._room() - self._tokens_of(head)
        start = len(units)
        while start > 0:
            room -= self._tokens_of(units[start - 1])
            if room < 0 and start < len(units):
                break
            start -= 1
        self._counter.end()
        return head + messages_of(units[start:])

    def _room(self) -> int:
        """The tokens for messages: the limit without the tools and what every request takes."""
        probe, tools, client = [_PROBE], self._tool_schema, self._model_client
        if self._token_limit is None:
            return client.remaining_tokens(probe, tools=tools) + self._counter.of(_PROBE)
        taken = client.count_tokens(probe, tools=tools) - self._counter.of(_PROBE)
        return self._token_limit - taken

    def _tokens_of(self, messages: Sequence[LLMMessage]) -> int:
        return sum(map(self._counter.of, messages))

    def _settings(self) -> str:
        return f"token_limit={self._token_limit}"


class _Counter:
    """Counts each message once, for as long as it is in sight and the client counts the same."""

    def __init__(self, client: ChatCompletionClient) -> None:
        self._client = client
        self._probe_tokens = 0
        self._known: dict[int, tuple[LLMMessage, int]] = {}
        self._seen: dict[int, tuple[LLMMessage, int]] = {}

    def begin(self) -> None:
        """Before a view: forget all counts if the client has learned to count otherwise."""
        probe_tokens = self._client.count_tokens([_PROBE])
        if probe_tokens != self._probe_tokens:
            self._known.clear()
        self._probe_tokens = probe_tokens
        self._seen = {}

    def of(self, message: LLMMessage) -> int:
        """The tokens that ``message`` adds to a request."""
        # By identity; the entry holds the message, so that no other can take its id.
        known = self._known.get(id(message)) or self._seen.get(id(message))
        if known is None:
            tokens = self._client.count_tokens([_PROBE, message]) - self._probe_tokens
            known = message, tokens
        self._seen[id(message)] = known
        return known[1]

    def end(self) -> None:
        """After a view: forget what is out of sight."""
        self._known, self._seen = self._seen, {}
