"""Replies and failures as a cassette's lines, and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, TypeAdapter

from nbagents import errors
from nbagents.errors import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    RequestCancelledError,
    RequestError,
)
from nbagents.messages import CreateResult, FunctionCall, RequestUsage, StreamChunk
from nbagents.models._cassette.lines import Piece, Record
from nbagents.models._wire.server_errors import one_line

__all__ = [
    "can_be_played",
    "chunk_of",
    "error_in",
    "error_of",
    "is_about_the_request",
    "pieces_of",
    "result_in",
    "result_of",
    "without_host",
]

_KINDS: dict[str, type[RequestError]] = {
    name: kind for name in errors.__all__ if issubclass(kind := getattr(errors, name), RequestError)
}
_NUMBERS = ("latency", "time_to_first_token")
_PATH = r"(?:/[\w.~%/-]*[\w~%/-]|/)?"
_MOST = 2**53  # tokens and seconds: what is more is no number that was measured
_Count = Annotated[int, Field(ge=0, lt=_MOST)]
_SECONDS = TypeAdapter(Annotated[float, Field(ge=0, lt=_MOST)] | None)
_CALLS = TypeAdapter(list[FunctionCall])


class _Usage(BaseModel):
    """What a cassette says of tokens: a budget counts them."""

    prompt_tokens: _Count
    completion_tokens: _Count
    cached_tokens: _Count | None = None
    reasoning_tokens: _Count | None = None
    estimated: bool = False

    def usage(self) -> RequestUsage:
        """As the ledger takes it."""
        return RequestUsage(**self.model_dump())


class _Failure(BaseModel):
    """What a cassette says of a failure."""

    type: str
    message: str
    partial: str | None = None
    request_id: str | None = None
    status: int | None = None
    retry_after: float | None = None
    retryable: bool = False
    usage: _Usage | None = None


def result_of(result: CreateResult, pieces: Sequence[Piece]) -> dict[str, Any]:
    """What a cassette says of a reply beside its chunks."""
    details = result.model_dump(
        mode="json", exclude={"usage", "parsed", "asked_model"}, exclude_none=True
    )
    details["usage"] = _usage_of(result.usage)
    if details["content"] == _joined(pieces, "text"):
        del details["content"]
    if details.get("thought") == _joined(pieces, "reasoning"):
        del details["thought"]
    if not result.cached:
        del details["cached"]
    return details | {
        name: round(details[name], 3) for name in _NUMBERS if details.get(name) is not None
    }


def result_in(record: Record) -> CreateResult:
    """The reply that was recorded; without ``parsed``.

    Raises:
        ConfigurationError: Somebody changed the cassette, and what stands there is no reply.
    """
    with _told(record):
        return _result_in(record)


def _result_in(record: Record) -> CreateResult:
    details = dict(record.details)
    details["usage"] = _Usage.model_validate(details["usage"]).usage()
    details |= {name: _SECONDS.validate_python(details.get(name)) for name in _NUMBERS}
    details.setdefault("content", _joined(record.pieces, "text"))
    if isinstance(details["content"], list):
        details["content"] = _CALLS.validate_python(details["content"])
    details.setdefault("thought", _joined(record.pieces, "reasoning") or None)
    return CreateResult(**{"cached": False, **details})


def pieces_of(result: CreateResult) -> tuple[Piece, ...]:
    """A reply that was not streamed, as chunks: its reasoning, and its text."""
    thought = [Piece(result.thought, "reasoning")] if result.thought else []
    return (*thought, *([Piece(result.text)] if result.text else []))


def can_be_played(record: Record) -> bool:
    """Whether what stands there is a reply, or a failure."""
    try:
        if record.ending == "result":
            result_in(record)
        elif record.ending == "error":
            error_in(record)
    except ConfigurationError:
        return False
    return True


def error_of(error: RequestError, pieces: Sequence[Piece]) -> dict[str, Any]:
    """What a cassette says of a failure."""
    details: dict[str, Any] = {"type": _name_of(error), "message": str(error)}
    for name in ("status", "request_id", "retry_after"):
        if getattr(error, name, None) is not None:
            details[name] = getattr(error, name)
    if error.retryable:
        details["retryable"] = True
    if error.partial != _joined(pieces, "text"):
        details["partial"] = error.partial
    if error.usage is not None:
        details["usage"] = _usage_of(error.usage)
    return details


def error_in(record: Record) -> RequestError:
    """The failure that was recorded.

    Raises:
        ConfigurationError: Somebody changed the cassette, and what stands there is no failure.
    """
    with _told(record):
        return _error_in(record)


def _error_in(record: Record) -> RequestError:
    failure = _Failure.model_validate(record.details)
    partial = _joined(record.pieces, "text") if failure.partial is None else failure.partial
    error = _KINDS.get(failure.type, ProtocolError)(
        failure.message,
        partial=partial,
        request_id=failure.request_id,
        status=failure.status,
        retryable=failure.retryable,
    )
    if isinstance(error, RateLimitError):
        error.retry_after = failure.retry_after
    error.usage = failure.usage and failure.usage.usage()
    return error


def without_host(text: str, endpoint: str) -> str:
    """The text with ``the server`` in place of its address."""
    host = urlsplit(endpoint).netloc.rpartition("@")[2]
    name = host.partition(":")[0] if "." in host else host
    if not name:
        return text
    names = rf"{re.escape(host)}|{re.escape(name)}(?::\d+)?"
    address = rf"(?:https?://)?(?<![\w.-])(?:{names}){_PATH}(?![\w-])"
    nameless = re.sub(address, "the server", text)
    return nameless[:1].upper() + nameless[1:] if re.match(address, text) else nameless


def is_about_the_request(error: RequestError) -> bool:
    """Whether a failure is worth recording: the same request would fail the same way.

    That the server was not reached, the key was wrong or the account empty says nothing of it.
    """
    if isinstance(error, APIConnectionError):
        return bool(error.partial)
    return not isinstance(error, AuthenticationError | QuotaExceededError | RequestCancelledError)


def chunk_of(piece: Piece) -> StreamChunk:
    """The chunk as it came."""
    return StreamChunk(piece.text, "reasoning" if piece.kind == "reasoning" else "text")


@contextmanager
def _told(record: Record) -> Iterator[None]:
    """Say of an ending that somebody changed where it stands."""
    try:
        yield
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigurationError(
            f"The reply recorded from line {record.line} of the cassette on is none "
            f"({one_line(str(error), 200)}). Correct it, or delete the record and record it again."
        ) from error


def _joined(pieces: Sequence[Piece], kind: str) -> str:
    return "".join(piece.text for piece in pieces if piece.kind == kind)


def _usage_of(usage: RequestUsage) -> dict[str, Any]:
    """The numbers that are known, and whether they are estimated where they are."""
    return {name: value for name, value in asdict(usage).items() if value not in (None, False)}


def _name_of(error: RequestError) -> str:
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _KINDS)
