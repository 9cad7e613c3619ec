"""A client that says what it was told to say: for tests, talks and documentation."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

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
from nbagents.models._cassette.client import CassetteClient
from nbagents.models._cassette.deck import Deck
from nbagents.models._cassette.recorded import RecordedModel
from nbagents.models._cassette.replies import result_in
from nbagents.models._public import PublicClient
from nbagents.models._wire.params import check_messages, parsed_content

if TYPE_CHECKING:
    import os

    from nbagents.models._client import ChatCompletionClient, ToolLike

__all__ = ["ReplayChatCompletionClient"]

Reply: TypeAlias = str | CreateResult | Exception
Event: TypeAlias = StreamChunk | CreateResult

_NOTHING = RequestUsage(0, 0)
_WINDOW = 10_000
_WORD = re.compile(r"\s*\S+\s*|\s+")


class ReplayChatCompletionClient(PublicClient):
    """A client that gives prepared replies, one a request, in their order.

    Tokens are counted as words, and marked as estimated. A stream gives a text word by word.

    A text costs nothing: it is marked as cached, unless `set_cached_bool_value` says no. A
    `CreateResult` is given as it is, and costs what it says: nothing where it is ``cached``, else
    its ``usage`` at the price of its ``model``, which is not known where it names none.

    Args:
        chat_completions: The replies. A text becomes a `CreateResult` that ends with ``"stop"``;
            an exception is raised.
        model_info: What the model is said to be able to do; by default nothing but text.

    Attributes:
        chat_completions: The replies; more may be appended.
    """

    _direct: _PreparedReplies | _RecordedReplies

    def __init__(
        self, chat_completions: Sequence[Reply], model_info: ModelInfo | None = None
    ) -> None:
        info = _PLAIN if model_info is None else model_info
        validate_model_info(info)
        self.chat_completions: list[Reply] = list(chat_completions)
        self._direct = _PreparedReplies(self.chat_completions, info)

    @classmethod
    def from_cassette(
        cls,
        cassette: str | os.PathLike[str],
        *,
        client: ChatCompletionClient | None = None,
        model_info: ModelInfo | None = None,
        real_time: bool = False,
    ) -> Self:
        """Make a client that gives the replies of a cassette to who asks what was asked then.

        Nothing is ever sent. Asked again, a request gets its next reply, and after the last the
        first again; the order of different requests makes no difference.

        Args:
            cassette: The cassette's file.
            client: Whose requests they are. Without one the model is that of the cassette, with
                the arguments that all recorded requests share.
            model_info: What the model can do, where ``client`` is left out and the model's name
                does not tell.
            real_time: Whether replies come as slowly as they once did.

        Raises:
            ConfigurationError: The file is no cassette.
            CassetteMissError: (when asked) The request is not in the cassette.
        """
        deck = Deck(cassette, "replay", real_time=real_time)
        replayed = cls.__new__(cls)
        replayed._direct = _RecordedReplies(client or RecordedModel(deck, model_info), deck)
        replayed.chat_completions = [
            result_in(record) for record in deck.records if record.ending == "result"
        ]
        return replayed

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What was asked, streamed or not: the arguments of each call, oldest first."""
        return [arguments for _, arguments in self._direct.asked]

    @property
    def create_calls(self) -> list[dict[str, Any]]:
        """What `create` was asked, streams left out: the arguments of each call, oldest first."""
        return [arguments for method, arguments in self._direct.asked if method == "create"]

    def reset(self) -> None:
        """Begin again with the first reply, and with no usage; the calls are kept.

        Of a cassette the usage stays.
        """
        self._direct.reset()

    def set_cached_bool_value(self, value: bool) -> None:
        """Say whether texts become results that are marked as cached; they are by default."""
        self._direct.cached = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.chat_completions)} replies)"


class _PreparedReplies:
    """The plain client behind the public one: nothing is measured or wrapped here."""

    model = "replay"
    skips_cassette = True

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
        check_messages(messages)
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


class _RecordedReplies(CassetteClient):
    """A cassette that is only replayed, and remembers what it was asked."""

    cached = False

    def __init__(self, client: ChatCompletionClient, deck: Deck) -> None:
        super().__init__(client, deck)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def reset(self) -> None:
        self._deck.rewind()

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        self.asked.append(("create", {"messages": list(messages), **arguments}))
        return await super().create(messages, **arguments)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **arguments: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        self.asked.append(("create_stream", {"messages": list(messages), **arguments}))
        async with aclosing(super().create_stream(messages, **arguments)) as events:
            async for event in events:
                yield event


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
