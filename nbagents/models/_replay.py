"""A client that says what it was told to say: for tests, talks and documentation."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from nbagents.errors import ConfigurationError, RequestCancelledError
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
from nbagents.models._stream import ReplyStream
from nbagents.models._wire.params import parsed_content
from nbagents.models._wrappers import through

if TYPE_CHECKING:
    from nbagents._cancellation import CancellationToken
    from nbagents.models._client import JsonOutput, ToolChoice, ToolLike

__all__ = ["ReplayChatCompletionClient"]

Reply: TypeAlias = str | CreateResult | Exception
Event: TypeAlias = StreamChunk | CreateResult

_NOTHING = RequestUsage(0, 0)
_WINDOW = 10_000
_WORD = re.compile(r"\s*\S+\s*|\s+")


class ReplayChatCompletionClient:
    """A client that gives prepared replies, one a request, in their order.

    Tokens are counted as words, and marked as estimated. A stream gives a text word by word.

    Args:
        chat_completions: The replies. A text becomes a `CreateResult` that ends with ``"stop"``;
            an exception is raised.
        model_info: What the model is said to be able to do; by default nothing but text.

    Attributes:
        chat_completions: The replies; more may be appended.
    """

    model = "replay"

    def __init__(
        self, chat_completions: Sequence[Reply], model_info: ModelInfo | None = None
    ) -> None:
        info = _PLAIN if model_info is None else model_info
        validate_model_info(info)
        self.chat_completions = list(chat_completions)
        self._direct = _PreparedReplies(self.chat_completions, info)

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
        """Give the next reply; what is asked makes no difference.

        Raises:
            ConfigurationError: All replies have been given.
            ProtocolError: ``json_output`` was asked for, and the reply is none.
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
    ) -> ReplyStream[str | CreateResult]:
        """Give the next reply word by word, and last its `CreateResult`.

        Raises:
            ConfigurationError: All replies have been given.
            ProtocolError: ``json_output`` was asked for, and the reply is none.
        """
        stream = through(self._direct).create_stream(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )
        return ReplyStream(stream)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What was asked, streamed or not: the arguments of each call, oldest first."""
        return [arguments for _, arguments in self._direct.asked]

    @property
    def create_calls(self) -> list[dict[str, Any]]:
        """What `create` was asked, streams left out: the arguments of each call, oldest first."""
        return [arguments for method, arguments in self._direct.asked if method == "create"]

    def reset(self) -> None:
        """Begin again with the first reply, and with no usage; the calls are kept."""
        self._direct.reset()

    def set_cached_bool_value(self, value: bool) -> None:
        """Say whether texts become results that are marked as cached; they are by default."""
        self._direct.cached = value

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    def actual_usage(self) -> RequestUsage:
        """The tokens of the last reply."""
        return self._direct.actual_usage()

    def total_usage(self) -> RequestUsage:
        """The tokens of all replies since the beginning or `reset`."""
        return self._direct.total_usage()

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many words the messages have."""
        return self._direct.count_tokens(messages, tools=tools)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """What all replies so far leave of 10,000 tokens."""
        return self._direct.remaining_tokens(messages, tools=tools)

    @property
    def model_info(self) -> ModelInfo:
        """What the model is said to be able to do."""
        return self._direct.model_info

    @property
    def capabilities(self) -> ModelCapabilities:
        """The older form of `model_info`."""
        return self._direct.capabilities

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.chat_completions)} replies)"


class _PreparedReplies:
    """The plain client behind the public one: nothing is measured or wrapped here."""

    model = ReplayChatCompletionClient.model

    def __init__(self, replies: list[Reply], info: ModelInfo) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.cached = True
        self._replies = replies
        self._info = info
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._given = 0
            self._last = self._total = _NOTHING

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        reply = self._next("create", messages, arguments)
        return self._result(reply, messages, arguments)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **arguments: Any
    ) -> AsyncGenerator[Event, None]:
        reply = self._next("create_stream", messages, arguments)
        result = self._result(reply, messages, arguments)
        async with aclosing(_words_of(result)) as words:
            async for word in words:
                _check_not_cancelled(arguments)
                yield word
        yield result

    def _next(
        self, method: str, messages: Sequence[LLMMessage], arguments: dict[str, Any]
    ) -> Reply:
        _check_not_cancelled(arguments)
        with self._lock:
            if self._given >= len(self._replies):
                raise ConfigurationError(
                    f"All {len(self._replies)} replies of the ReplayChatCompletionClient have been "
                    "given. Give it more, or call reset()."
                )
            reply = self._replies[self._given]
            self._given += 1
            self.asked.append((method, {"messages": list(messages), **arguments}))
        return reply

    def _result(
        self, reply: Reply, messages: Sequence[LLMMessage], arguments: dict[str, Any]
    ) -> CreateResult:
        if isinstance(reply, Exception):
            raise reply
        result = self._made_of(reply) if isinstance(reply, str) else reply
        usage = replace(result.usage, prompt_tokens=self.count_tokens(messages), estimated=True)
        with self._lock:
            self._last = usage
            self._total += usage
        if isinstance(reply, str):
            result = result.model_copy(update={"usage": usage})
        if result.parsed is None:
            parsed = parsed_content(arguments.get("json_output"), result)
            result = result.model_copy(update={"parsed": parsed})
        return result

    def _made_of(self, text: str) -> CreateResult:
        usage = RequestUsage(0, len(text.split()), estimated=True)
        return CreateResult(
            finish_reason="stop", content=text, usage=usage, cached=self.cached, model=self.model
        )

    async def close(self) -> None: ...

    def actual_usage(self) -> RequestUsage:
        return self._last

    def total_usage(self) -> RequestUsage:
        return self._total

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        texts = [message.content for message in messages]
        return sum(len(text.split()) for text in texts if isinstance(text, str))

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        return max(0, _WINDOW - self._total.total_tokens)

    @property
    def model_info(self) -> ModelInfo:
        return self._info

    @property
    def capabilities(self) -> ModelCapabilities:
        return ModelCapabilities(
            vision=self._info["vision"],
            function_calling=self._info["function_calling"],
            json_output=self._info["json_output"],
        )


async def _words_of(result: CreateResult) -> AsyncGenerator[StreamChunk, None]:
    """The reasoning and the text of a reply, word by word."""
    for word in _WORD.findall(result.thought or ""):
        await asyncio.sleep(0)
        yield StreamChunk(word, "reasoning")
    for word in _WORD.findall(result.text):
        await asyncio.sleep(0)
        yield StreamChunk(word)


def _check_not_cancelled(arguments: Mapping[str, Any]) -> None:
    token = arguments.get("cancellation_token")
    if token is not None and token.is_cancelled():
        raise RequestCancelledError("The request was cancelled by its token.")


_PLAIN = ModelInfo(
    vision=False,
    function_calling=False,
    json_output=False,
    family=ModelFamily.UNKNOWN,
    structured_output=False,
)
