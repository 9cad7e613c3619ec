"""The client of OpenAI's chat completions API, and of every server that speaks it."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

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
from nbagents.models._arguments import check_create_arguments
from nbagents.models._capabilities import info_for
from nbagents.models._connections import Connections
from nbagents.models._connections import http_client as new_http_client
from nbagents.models._direct import DirectChatClient
from nbagents.models._failures import Failures
from nbagents.models._limits import Limits
from nbagents.models._request import Defaults
from nbagents.models._requests import is_loopback
from nbagents.models._secrets import Secret, key_from
from nbagents.models._stream import ReplyStream
from nbagents.models._tokens import TokenProvider, asked_aside
from nbagents.models._wrappers import through

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

    from nbagents._cancellation import CancellationToken
    from nbagents.models._client import JsonOutput, ToolChoice, ToolLike

__all__ = ["OpenAIChatCompletionClient"]

_OPENAI_URL = "https://api.openai.com/v1"

# Whose models have names of their own, so that the name alone says where to ask.
_PROVIDERS = (
    (
        "gemini-",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        "GEMINI_API_KEY",
    ),
    ("claude-", "https://api.anthropic.com/v1/", "ANTHROPIC_API_KEY"),
    ("Llama-", "https://api.llama.com/compat/v1/", "LLAMA_API_KEY"),
)


class BaseChatClient:
    """What the clients of OpenAI and of Azure share: all but construction."""

    _direct: DirectChatClient
    _arguments: dict[str, Any]

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
    ) -> ReplyStream:
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
            warnings.warn(
                "max_consecutive_empty_chunk_tolerance is deprecated and does nothing.",
                DeprecationWarning,
                stacklevel=2,
            )
        told = {} if include_usage is None else {"include_usage": include_usage}
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
        """The older form of `model_info`; deprecated."""
        warnings.warn("capabilities is deprecated; use model_info.", DeprecationWarning, 2)
        return self._direct.capabilities

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.model!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self._arguments)


class OpenAIChatCompletionClient(BaseChatClient):
    """A client of OpenAI, or of any server with OpenAI's chat completions API.

    One client works everywhere: in several event loops and threads, at once and one after the
    other. Connections are kept for minutes, so that the next cell finds them warm. Making one
    is cheap: the SDK is imported with the first request.

    A name that begins with ``gemini-``, ``claude-`` or ``Llama-`` goes to its maker's server,
    with the key in ``GEMINI_API_KEY``, ``ANTHROPIC_API_KEY`` or ``LLAMA_API_KEY``, unless
    ``base_url`` or ``api_key`` say otherwise.

    Args:
        model: The model's name. Any will do; one that is not known here gets sensible
            capabilities, and one warning.
        api_key: The key, or a coroutine function that returns one; else ``OPENAI_API_KEY``. A
            server on this machine needs none.
        base_url: The server; else ``OPENAI_BASE_URL``, else OpenAI. ``http://localhost:11434/v1``
            is Ollama.
        organization: The OpenAI organization; else ``OPENAI_ORG_ID``.
        project: The OpenAI project; else ``OPENAI_PROJECT_ID``.
        timeout: Seconds for the whole request, None for no deadline at all; not heeded where
            ``limits`` are given.
        max_retries: How often the SDK repeats a request that failed before any text came.
        default_headers: Headers of every request.
        default_query: Query parameters of every request.
        http_client: An ``httpx2.AsyncClient`` to send with, for a proxy or certificate of one's
            own. It works in one event loop, is yours to close, and keeps its own connections;
            the ``first_byte`` and ``error_bytes`` limits are then its own affair.
        limits: Deadlines and caps.
        model_info: What the model can do, where the name does not tell.
        model_capabilities: Deprecated; give ``model_info``.
        add_name_prefixes: Whether user texts begin with who says them.
        include_name_in_message: Whether user messages carry the ``name`` of who says them.
        create_args: Arguments of the API for every request: ``temperature``, ``max_tokens``,
            ``seed``, ``stop``, ``reasoning_effort``, ``extra_body`` and all others.

    Raises:
        ConfigurationError: There is no key, an argument is unknown, or two contradict.
    """

    def __init__(
        self,
        *,
        model: str,
        api_key: str | TokenProvider | Secret[str] | None = None,
        base_url: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        timeout: float | None = 600.0,
        max_retries: int = 2,
        default_headers: Mapping[str, str] | Secret[Mapping[str, str]] | None = None,
        default_query: Mapping[str, object] | None = None,
        http_client: httpx2.AsyncClient | None = None,
        limits: Limits | None = None,
        model_info: ModelInfo | None = None,
        model_capabilities: ModelCapabilities | None = None,
        add_name_prefixes: bool = False,
        include_name_in_message: bool = True,
        _transport: Callable[[], httpx2.AsyncBaseTransport] | None = None,
        **create_args: Any,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in _SETTINGS}
        check_create_arguments(create_args, also=_SETTINGS)
        base_url, variable = _server_of(model, base_url)
        headers = _hidden(default_headers)
        key = None if callable(api_key) else key_from(api_key, variable)
        if key is None and not callable(api_key):
            key = _substitute_key(base_url, variable, headers, needless=_transport is not None)
        limits = limits if limits is not None else Limits().within(timeout)
        failures = Failures(base_url, model, [key] if key else [])
        ask = (
            asked_aside(api_key, "api_key", "Check what it does; it is to return the key.")
            if callable(api_key)
            else None
        )

        def build() -> AsyncOpenAI:
            import openai

            client = http_client or new_http_client(limits, _transport and _transport())
            return openai.AsyncOpenAI(
                api_key=ask or (key.reveal() if key else None),
                base_url=base_url,
                organization=organization,
                project=project,
                max_retries=max_retries,
                default_headers=headers.reveal() if headers else None,
                default_query=default_query,
                http_client=client,
            )

        info = _info(model, model_info, model_capabilities)
        defaults = Defaults(model, info, create_args, add_name_prefixes, include_name_in_message)
        connections = Connections(build, owned=http_client is None)
        self._direct = DirectChatClient(defaults, limits, failures, connections)
        self._arguments = {**settings, "default_headers": headers, **create_args}
        if not callable(api_key):
            self._arguments["api_key"] = key


_SETTINGS = frozenset(inspect.signature(OpenAIChatCompletionClient).parameters) - {"create_args"}


def _server_of(model: str, base_url: str | None) -> tuple[str, str]:
    """Where to ask for ``model``, and which environment variable holds the key."""
    for prefix, url, variable in _PROVIDERS:
        if model.startswith(prefix):
            if base_url is None:
                return url, variable
            return base_url, variable if os.environ.get(variable) else "OPENAI_API_KEY"
    return base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI_URL, "OPENAI_API_KEY"


def _substitute_key(
    base_url: str, variable: str, headers: Secret[Mapping[str, str]] | None, *, needless: bool
) -> Secret[str]:
    """What to send as the key where none is needed.

    Raises:
        ConfigurationError: One is needed.
    """
    own = headers is not None and any(name.lower() == "authorization" for name in headers.reveal())
    if not (own or needless or is_loopback(base_url)):
        raise ConfigurationError(
            f"There is no API key for {base_url}. Set the environment variable {variable} before "
            "the kernel starts, or give api_key=...; a server on this machine needs none: "
            "base_url='http://localhost:11434/v1' is Ollama."
        )
    return Secret("none-needed", "")


def _hidden(
    headers: Mapping[str, str] | Secret[Mapping[str, str]] | None,
) -> Secret[Mapping[str, str]] | None:
    return headers if headers is None or isinstance(headers, Secret) else Secret(dict(headers))


def _info(model: str, info: ModelInfo | None, capabilities: ModelCapabilities | None) -> ModelInfo:
    """What the model can do, by what was given or else by its name."""
    if info is not None and capabilities is not None:
        raise ConfigurationError("model_info and model_capabilities are both given; drop the last.")
    if capabilities is not None:
        warnings.warn(
            "model_capabilities is deprecated; use model_info.", DeprecationWarning, stacklevel=3
        )
        info = ModelInfo(
            vision=capabilities["vision"],
            function_calling=capabilities["function_calling"],
            json_output=capabilities["json_output"],
            family=ModelFamily.UNKNOWN,
            structured_output=False,
        )
    if info is None:
        return info_for(model, stacklevel=3)
    validate_model_info(info)
    return info


def _remade(kind: type[Any], arguments: dict[str, Any]) -> Any:
    return kind(**arguments)
