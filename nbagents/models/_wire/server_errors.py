"""The errors that servers describe in JSON, as ours.

The same object comes as the body of a 4xx or 5xx and in the middle of a 200 stream, in these
shapes: ``{"error": {...}}``, ``{"error": "text"}``, ``{"object": "error", ...}``,
``{"type": "error", "error": {...}}``, and bare ``{"detail": ...}`` or ``{"message": ...}``.
"""

from __future__ import annotations

import re
from typing import Any

from nbagents._keys import masked
from nbagents._unicode import mended
from nbagents.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    ModelNotFoundError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    RequestTimeoutError,
    ServerError,
)

__all__ = [
    "advice_for",
    "error_described_by",
    "error_in",
    "message_in",
    "one_line",
]

_MAX_MESSAGE = 500
_MOST_READ = 4 * _MAX_MESSAGE

# First match wins. What is searched: code, type and message, in lower case.
_RULES: tuple[tuple[re.Pattern[str], type[RequestError], str], ...] = tuple(
    (re.compile(pattern), kind, advice)
    for pattern, kind, advice in (
        (
            r"(?:retry|try again) (?:in|after) \d",  # before quotas: Gemini's are per minute too
            RateLimitError,
            "Wait a little, then run it again.",
        ),
        (
            r"insufficient_quota|exceeded your current quota|billing|credit balance|"
            r"insufficient (?:credits|balance|funds)|payment required",
            QuotaExceededError,
            "Top up the account, or use another key or model.",
        ),
        (
            r"context_length_exceeded|maximum context length|context (?:window|length|size)|"
            r"too many tokens|prompt is too long|exceed_context_size",
            ContextLengthError,
            "Shorten the conversation, or use a model with a larger window.",
        ),
        (
            r"content_filter|content management policy|responsibleaipolicy|content_policy|"
            r"moderation",
            ContentFilterError,
            "Word the prompt differently.",
        ),
        (
            r"rate_?limit|too many requests|tokens per min|requests per min|throttl",
            RateLimitError,
            "Wait a little, then run it again.",
        ),
        (
            r"invalid_api_key|incorrect api key|authentication|unauthorized|permission|"
            r"invalid_issuer|access denied|forbidden",
            AuthenticationError,
            "Check the key, and what it may use.",
        ),
        (
            r"model_not_found|deploymentnotfound|model .{0,80}(?:does not exist|not found)|"
            r"no such model|not_found_error",
            ModelNotFoundError,
            "Check the model's name, and the base URL.",
        ),
        (r"timeout|timed out", RequestTimeoutError, "Run it again."),
        (
            r"server_error|internal|overloaded|unavailable|bad gateway|server had an error|"
            r"out of memory|cuda|api_error",
            ServerError,
            "Run it again; if it happens again, ask the server's operator.",
        ),
        (r"invalid_request|badrequest|invalid", BadRequestError, "Change what it complains about."),
    )
)

_BY_STATUS: dict[int, type[RequestError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: QuotaExceededError,
    403: AuthenticationError,
    404: ModelNotFoundError,
    408: RequestTimeoutError,
    413: ContextLengthError,
    422: BadRequestError,
    429: RateLimitError,
    504: RequestTimeoutError,
}

_ADVICE = {kind: advice for _, kind, advice in _RULES}
_ADVICE[ProtocolError] = "Check that base_url is that of an OpenAI-compatible server."
_RETRYABLE = (RateLimitError, RequestTimeoutError, ServerError)


def error_in(body: object) -> object:
    """Find the error in ``body``, when it is one; None otherwise.

    What is found is what :func:`error_described_by` takes.
    """
    if isinstance(body, list) and len(body) == 1:  # Gemini's
        body = body[0]
    if not isinstance(body, dict):
        return None
    if body.get("error"):
        return body["error"]
    if "choices" in body:
        return None
    if body.get("object") == "error" or body.get("type") == "error":
        return body
    if not body.keys().isdisjoint(("object", "id", "usage")):
        return None
    return body.get("detail") or (body if isinstance(body.get("message"), str) else None)


def error_described_by(
    said: object,
    *,
    partial: str = "",
    status: int | None = None,
    request_id: str | None = None,
) -> RequestError:
    """Make the error that a server describes.

    Args:
        said: The error object, or its text.
        partial: The text that had come before.
        status: The HTTP status, when it is not that of a success. In a stream the object's
            own ``code`` or ``status`` stands for it, where that is a number.
        request_id: The server's name for the request.
    """
    details: dict[str, Any] = said if isinstance(said, dict) else {"message": said}
    if status is None:
        status = _status(details)
    text = one_line(masked(message_in(details)[:_MOST_READ]))
    codes = [details.get(key) for key in ("code", "type", "status")]
    words = " ".join(code[:100] for code in codes if isinstance(code, str))
    kind = _kind(f"{words} {text}".lower(), status)
    advice = _ADVICE.get(kind, "")
    return kind(
        f"The server says: {text[: _MAX_MESSAGE - len(advice) - 30]} {advice}".rstrip(),
        partial=partial,
        request_id=request_id,
        status=status,
        retryable=issubclass(kind, _RETRYABLE) and kind is not QuotaExceededError,
    )


def advice_for(kind: type[RequestError]) -> str:
    """What to do next about an error of this class; "" when nothing is known."""
    return _ADVICE.get(kind, "")


def one_line(text: str, longest: int = _MAX_MESSAGE) -> str:
    """Put ``text`` on one line of at most ``longest`` characters, without control characters."""
    line = " ".join(text[:_MOST_READ].split())
    line = "".join(sign for sign in mended(line) if sign.isprintable())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def message_in(details: dict[str, Any]) -> str:
    """What an error object says in words; it ends with a full stop, or a like sign."""
    for key in ("message", "detail", "error", "msg", "code", "type"):
        said = details.get(key)
        if isinstance(said, dict) and isinstance(said.get("message"), str):
            said = said["message"]
        if isinstance(said, str) and said.strip():
            return said if said.rstrip().endswith((".", "!", "?")) else f"{said.rstrip()}."
    return "an error it does not describe."


def _status(details: dict[str, Any]) -> int | None:
    for key in ("status", "status_code", "code"):
        said = details.get(key)
        if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) == 3:
            said = int(said)
        if type(said) is int and 400 <= said < 600:
            return said
    return None


def _kind(words: str, status: int | None) -> type[RequestError]:
    if 300 <= (status or 0) < 400:  # a redirect that leads nowhere, or "not modified"
        return ProtocolError
    by_status = _BY_STATUS.get(status or 0)
    if by_status in (None, BadRequestError, RateLimitError):
        for pattern, kind, _ in _RULES:
            if pattern.search(words) and not (kind is BadRequestError and (status or 0) >= 500):
                return RateLimitError if _contradicts(kind, by_status) else kind
    return by_status or (BadRequestError if 400 <= (status or 0) < 500 else ServerError)


def _contradicts(kind: type[RequestError], by_status: type[RequestError] | None) -> bool:
    """A 429 is a rate limit or a quota, whatever its words remind of."""
    return by_status is RateLimitError and not issubclass(kind, RateLimitError)
