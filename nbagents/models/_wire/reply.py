"""A reply, put together from the chunks that a server streams.

A completion that was not streamed is turned into one chunk (:func:`completion_to_chunk`) and
goes the same way, so ``create`` and ``create_stream`` cannot differ.

Every reply has one outcome. Complete, refused and filtered replies are results, told apart by
:attr:`ReplyBuilder.status`; incomplete and failed ones are errors that carry the text so far.

Calls follow AutoGen's contract: they are the content, and whatever the model said or reasoned
beside them is the thought. Calls that the model could not finish because of its length limit
stay in the content with finish reason ``length``; their arguments need not be JSON, and
whoever runs tools checks. A stream that breaks off raises, so its calls never reach anyone.
"""

from __future__ import annotations

from typing import Any, Literal, NoReturn

from nbagents._pieces import Pieces
from nbagents._unicode import bytes_per_character, mended
from nbagents.errors import IncompleteReplyError, ProtocolError, ServerError
from nbagents.messages import (
    ChatCompletionTokenLogprob,
    CreateResult,
    RequestUsage,
    StreamChunk,
)
from nbagents.models._wire.calls import CallCollector
from nbagents.models._wire.fastjson import JSONError, dumps
from nbagents.models._wire.reported import FAILURES, finish_reason, logprobs_in, usage_in
from nbagents.models._wire.said import Said
from nbagents.models._wire.server_errors import error_described_by, error_in, one_line
from nbagents.models._wire.shapes import completion_to_chunk, kind_of, reasoning_in, texts_in

__all__ = ["ReplyBuilder", "Status", "completion_to_chunk"]

Status = Literal["complete", "incomplete", "refused", "filtered", "failed"]
"""How a reply ended, in the ledger's words."""

_Json = dict[str, Any]
_MOST_CALLS = 1_000
_PER_LOGPROB = 8  # characters that a logprob counts for
_LONGEST_NAME = 200  # characters of what stands in footers and tables
_LEGACY_CALL = -1  # the place of the older API's one function call


