"""Shapes of the chat completions API, and of those who nearly speak it."""

from __future__ import annotations

from typing import Any

__all__ = ["completion_to_chunk", "kind_of", "reasoning_in", "texts_in"]

_Json = dict[str, Any]


def completion_to_chunk(body: _Json) -> _Json:
    """Turn a completion that was not streamed into the one chunk that says the same.

    What the body lacks, the chunk lacks: an error object stays one. A reply that is only a
    ``message`` (without ``choices``) is not recognised; servers of this API do not send it.
    """
    choices = body.get("choices")
    if not isinstance(choices, list):
        return body
    return {**body, "choices": [_as_streamed(choice) for choice in choices]}


def _as_streamed(choice: Any) -> Any:
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        return choice
    message = dict(choice["message"])
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = [
            {**call, "index": position} if isinstance(call, dict) else call
            for position, call in enumerate(calls)
        ]
    return {**choice, "delta": message}


def reasoning_in(delta: _Json) -> str:
    """The reasoning a delta brings; some servers send the same under several names."""
    for key in ("reasoning_content", "reasoning"):
        if isinstance(said := delta.get(key), str) and said:
            return said
    return texts_in(delta.get("reasoning_details"))


def texts_in(parts: object) -> str:
    """The text of content parts, or of a summary's parts, joined."""
    if isinstance(parts, str):
        return parts
    if not isinstance(parts, list):
        return ""
    texts = [part.get("text") or part.get("summary") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def kind_of(said: object) -> str:
    """What JSON calls a value of this type, for a message."""
    if said is None:
        return "null"
    names = {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}
    return names.get(type(said), "a number")
