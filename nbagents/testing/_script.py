"""What a loopback server is told to answer: replies as data, the bad ones included."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

__all__ = ["ScriptedReply", "chunk", "completion", "error", "raw", "stream", "text"]

Ending = Literal["finish", "close", "reset", "stall"]
Framing = Literal["chunked", "length", "close"]

_STREAM = {"content-type": "text/event-stream"}
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class ScriptedReply:
    """One answer of a :class:`~nbagents.testing.LoopbackServer`, step by step.

    Attributes:
        steps: What is sent: bytes as they stand, and pauses in seconds between them.
        status: The HTTP status.
        headers: Further headers, or other values for the usual ones.
        framing: How the body's end is marked: by chunked encoding, by its length, or by
            closing the connection.
        ending: What follows the last step: the proper end; ``"close"`` cuts the connection
            without it, ``"reset"`` breaks it with a TCP reset, ``"stall"`` keeps it open and
            silent until the client goes.
        head: Whether status line and headers are sent at all; False leaves all to ``steps``.
        version: The version of HTTP that the status line says.
        echoes: Whether ``{key}`` in the steps stands for the credential that the request brought.
        words: A text in place of ``steps``, which is streamed or not as the client asks.
        pace: Seconds between the words of ``words``.
    """

    steps: Sequence[bytes | float] = field(default=(), repr=False)  # which may be gigabytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    framing: Framing = "chunked"
    ending: Ending = "finish"
    head: bool = True
    version: Literal["1.0", "1.1"] = "1.1"
    echoes: bool = False
    words: str | None = None
    pace: float = 0.0

    def but(self, **changes: Any) -> ScriptedReply:
        """The same reply with other attributes: ``text("Hi").but(ending="reset")``."""
        return replace(self, **changes)


def text(words: str, *, pace: float = 0.0) -> ScriptedReply:
    """A good reply with these words, streamed or whole as the client asks."""
    return ScriptedReply(words=words, pace=pace)


def stream(*events: Mapping[str, Any] | str | bytes | float, done: bool = True) -> ScriptedReply:
    """An event stream.

    Args:
        events: An object or a string is the data of an event, bytes go out as they stand, a
            number is a pause in seconds.
        done: Whether ``[DONE]`` follows.
    """
    steps = [_step(event) for event in events]
    return ScriptedReply([*steps, b"data: [DONE]\n\n"] if done else steps, headers=_STREAM)


def chunk(content: str | None = None, finish_reason: str | None = None, **delta: Any) -> Any:
    """An event of a streamed completion, for `stream`."""
    if content is not None:
        delta["content"] = content
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "scripted",
        "choices": [choice],
    }


def completion(content: str | None = None, **message: Any) -> ScriptedReply:
    """A whole completion that is not streamed, whatever the client asked."""
    body = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    return ScriptedReply([json.dumps(body).encode()], headers=_JSON, framing="length")


def error(
    status: int,
    message: str = "This was scripted.",
    *,
    headers: Mapping[str, str] | None = None,
    **details: Any,
) -> ScriptedReply:
    """An error in the API's shape.

    Args:
        status: The HTTP status.
        message: What the server says.
        headers: Such as ``{"retry-after": "1"}``.
        details: ``type``, ``code`` and ``param`` of the error object.
    """
    body = {"error": {"message": message, "type": None, "param": None, "code": None, **details}}
    given = {**_JSON, **(headers or {})}
    return ScriptedReply([json.dumps(body).encode()], status, given, "length")


def raw(*steps: bytes | float, ending: Ending = "close") -> ScriptedReply:
    """Bytes on the connection as they stand, without status line or headers."""
    return ScriptedReply(steps, head=False, ending=ending)


def _step(event: Mapping[str, Any] | str | bytes | float) -> bytes | float:
    if isinstance(event, Mapping):
        return b"data: %b\n\n" % json.dumps(event, ensure_ascii=False).encode()
    return b"data: %b\n\n" % event.encode() if isinstance(event, str) else event