class ReplyBuilder:
    """Chunks in, as decoded from JSON; the text to show out; a :class:`CreateResult` last.

    Whatever a server sends, methods return or raise one of our errors. What carries content
    and has the wrong type is a :class:`ProtocolError`; anything else of the wrong type counts
    as absent.

    Args:
        think_tags: Whether text between ``<think>`` tags at the beginning is reasoning: true
            for models of the R1 family. Not heeded once the server sends reasoning apart.
        max_reply: The longest reply with all its parts, in bytes of memory: a character takes
            one, but in a text that has others than Latin ones two, with an emoji four.

    Attributes:
        usage: What the server reported; None as long as it has not.
        model: The model's name as the server gave it, or None.
        response_id: The server's id of the reply, or None.
    """

    def __init__(self, *, think_tags: bool = False, max_reply: int = 8 * 1024 * 1024) -> None:
        self.usage: RequestUsage | None = None
        self.model: str | None = None
        self.response_id: str | None = None
        self._max_reply = max_reply
        self._size = 0
        self._width = 1
        self._said = Said(think_tags=think_tags)
        self._refusal = Pieces()
        self._calls = CallCollector()
        self._logprobs: list[ChatCompletionTokenLogprob] = []
        self._finish: str | None = None
        self._ended = False

    @property
    def partial(self) -> str:
        """The text so far, without reasoning."""
        return str(self._said.text)

    @property
    def size(self) -> int:
        """How much content has come, calls, refusals and reasoning included, in characters."""
        return self._size

    @property
    def is_finished(self) -> bool:
        """Whether the server has said that the reply is at its end."""
        return self._finish is not None or self._ended

    @property
    def status(self) -> Status:
        """How the reply has ended; ``incomplete`` as long as it has not."""
        if not self.is_finished:
            return "incomplete"
        if (self._finish or "").lower() in FAILURES:
            return "failed"
        if finish_reason(self._finish) == "content_filter":
            return "filtered"
        return "refused" if self._refusal else "complete"

    def add(self, chunk: object) -> list[StreamChunk]:
        """Take a chunk; return what it adds to the text and to the reasoning.

        Raises:
            RequestError: The chunk is an error of the server's, of the class it describes.
            ProtocolError: The chunk is not what the API promises, or the reply is too long.
        """
        if (error := error_in(chunk)) is not None:
            raise error_described_by(error, partial=self.partial)
        if not isinstance(chunk, dict):
            self._refuse(f"a chunk that is {kind_of(chunk)}")
        self._note(chunk)
        new: list[StreamChunk] = []
        for position, choice in enumerate(self._list(chunk.get("choices"), "choices")):
            index = self._object(choice, "a choice").get("index")
            if (index if type(index) is int else position) == 0 and choice:
                self._add_choice(choice, new)
        return new

    def end(self) -> list[StreamChunk]:
        """Note that the server said it is done (``[DONE]``, or a body that is whole)."""
        self._ended = True
        return self.flush()

    def flush(self) -> list[StreamChunk]:
        """Return what was held back because it might have been the beginning of a tag.

        To be called when nothing more can come. Twice does no harm.
        """
        new: list[StreamChunk] = []
        self._said.flush(new)
        return new

    def result(
        self,
        *,
        usage: RequestUsage | None = None,
        latency: float | None = None,
        time_to_first_token: float | None = None,
    ) -> CreateResult:
        """The whole reply.

        Args:
            usage: The usage to state when the server reported none (an estimate). Without it
                such a reply states zeros, marked as estimated.
            latency: Seconds from sending the request to the end of the reply.
            time_to_first_token: Seconds from sending the request to the first content.

        Raises:
            IncompleteReplyError: The reply has not ended.
            ServerError: The server gave the reply up.
        """
        self.flush()
        self._check_end()
        reason = finish_reason(self._finish)
        calls = self._calls.finished(cut=reason in ("length", "content_filter"))
        if calls and reason in ("stop", "unknown"):
            reason = "function_calls"  # many servers say "stop" whatever the model did
        return CreateResult(
            finish_reason=reason,
            content=calls or self.partial,
            usage=self.usage or usage or RequestUsage(0, 0, estimated=True),
            cached=False,
            logprobs=self._logprobs or None,
            thought=self._said.thought(beside=bool(calls)) or None,
            model=self.model,
            response_id=self.response_id,
            refusal=mended(str(self._refusal)) or None,
            latency=latency,
            time_to_first_token=time_to_first_token,
        )

    def _check_end(self) -> None:
        if self.status == "incomplete":
            raise IncompleteReplyError(
                "The reply broke off before its end; .partial has what came. Run it again.",
                partial=self.partial,
                retryable=True,
            )
        if self.status == "failed":
            raise ServerError(
                "The server gave up in the middle of the reply; .partial has what came. "
                "Run it again.",
                partial=self.partial,
                retryable=True,
            )

    def _note(self, chunk: _Json) -> None:
        """Take what the chunk says about the reply as a whole."""
        if not self.model and isinstance(model := chunk.get("model"), str):
            self.model = one_line(model, _LONGEST_NAME) or None
        if not self.response_id and isinstance(response_id := chunk.get("id"), str):
            self.response_id = one_line(response_id, _LONGEST_NAME) or None
        if usage := chunk.get("usage"):
            self.usage = usage_in(usage, self.usage)
        if isinstance(groq := chunk.get("x_groq"), dict):
            self.usage = usage_in(groq.get("usage"), self.usage)

    def _add_choice(self, choice: _Json, new: list[StreamChunk]) -> None:
        if choice.get("error"):
            raise error_described_by(choice["error"], partial=self.partial)
        delta = choice.get("delta") or choice.get("message")
        if delta:
            self._add_delta(self._object(delta, "a delta"), new)
        if logprobs := choice.get("logprobs"):
            self._add_logprobs(logprobs)
        if usage := choice.get("usage"):  # Moonshot's place for it
            self.usage = usage_in(usage, self.usage)
        if isinstance(finish := choice.get("finish_reason"), str) and finish:
            self._finish = finish

    def _add_delta(self, delta: _Json, new: list[StreamChunk]) -> None:
        if len(delta) > 1 or "content" not in delta:
            if reasoning := reasoning_in(delta):
                self._think(reasoning, new)
            if refusal := delta.get("refusal"):
                self._refusal.add(self._string(refusal, "a refusal"))
            if calls := delta.get("tool_calls"):
                for position, call in enumerate(self._list(calls, "tool_calls")):
                    self._add_call(call, position)
            if call := delta.get("function_call"):
                self._add_call({"index": _LEGACY_CALL, "function": call}, 0)
        content = delta.get("content")
        if isinstance(content, str):
            if content:
                self._say(content, new)
        elif content is not None:
            self._say_parts(self._list(content, "content"), new)

    def _say_parts(self, parts: list[Any], new: list[StreamChunk]) -> None:
        """Take content that is a list of parts, as Mistral's reasoning models send it."""
        for part in parts:
            if isinstance(part, str):
                self._say(part, new)
            elif isinstance(part, dict) and part.get("type") == "thinking":
                self._think(texts_in(part.get("thinking")), new)
            elif isinstance(part, dict):
                self._say(self._string(part.get("text") or "", "a part's text"), new)
            elif part is not None:
                self._refuse(f"a part of content that is {kind_of(part)}")

    def _add_call(self, said: object, position: int) -> None:
        call = self._object(said, "a call")
        function = self._object(call.get("function"), "a function")
        index = call.get("index")
        call_id = call.get("id") or ""
        name = self._string(function.get("name") or "", "a function's name")
        arguments = self._arguments(function.get("arguments"))
        if call_id or name or arguments:
            self._calls.add(
                index if type(index) is int else None,
                position,
                call_id=self._string(call_id, "a call's id"),
                name=name,
                arguments=arguments,
            )
        if len(self._calls) > _MOST_CALLS:
            self._refuse(f"more than {_MOST_CALLS:,} calls in one reply")

    def _arguments(self, said: object) -> str:
        """Arguments as JSON text; some servers send them decoded."""
        if said is None or isinstance(said, str):
            return self._string(said or "", "arguments")
        try:
            return self._string(dumps(said), "arguments")
        except JSONError:
            self._refuse("arguments that are nested too deeply")

    def _add_logprobs(self, said: object) -> None:
        tokens = logprobs_in(said)
        self._spend("", _PER_LOGPROB * sum(1 + len(token.top_logprobs or ()) for token in tokens))
        self._logprobs += tokens

    def _think(self, text: str, new: list[StreamChunk]) -> None:
        self._spend(text)
        self._said.think(text, new)

    def _say(self, text: str, new: list[StreamChunk]) -> None:
        self._spend(text)
        self._said.say(text, new)

    def _string(self, said: object, what: str) -> str:
        if not isinstance(said, str):
            self._refuse(f"{what} that is {kind_of(said)}")
        self._spend(said)
        return said

    def _list(self, said: object, what: str) -> list[Any]:
        if said is None:
            return []
        return said if isinstance(said, list) else self._refuse(f"{what} as {kind_of(said)}")

    def _object(self, said: object, what: str) -> _Json:
        if said is None:
            return {}
        return said if isinstance(said, dict) else self._refuse(f"{what} that is {kind_of(said)}")

    def _spend(self, text: str, more: int = 0) -> None:
        self._size += len(text) + more
        if not text.isascii():
            self._width = max(self._width, bytes_per_character(text))
        if self._size * self._width > self._max_reply:
            raise ProtocolError(
                f"The reply takes more than {self._max_reply:,} bytes, so reading stopped; "
                ".partial has what came. Ask for less, or set a larger limit.",
                partial=self.partial,
            )

    def _refuse(self, what: str) -> NoReturn:
        raise ProtocolError(
            f"The server sent {what}, which is no part of the chat completions API. "
            "Check that the base URL is that of an OpenAI-compatible server.",
            partial=self.partial,
        )
