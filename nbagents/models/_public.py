"""What public clients that are not the SDK's have in common: requests that go `through`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbagents.messages import (
    CreateResult,
    LLMMessage,
    ModelCapabilities,
    ModelInfo,
    RequestUsage,
)
from nbagents.models._stream import ReplyStream
from nbagents.models._wrappers import through

if TYPE_CHECKING:
    from nbagents._cancellation import CancellationToken
    from nbagents.models._client import ChatCompletionClient, JsonOutput, ToolChoice, ToolLike

__all__ = ["PublicClient"]


class PublicClient:
    """A client whose requests go through the process's wrappers and meter."""

    _direct: ChatCompletionClient

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolLike] = (),
        tool_choice: ToolChoice = "auto",
        json_output: JsonOutput = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """Ask and wait for the whole reply; the arguments are those of every client."""
        return await through(self._direct).create(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )

    def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolLike] = (),
        tool_choice: ToolChoice = "auto",
        json_output: JsonOutput = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> ReplyStream[str | CreateResult]:
        """Ask and iterate over the reply's chunks, and last its `CreateResult`."""
        stream = through(self._direct).create_stream(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )
        return ReplyStream(stream)

    async def close(self) -> None:
        """Let go of the connections, where there are any."""
        await self._direct.close()

    def actual_usage(self) -> RequestUsage:
        """The tokens that were paid for."""
        return self._direct.actual_usage()

    def total_usage(self) -> RequestUsage:
        """The tokens of all replies."""
        return self._direct.total_usage()

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens the messages and tools take."""
        return self._direct.count_tokens(messages, tools=tools)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens the model's window leaves after them."""
        return self._direct.remaining_tokens(messages, tools=tools)

    @property
    def model(self) -> str:
        """The model's name."""
        return str(getattr(self._direct, "model", type(self).__name__))

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return self._direct.model_info

    @property
    def capabilities(self) -> ModelCapabilities:
        """The older form of `model_info`."""
        return self._direct.capabilities

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.model!r})"
