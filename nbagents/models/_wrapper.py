"""What clients that wrap a client have in common: all that they leave to the one inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbagents.messages import LLMMessage, ModelCapabilities, ModelInfo, RequestUsage
    from nbagents.models._client import ChatCompletionClient, ToolLike

__all__ = ["ClientWrapper"]


class ClientWrapper:
    """Answers for another client; a subclass says what ``create`` and ``create_stream`` add.

    Args:
        client: The client inside.
    """

    def __init__(self, client: ChatCompletionClient) -> None:
        self._client = client

    async def close(self) -> None:
        """Close the wrapped client."""
        await self._client.close()

    def actual_usage(self) -> RequestUsage:
        """The wrapped client's."""
        return self._client.actual_usage()

    def total_usage(self) -> RequestUsage:
        """The wrapped client's."""
        return self._client.total_usage()

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """The wrapped client's."""
        return self._client.count_tokens(messages, tools=tools)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """The wrapped client's."""
        return self._client.remaining_tokens(messages, tools=tools)

    @property
    def model_info(self) -> ModelInfo:
        """The wrapped client's."""
        return self._client.model_info

    @property
    def capabilities(self) -> ModelCapabilities:
        """The wrapped client's."""
        return self._client.capabilities
