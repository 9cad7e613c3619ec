"""The seam: what a model client is to the rest of nbagents."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from nbagents._cancellation import CancellationToken
    from nbagents.messages import (
        CreateResult,
        LLMMessage,
        ModelCapabilities,
        ModelInfo,
        RequestUsage,
    )

__all__ = ["ChatCompletionClient", "JsonOutput", "SupportsToolSchema", "ToolChoice"]


class SupportsToolSchema(Protocol):
    """Anything that can be offered to a model as a tool."""

    @property
    def name(self) -> str:
        """The tool's name."""
        ...

    @property
    def schema(self) -> Mapping[str, Any]:
        """Its name, description and parameters, as the API takes them."""
        ...


ToolLike: TypeAlias = "SupportsToolSchema | Mapping[str, Any]"
ToolChoice: TypeAlias = "SupportsToolSchema | Literal['auto', 'required', 'none']"
JsonOutput: TypeAlias = "bool | type[BaseModel] | None"


@runtime_checkable
class ChatCompletionClient(Protocol):
    """A client of a model. Any class with these methods is one; nothing need be inherited.

    Messages are sent whole with every call: a client remembers nothing but its usage.
    """

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
        """Ask the model and wait for the whole reply.

        Args:
            messages: The conversation so far.
            tools: What the model may call.
            tool_choice: A tool it must call; or whether it may (auto), must (required) or
                must not (none).
            json_output: True for JSON, a pydantic model for JSON of its schema.
            extra_create_args: Further arguments of the API, for this call alone.
            cancellation_token: Cancels the call when used.
        """
        ...

    def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolLike] = (),
        tool_choice: ToolChoice = "auto",
        json_output: JsonOutput = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Ask the model and yield the reply's chunks as they come; last, the `CreateResult`."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...

    def actual_usage(self) -> RequestUsage:
        """The tokens that were paid for: those of replies that no cache answered."""
        ...

    def total_usage(self) -> RequestUsage:
        """The tokens of all replies."""
        ...

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens the messages and tools take."""
        ...

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens the model's window leaves after them."""
        ...

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        ...

    @property
    def capabilities(self) -> ModelCapabilities:
        """The older form of `model_info`."""
        ...
