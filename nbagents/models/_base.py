"""What the clients of OpenAI and of Azure share: all but construction."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from nbagents._keys import Secret
from nbagents._panels import panel_of
from nbagents._warnings import warn
from nbagents.errors import ConfigurationError
from nbagents.messages import (
    CreateResult,
    LLMMessage,
    ModelCapabilities,
    ModelFamily,
    ModelInfo,
    RequestUsage,
    StreamChunk,
    validate_model_info,
)
from nbagents.models._address import hidden_url
from nbagents.models._arguments import check_create_arguments
from nbagents.models._capabilities import info_for, thinks_unseen
from nbagents.models._connections import Connections
from nbagents.models._direct import DirectChatClient
from nbagents.models._failures import Failures
from nbagents.models._limits import Limits
from nbagents.models._request import Defaults
from nbagents.models._secrets import check_no_key, hidden, hidden_arguments, hidden_query, revealed
from nbagents.models._stream import ReplyStream
from nbagents.models._tokens import Tokens
from nbagents.models._wrappers import through

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from nbagents._cancellation import CancellationToken
    from nbagents.models._client import JsonOutput, ToolChoice, ToolLike
    from nbagents.notebook._panel.widget import ChatPanel

__all__ = ["BaseChatClient", "out_of_sight"]


class BaseChatClient:
    """What the clients of OpenAI and of Azure share: all but construction."""

    _direct: DirectChatClient
    _settings: dict[str, Any]

    def _assemble(
        self,
        build: Callable[..., AsyncOpenAI],
        failures: Failures,
        headers: Secret[Mapping[str, str]] | None,
        settings: dict[str, Any],
        create_args: dict[str, Any],
        tokens: Tokens | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            build: Makes an SDK client; it takes what all of them take.
            failures: Turns the errors of the libraries below into ours.
            headers: What to send with every request.
            settings: What the constructor was given, secrets hidden, create arguments left out.
            create_args: The create arguments.
            tokens: Where the SDK clients get their tokens, which a refused one is renewed by.
        """
        for name in ("model", "azure_deployment"):  # once more: by now the key itself is known
            check_no_key(settings.get(name), name)
        check_create_arguments(create_args, also=settings)
        create_args = hidden_arguments(create_args)
        info = _info(settings["model"], settings["model_info"], settings["model_capabilities"])
        limits = settings["limits"] or _limits_for(info, settings["timeout"])
        client, transport = settings["http_client"], settings["_transport"]

        def connect() -> AsyncOpenAI:
            from nbagents.models._http import GuardedClient

            return build(
                max_retries=settings["max_retries"],
                default_headers=revealed(headers),
                default_query=revealed(settings["default_query"]),
                http_client=client or GuardedClient(limits, transport and transport()),
            )

        defaults = Defaults(
            settings["model"],
            info,
            create_args,
            settings["add_name_prefixes"],
            settings["include_name_in_message"],
        )
        connections = Connections(connect, owned=client is None)
        self._direct = DirectChatClient(defaults, limits, failures, connections, tokens)
        self._settings = {**settings, **create_args}

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
            tool_choice: A tool it must call; or ``"auto"``, ``"required"``, ``"none"``.
            json_output: True for JSON; a pydantic model for JSON of its schema, whose validated
                instance is then ``result.parsed``.
            extra_create_args: Further arguments of the API, for this call alone.
            cancellation_token: Cancels the call when used, from any thread.

        Raises:
            ConfigurationError: The request is wrong before it is sent.
            RequestError: It failed; ``.partial`` has the text that came.
            RequestCancelledError: The token was used.
        """
        # Not as they were given: a traceback of this frame may be shown.
        extra_create_args = hidden_arguments(extra_create_args)
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
        max_consecutive_empty_chunk_tolerance: int = 0,
        include_usage: bool | None = None,
    ) -> ReplyStream[StreamChunk | CreateResult]:
        """Ask the model; iterate over the reply's chunks, and last its `CreateResult`.

        Leaving the ``async for``, by ``break`` too, closes the response at once.

        Args:
            messages: The conversation so far.
            tools: What the model may call.
            tool_choice: A tool it must call; or ``"auto"``, ``"required"``, ``"none"``.
            json_output: As for `create`.
            extra_create_args: Further arguments of the API, for this call alone.
            cancellation_token: Cancels the call when used, from any thread.
            max_consecutive_empty_chunk_tolerance: Deprecated; empty chunks do no harm.
            include_usage: Whether to ask for the usage. It is asked for unless this is False or
                ``stream_options`` say no; without it, usage is estimated, and marked so.

        Raises:
            ConfigurationError: The request is wrong before it is sent.
            RequestError: It failed; ``.partial`` has the text that came.
            RequestCancelledError: The token was used.
        """
        if max_consecutive_empty_chunk_tolerance:
            warn(
                "max_consecutive_empty_chunk_tolerance is deprecated and does nothing.",
                DeprecationWarning,
            )
        told = {} if include_usage is None else {"include_usage": include_usage}
        extra_create_args = hidden_arguments(extra_create_args)
        stream = through(self._direct).create_stream(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
            **told,
        )
        return ReplyStream(cast("AsyncGenerator[StreamChunk | CreateResult, None]", stream))

    def panel(self) -> ChatPanel:
        """A chat panel with a new conversation; as the last expression of a cell it is shown."""
        return panel_of(self)

    async def close(self) -> None:
        """Let go of the connections of every loop. A later request opens new ones."""
        await self._direct.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def actual_usage(self) -> RequestUsage:
        """The tokens of all this client's requests; cancelled and failed ones are estimated."""
        return self._direct.actual_usage()

    def total_usage(self) -> RequestUsage:
        """The same as `actual_usage`: this client answers nothing from a cache."""
        return self._direct.total_usage()

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens the messages and tools take, counted here, without the network.

        Exact for texts where tiktoken and its vocabulary are on this machine, else estimated.
        """
        return self._direct.count_tokens(messages, tools=tools)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens the model's window leaves; below 0 when the messages exceed it.

        A model that is not known is taken to read 32,768 tokens.
        """
        return self._direct.remaining_tokens(messages, tools=tools)

    @property
    def model(self) -> str:
        """The model's name, as it is sent."""
        return self._direct.model

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return self._direct.model_info

    @property
    def capabilities(self) -> ModelCapabilities:
        """The older form of `model_info`; deprecated, use that."""
        # No warning: isinstance(client, ChatCompletionClient) reads this on Python 3.11.
        return self._direct.capabilities

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.model!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self._settings)


