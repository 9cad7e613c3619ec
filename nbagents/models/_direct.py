"""The plain client behind the public ones: a request in, a reply out, nothing around it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nbagents.messages import (
    CreateResult,
    LLMMessage,
    ModelCapabilities,
    ModelInfo,
    RequestUsage,
)
from nbagents.models._arguments import stream_options_for
from nbagents.models._calibration import calibration
from nbagents.models._call import Call, Event, Means
from nbagents.models._capabilities import window_of
from nbagents.models._concessions import Concessions
from nbagents.models._request import Asked, Defaults, arguments_for, schema_in
from nbagents.models._requests import EMBEDDED_HOST
from nbagents.models._tally import Tally

if TYPE_CHECKING:
    from nbagents._cancellation import CancellationToken
    from nbagents._keys import Secret
    from nbagents.models._client import JsonOutput, ToolChoice, ToolLike
    from nbagents.models._connections import Connections
    from nbagents.models._failures import Failures
    from nbagents.models._limits import Limits
    from nbagents.models._tokens import Tokens

__all__ = ["DirectChatClient"]


class DirectChatClient:
    """Sends requests through the SDK, and reads the bytes that come back.

    Args:
        defaults: What all requests have in common.
        limits: Deadlines and caps.
        failures: Turns the errors of the libraries below into ours.
        connections: The SDK clients, some per loop.
        tokens: Where their tokens come from, if they do not have a key.
    """

    def __init__(
        self,
        defaults: Defaults,
        limits: Limits,
        failures: Failures,
        connections: Connections,
        tokens: Tokens | None = None,
    ) -> None:
        self._defaults = defaults
        self._limits = limits
        self._failures = failures
        self._connections = connections
        self._tally = Tally()
        self._means = Means(defaults, failures, connections, tokens, Concessions(), self._tally)

    @property
    def model(self) -> str:
        """The model's name, as it is sent."""
        return self._defaults.model

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
        """Ask, and wait for the whole reply."""
        asked = Asked(messages, tools, tool_choice, json_output, extra_create_args)
        arguments = arguments_for(asked, self._defaults)
        arguments.pop("stream_options", None)
        limits = self._limits_in(arguments)
        # A server may be silent until the reply is whole: only the total counts.
        limits = replace(limits, first_byte=limits.total, silence=None)
        call = Call(self._means, asked, arguments, limits, cancellation_token)
        async with aclosing(call.events()) as events:
            async for event in events:
                if isinstance(event, CreateResult):
                    return event.model_copy(update={"time_to_first_token": None})
        raise AssertionError("a reply ends in a result or an error")

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolLike] = (),
        tool_choice: ToolChoice = "auto",
        json_output: JsonOutput = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
        include_usage: bool | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Ask, and yield the reply as it comes."""
        asked = Asked(messages, tools, tool_choice, json_output, extra_create_args)
        arguments = arguments_for(asked, self._defaults)
        options = stream_options_for(arguments, include_usage)
        arguments.pop("stream_options", None)
        if options:
            arguments["stream_options"] = options
        arguments["stream"] = True
        limits = self._limits_in(arguments)
        call = Call(self._means, asked, arguments, limits, cancellation_token)
        async with aclosing(call.events()) as events:
            async for event in events:
                yield event

    @property
    def endpoint(self) -> str:
        """Where requests go."""
        return self._failures.endpoint

    @property
    def credentials(self) -> tuple[Secret[str], ...]:
        """What must be written nowhere."""
        return self._failures.credentials

    def request_for(self, asked: Asked) -> dict[str, Any]:
        """What a call would send, ``stream`` left out.

        Raises:
            ConfigurationError: The model cannot do it, or an argument is unknown.
        """
        return arguments_for(asked, self._defaults)

    def schema_of(self, asked: Asked) -> JsonOutput:
        """What form the reply to a call must have."""
        return schema_in(asked, self._defaults)

    @property
    def is_embedded(self) -> bool:
        """Whether the embedded model answers, without a request that could go anywhere."""
        return urlsplit(self.endpoint).hostname == EMBEDDED_HOST

    def count_replayed(self, asked: Asked, usage: RequestUsage | None) -> None:
        """Count a reply that came from a recording, as if it had come from the server."""
        if usage is not None:
            model = asked.extra.get("model", self.model)
            calibration.learn(asked.messages, usage, tools=asked.tools, model=model)
        self._tally.add(usage)

    async def close(self) -> None:
        """Let go of the connections of all loops; a later request opens new ones."""
        await self._connections.close()

    def actual_usage(self) -> RequestUsage:
        """The tokens of all replies so far."""
        return self._tally.total

    def total_usage(self) -> RequestUsage:
        """The tokens of all replies so far."""
        return self._tally.total

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens they take: estimated, and corrected by what the server has reported."""
        return calibration.tokens(messages, tools=tools, model=self.model)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens the model's window leaves after them; below 0 when they exceed it."""
        return window_of(self.model) - self.count_tokens(messages, tools=tools)

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return self._defaults.info

    @property
    def capabilities(self) -> ModelCapabilities:
        """The older form of `model_info`."""
        info = self._defaults.info
        return ModelCapabilities(
            vision=info["vision"],
            function_calling=info["function_calling"],
            json_output=info["json_output"],
        )

    def _limits_in(self, arguments: dict[str, Any]) -> Limits:
        """The limits of one call, which may bring a ``timeout`` of its own."""
        if "timeout" not in arguments:
            return self._limits
        return self._limits.within(arguments.pop("timeout"))
