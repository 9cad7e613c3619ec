"""What the ways have in common: the one reply that most of them tell, and its bytes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from nbagents.testing._script import ScriptedReply, chunk
from nbagents.testing.faults._fault import Outcome

__all__ = [
    "BEGUN",
    "DONE",
    "ELSEWHERE",
    "END",
    "EVENTS",
    "GZIP",
    "HEAD",
    "HELLO",
    "KEY_HINT",
    "SAID",
    "START",
    "STOP",
    "STREAM",
    "STREAM_HEADER",
    "USAGE",
    "WHOLE",
    "answer",
    "call",
    "calls",
    "cut",
    "data",
    "failed",
    "gzipped",
    "lines",
    "plain",
    "sent",
    "usage",
]

HEAD = b"HTTP/1.1 200 OK\r\n"
STREAM = {"content-type": "text/event-stream"}
STREAM_HEADER = b"content-type: text/event-stream\r\n"
GZIP = {**STREAM, "content-encoding": "gzip"}
HELLO = "Hello wörld 😀."
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
DONE = "[DONE]"
ELSEWHERE = "elsewhere.invalid"
"""In a header: the other host, whose address `LoopbackServer.will_misbehave` puts in."""
KEY_HINT = "{key}"
"""In a reply that echoes: the credential that came with the request."""


def usage(**more: Any) -> dict[str, Any]:
    """The chunk that reports usage after a reply's end."""
    return {**chunk(), "choices": [], "usage": {**USAGE, **more}}


START: tuple[Any, ...] = (chunk("", role="assistant"), chunk("Hello "), chunk("wörld 😀."))
STOP = chunk(None, "stop")
END: tuple[Any, ...] = (STOP, usage(), DONE)
EVENTS: tuple[Any, ...] = (*START, *END)

WHOLE = Outcome(HELLO, usage=(7, 3))
SAID = Outcome(HELLO)


def data(event: Mapping[str, Any] | str) -> bytes:
    """The data of an event, as bytes."""
    return (event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)).encode()


def lines(*events: Mapping[str, Any] | str, end: bytes = b"\n") -> bytes:
    """Events as a stream, their lines ended by ``end``."""
    return b"".join(b"data: %b%b%b" % (data(event), end, end) for event in events)


BEGUN = lines(*START)
"""The reply without its end."""


def sent(*steps: bytes | float, **changes: Any) -> ScriptedReply:
    """An event stream of these bytes as they stand."""
    return ScriptedReply(steps, headers=STREAM, **changes)


def plain(*events: Mapping[str, Any] | str, **changes: Any) -> ScriptedReply:
    """An event stream of these events, one packet each."""
    return sent(*(lines(event) for event in events), **changes)


def cut(body: bytes, size: int) -> list[bytes]:
    """A body in pieces of that size."""
    return [body[start : start + size] for start in range(0, len(body), size)]


def answer(status: int, body: bytes | str | Any, **headers: str) -> ScriptedReply:
    """A whole answer; what is neither bytes nor text goes out as JSON."""
    kind = "text/html" if isinstance(body, str) else "application/json"
    if not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return ScriptedReply([body], status, {"content-type": kind, **given}, "length")


def gzipped(pieces: Sequence[bytes], how: str = "gzip") -> list[bytes]:
    """Pieces compressed as one body, each flushed so that it can be read when it comes."""
    window = zlib.MAX_WBITS | 16 if how == "gzip" else zlib.MAX_WBITS
    packer = zlib.compressobj(wbits=window)
    packed = [packer.compress(each) + packer.flush(zlib.Z_SYNC_FLUSH) for each in pieces]
    return [*packed, packer.flush()]


def call(index: int | None = 0, call_id: str | None = "c1", **function: Any) -> dict[str, Any]:
    """A piece of a function call."""
    said: dict[str, Any] = {"function": function}
    if index is not None:
        said["index"] = index
    return {**said, "id": call_id, "type": "function"} if call_id else said


def calls(*pieces: Sequence[Any], finish: str = "tool_calls") -> list[Any]:
    """A stream's events: chunks with pieces of calls, and the end."""
    return [*(chunk(tool_calls=list(each)) for each in pieces), chunk(None, finish), usage(), DONE]


def failed(error: str, text: str = "", *, retryable: bool = False, **more: Any) -> Outcome:
    """The outcome that is an error."""
    return Outcome(text, error=error, retryable=retryable, **more)