def out_of_sight(settings: dict[str, Any]) -> dict[str, Any]:
    """What a constructor was given, the credentials in it hidden; keys are the caller's affair.

    Raises:
        ConfigurationError: Something is of a type that cannot be sent.
    """
    for name in ("model", "organization", "project"):
        given = settings.get(name)
        if not isinstance(given, str) and (given is not None or name == "model"):
            raise ConfigurationError(f"{name} takes text, not {type(given).__name__}.")
    return {
        **settings,
        "base_url": hidden_url(settings["base_url"]),
        "default_headers": hidden(settings["default_headers"]),
        "default_query": hidden_query(settings["default_query"]),
    }


def _limits_for(info: ModelInfo, timeout: float | None) -> Limits:
    limits = Limits()
    if thinks_unseen(info):
        limits = replace(limits, first_byte=limits.total, silence=limits.total)
    return limits.within(timeout)


def _info(model: str, info: ModelInfo | None, capabilities: ModelCapabilities | None) -> ModelInfo:
    """What the model can do, by what was given or else by its name."""
    if info is not None and capabilities is not None:
        raise ConfigurationError("model_info and model_capabilities are both given; drop the last.")
    if capabilities is not None:
        warn("model_capabilities is deprecated; use model_info.", DeprecationWarning)
        info = ModelInfo(
            vision=capabilities["vision"],
            function_calling=capabilities["function_calling"],
            json_output=capabilities["json_output"],
            family=ModelFamily.UNKNOWN,
            structured_output=False,
        )
    if info is None:
        return info_for(model)
    validate_model_info(info)
    return info


def _remade(kind: type[Any], arguments: dict[str, Any]) -> Any:
    return kind(**arguments)
