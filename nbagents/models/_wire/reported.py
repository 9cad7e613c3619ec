"""What a server says about a reply beside its content: usage, logprobs, the finish reason.

None of it is worth a failure: what has the wrong type counts as not said.
"""

from __future__ import annotations

import math
from typing import Any

from nbagents._unicode import mended
from nbagents.messages import (
    ChatCompletionTokenLogprob,
    FinishReasons,
    RequestUsage,
    TopLogprob,
)

__all__ = ["FAILURES", "finish_reason", "logprobs_in", "usage_in"]

_FINISH_REASONS: dict[str, FinishReasons] = {
    "stop": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "function_calls",
    "function_call": "function_calls",
    "function_calls": "function_calls",
    "content_filter": "content_filter",
}

FAILURES = frozenset({"error", "abort", "insufficient_system_resource"})
"""Finish reasons of replies that the server gave up (OpenRouter, vLLM, DeepSeek)."""

_MOST_TOKENS = 2**53


def finish_reason(said: str | None) -> FinishReasons:
    """Translate the API's word; what is not known is ``unknown``."""
    return _FINISH_REASONS.get((said or "").lower(), "unknown")


def usage_in(said: object, before: RequestUsage | None = None) -> RequestUsage | None:
    """Read a usage object; None when it does not hold both counts.

    Args:
        said: The ``usage`` of a chunk or of a completion.
        before: What an earlier chunk said. Later counts replace earlier ones; a count that
            is missing, or zero, does not.
    """
    if not isinstance(said, dict):
        return before
    old = before or RequestUsage(0, 0)
    prompt = _count(said.get("prompt_tokens"))
    completion = _count(said.get("completion_tokens"))
    total = _count(said.get("total_tokens"))
    if completion is None and prompt is not None and total is not None and total >= prompt:
        completion = total - prompt
    if before is None and (prompt is None or completion is None):
        return None
    cached = (
        _count(_within(said, "prompt_tokens_details", "cached_tokens")),
        _count(said.get("prompt_cache_hit_tokens")),  # DeepSeek
        _count(said.get("cached_tokens")),  # Moonshot
        old.cached_tokens,
    )
    reasoning = (
        _count(_within(said, "completion_tokens_details", "reasoning_tokens")),
        old.reasoning_tokens,
    )
    return RequestUsage(
        prompt or old.prompt_tokens,
        completion or old.completion_tokens,
        next((count for count in cached if count is not None), None),
        next((count for count in reasoning if count is not None), None),
        estimated=said.get("estimated", old.estimated) is True,  # the embedded model's word
    )


def logprobs_in(said: object) -> list[ChatCompletionTokenLogprob]:
    """Read a choice's ``logprobs``; tokens that are not described as promised are left out."""
    content = said.get("content") if isinstance(said, dict) else None
    if not isinstance(content, list):
        return []
    return [token for token in map(_token_logprob, content) if token is not None]


def _token_logprob(said: Any) -> ChatCompletionTokenLogprob | None:
    if not isinstance(said, dict) or not isinstance(said.get("token"), str):
        return None
    logprob = _number(said.get("logprob"))
    if logprob is None:
        return None
    rivals = said.get("top_logprobs")
    return ChatCompletionTokenLogprob(
        token=mended(said["token"]),
        logprob=logprob,
        top_logprobs=_rivals(rivals) if isinstance(rivals, list) else None,
        bytes=_bytes(said.get("bytes")),
    )


def _rivals(said: list[Any]) -> list[TopLogprob]:
    rivals = []
    for rival in said:
        logprob = _number(rival.get("logprob")) if isinstance(rival, dict) else None
        if logprob is not None:
            rivals.append(TopLogprob(logprob, _bytes(rival.get("bytes"))))
    return rivals


def _bytes(said: object) -> list[int] | None:
    if isinstance(said, list) and all(type(byte) is int and 0 <= byte < 256 for byte in said):
        return said
    return None


def _count(said: object) -> int | None:
    number = _number(said)
    if number is None or not number.is_integer() or not 0 <= number < _MOST_TOKENS:
        return None
    return int(number)


def _number(said: object) -> float | None:
    """A finite number; what is too large for a float is not one."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    try:
        number = float(said)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _within(said: dict[str, Any], outer: str, inner: str) -> object:
    details = said.get(outer)
    return details.get(inner) if isinstance(details, dict) else None
