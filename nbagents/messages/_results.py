"""What comes from a model: chunks, usage and the result of a request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from nbagents.messages._messages import FunctionCall
from nbagents.messages._show import result_bundle
from nbagents.prices import cost_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ChatCompletionTokenLogprob",
    "CreateResult",
    "FinishReasons",
    "RequestUsage",
    "StreamChunk",
    "TopLogprob",
]

FinishReasons = Literal["stop", "length", "function_calls", "content_filter", "unknown"]
"""Why a reply ended; ``unknown`` when the server did not say."""


class StreamChunk(str):
    """A piece of a reply as it came: a string that knows what it is a piece of.

    Attributes:
        kind: ``"text"``, or ``"reasoning"`` for what the model thought aloud.
    """

    __slots__ = ("kind",)
    kind: Literal["text", "reasoning"]

    def __new__(cls, text: str, kind: Literal["text", "reasoning"] = "text") -> Self:
        """Make a chunk of ``text``."""
        chunk = super().__new__(cls, text)
        chunk.kind = kind
        return chunk

    def __getnewargs__(self) -> tuple[str, Literal["text", "reasoning"]]:  # type: ignore[override]
        return str(self), self.kind


@dataclass(frozen=True)
class RequestUsage:
    """The tokens a request took; usages add up with ``+``.

    Attributes:
        prompt_tokens: Tokens read, those from the server's cache included.
        completion_tokens: Tokens written, those of reasoning included.
        cached_tokens: Prompt tokens the server had cached; None when it did not say.
        reasoning_tokens: Completion tokens spent on reasoning; None when it did not say.
        estimated: True when any of it was counted here because the server reported nothing.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Tokens read and written."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: RequestUsage) -> RequestUsage:
        if not isinstance(other, RequestUsage):
            return NotImplemented
        return RequestUsage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            _sum_of_known(self.cached_tokens, other.cached_tokens),
            _sum_of_known(self.reasoning_tokens, other.reasoning_tokens),
            self.estimated or other.estimated,
        )

    def __radd__(self, other: object) -> RequestUsage:
        # sum() starts from 0.
        return self if other == 0 else NotImplemented


@dataclass
class TopLogprob:
    """How likely another token was at the same place."""

    logprob: float
    bytes: list[int] | None = None


class ChatCompletionTokenLogprob(BaseModel):
    """How likely a token of the reply was, and its rivals."""

    token: str
    logprob: float
    top_logprobs: list[TopLogprob] | None = None
    bytes: list[int] | None = None


class CreateResult(BaseModel):
    """A model's whole reply. It never changes once it is made.

    Attributes:
        finish_reason: Why the reply ended.
        content: The text, or the functions that the model wants called.
        usage: The tokens it took.
        cached: Whether it came from a cache instead of the model.
        logprobs: One per token, when asked for.
        thought: The model's reasoning, and text that stood beside function calls.
        model: The model's name, as the server gave it.
        response_id: The server's id of the reply.
        refusal: The model's words when it refused to answer.
        latency: Seconds from sending the request to the end of the reply.
        time_to_first_token: Seconds from sending the request to the first content.
        parsed: The object that ``json_output`` asked for.
        asked_model: The name that the model was asked for by, where it has a price and the server's
            has none.
    """

    # `model` is OpenAI's own word for the field; nothing here is called model_*.
    model_config = ConfigDict(frozen=True, protected_namespaces=())

    finish_reason: FinishReasons
    content: str | list[FunctionCall]
    usage: RequestUsage
    cached: bool
    logprobs: list[ChatCompletionTokenLogprob] | None = None
    thought: str | None = None
    model: str | None = None
    response_id: str | None = None
    refusal: str | None = None
    latency: float | None = None
    time_to_first_token: float | None = None
    parsed: Any = None
    asked_model: str | None = Field(default=None, repr=False)
    _total: tuple[float | None] | None = PrivateAttr(default=None)

    @property
    def status(self) -> Literal["complete", "refused", "filtered"]:
        """How the reply ended."""
        if self.finish_reason == "content_filter":
            return "filtered"
        return "refused" if self.refusal else "complete"

    @property
    def cost(self) -> float | None:
        """What it cost in USD; 0 from a cache, None when the model's price is not known."""
        if self._total is not None:
            return self._total[0]
        return 0.0 if self.cached else cost_of(self.usage, self.model, self.asked_model)

    def of_turn(self, usage: RequestUsage, cost: float | None) -> Self:
        """The same reply as the last of a turn, whose requests took so much together."""
        last = self.model_copy(update={"usage": usage})
        last._total = (cost,)
        return last

    @property
    def text(self) -> str:
        """The reply's text; empty when the model only calls functions."""
        return self.content if isinstance(self.content, str) else ""

    def __str__(self) -> str:
        if isinstance(self.content, str):
            return self.content or self.refusal or ""
        return "\n".join(f"{call.name}({call.arguments})" for call in self.content)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        # Seconds differ from run to run, and what is None says nothing.
        for name, value in super().__repr_args__():
            if value is not None and name not in ("latency", "time_to_first_token"):
                yield name or "", value

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return result_bundle(self)

    def to_frame(self) -> pd.DataFrame:
        """The reply's usage as a DataFrame of one row; unknown numbers are ``<NA>``."""
        import pandas as pd

        usage = self.usage
        row = {
            "model": self.model,
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "cost": self.cost,
            "finish_reason": self.finish_reason,
            "seconds": self.latency,
            "time_to_first_token": self.time_to_first_token,
        }
        kinds = dict.fromkeys(("cached_tokens", "reasoning_tokens"), "Int64")
        kinds |= dict.fromkeys(("cost", "seconds", "time_to_first_token"), "Float64")
        return pd.DataFrame([row]).convert_dtypes().astype(kinds)


def _sum_of_known(one: int | None, other: int | None) -> int | None:
    if one is None and other is None:
        return None
    return (one or 0) + (other or 0)
