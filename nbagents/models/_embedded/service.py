"""The embedded model as a server would be: a request comes in, an answer goes out.

Pure: no network, no clock, no randomness. The same function answers the in-process
transport beside it and the server of `nbagents.testing`. What it says is decided in ``guide``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from nbagents.models._embedded import guide
from nbagents.models._wire import fastjson

__all__ = ["MODEL", "Answer", "Chunk", "answer", "cut_into_words", "error"]

Chunk = Mapping[str, Any]
MODEL = "nbagents-embedded"
_CREATED = 1_767_225_600  # 2026-01-01: a reply is the same whenever it is asked for
_MOST = {"n": 128, "max_tokens": 2**31, "max_completion_tokens": 2**31}
_NEXT = "Connect a real model for that: set OPENAI_API_KEY, or start a server such as Ollama."


@dataclass(frozen=True)
class Answer:
    """What goes back.

    Attributes:
        status: The HTTP status.
        body: The JSON body of an answer that is not streamed.
        chunks: The events of a streamed one; None when it is not.
    """

    status: int
    body: Mapping[str, Any]
    chunks: tuple[Chunk, ...] | None = None


class _BadRequestError(Exception):
    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def answer(method: str, path: str, body: bytes = b"", *, text: str | None = None) -> Answer:
    """Answer a request as the API's ``/v1/chat/completions`` and ``/v1/models`` would.

    Args:
        method: The HTTP method.
        path: The URL's path; what stands before ``/chat/completions`` does not matter, so
            that Azure's ``/openai/deployments/NAME/chat/completions`` works too.
        body: The request's JSON.
        text: What a test wants said: it takes the place of the embedded model's own reply, and
            comes under the model's name that the request has.
    """
    path = path.partition("?")[0].rstrip("/")
    if path.endswith("/models"):
        return _models() if method == "GET" else error(405, f"{method} is not for {path}; GET is.")
    if not path.endswith("/chat/completions"):
        return error(404, f"No such path here: {path or '/'}. Try /v1/chat/completions.")
    if method != "POST":
        return error(405, f"{method} is not for {path}; POST is.")
    try:
        return _complete(_read(body), hashlib.blake2s(body, digest_size=12).hexdigest(), text)
    except _BadRequestError as bad:
        return error(400, str(bad), param=bad.param)


def error(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> Answer:
    """Make an error in the API's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return Answer(
        status, {"error": {"message": message, "type": kind, "param": param, "code": code}}
    )


def cut_into_words(text: str) -> list[str]:
    """Cut a text into words, each with the space after it; joined they are the text."""
    return re.findall(r"\s*\S+\s?|\s+", text)


def _models() -> Answer:
    model = {"id": MODEL, "object": "model", "created": _CREATED, "owned_by": "nbagents"}
    return Answer(200, {"object": "list", "data": [model]})


def _read(body: bytes) -> dict[str, Any]:
    try:
        request = fastjson.loads(body)
    except fastjson.JSONError as reason:
        raise _BadRequestError(f"The body is not JSON: {reason}.") from reason
    if not isinstance(request, dict):
        raise _BadRequestError("The body is not a JSON object.")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _BadRequestError("'messages' must be a list of at least one message.", "messages")
    if not all(isinstance(message, dict) for message in messages):
        raise _BadRequestError("Each message must be an object.", "messages")
    return request


def _complete(request: dict[str, Any], name: str, text: str | None) -> Answer:
    words, finish = _words_of_reply(request) if text is None else (cut_into_words(text), "stop")
    model = MODEL if text is None else request.get("model")
    choices = range(_count(request, "n") or 1)
    prompt = sum(_tokens(text) for text in _strings(request["messages"]))
    completion = sum(map(_tokens, words)) * len(choices)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "estimated": text is None,
    }
    head = {"id": f"chatcmpl-{name}", "created": _CREATED, "model": model}
    if request.get("stream"):
        head["object"] = "chat.completion.chunk"
        chunks = _chunks(head, choices, words, finish)
        options = request.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            chunks.append({**head, "choices": [], "usage": usage})
        return Answer(200, {}, tuple(chunks))
    message = {"role": "assistant", "content": "".join(words), "refusal": None}
    given = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
        for index in choices
    ]
    return Answer(200, {**head, "object": "chat.completion", "choices": given, "usage": usage})


def _chunks(
    head: dict[str, Any], choices: Iterable[int], words: Sequence[str], finish: str
) -> list[Chunk]:
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word}, None) for word in words]
    deltas.append(({}, finish))
    return [
        {**head, "choices": [{"index": index, "delta": delta, "finish_reason": reason}]}
        for index in choices
        for delta, reason in deltas
    ]


def _words_of_reply(request: dict[str, Any]) -> tuple[list[str], str]:
    """The reply as the request wants it, and why it ends."""
    _refuse_what_it_cannot_do(request)
    reply = guide.reply(request["messages"])
    wants_json = _type_of(request.get("response_format")) == "json_object"
    text = reply.as_json() if wants_json else reply.text
    stops = request.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0] if isinstance(stop, str) and stop else text
    words = cut_into_words(text)
    most = _count(request, "max_completion_tokens") or _count(request, "max_tokens")
    return _first(words, most) if most else (words, "stop")


def _first(words: list[str], most: int) -> tuple[list[str], str]:
    """Keep the words that fit into ``most`` tokens."""
    for kept, tokens in enumerate(accumulate(map(_tokens, words))):
        if tokens > most:
            return words[:kept], "length"
    return words, "stop"


def _refuse_what_it_cannot_do(request: dict[str, Any]) -> None:
    if _type_of(request.get("response_format")) == "json_schema":
        raise _BadRequestError(f"{MODEL} cannot fill in a schema. {_NEXT}", "response_format")
    if request.get("tool_choice") not in (None, "auto", "none"):
        raise _BadRequestError(f"{MODEL} cannot call functions. {_NEXT}", "tool_choice")
    parts = [part for message in request["messages"] for part in _parts(message)]
    if any(_type_of(part) not in ("text", "refusal") for part in parts):
        raise _BadRequestError(f"{MODEL} reads text only. {_NEXT}", "messages")


def _parts(message: dict[str, Any]) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _type_of(value: object) -> object:
    return value.get("type") if isinstance(value, dict) else None


def _count(request: dict[str, Any], name: str) -> int | None:
    value = request.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST[name]:
        raise _BadRequestError(f"{name!r} must be a whole number, 1 to {_MOST[name]:,}.", name)
    return value


def _tokens(text: str) -> int:
    """Estimate: OpenAI's rule of thumb, four characters of English to a token."""
    return max(1, round(len(text) / 4))


def _strings(value: object) -> Iterator[str]:
    """Yield every text inside a JSON value: what a model would have to read."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, dict | list):
            waiting.extend(inner.values() if isinstance(inner, dict) else inner)
