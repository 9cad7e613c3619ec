"""The embedded model as a server would be: a request comes in, an answer goes out.

Pure: no network, no clock, no randomness. The same function answers the in-process
transport of :mod:`nbagents.models._offline` and the server of :mod:`nbagents.testing.server`.
What it says is decided in :mod:`nbagents.models._guide`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbagents.models import _guide, _json

__all__ = ["MODEL", "Answer", "Chunk", "answer", "cut_into_words", "error"]

Chunk = Mapping[str, Any]
MODEL = "nbagents-embedded"
_CREATED = 1_767_225_600  # 2026-01-01: a reply is the same whenever it is asked for


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


def answer(method: str, path: str, body: bytes = b"") -> Answer:
    """Answer a request as the API's ``/v1/chat/completions`` and ``/v1/models`` would.

    Args:
        method: The HTTP method.
        path: The URL's path; what stands before ``/chat/completions`` does not matter, so
            that Azure's ``/openai/deployments/NAME/chat/completions`` works too.
        body: The request's JSON.
    """
    path = path.partition("?")[0].rstrip("/")
    if path.endswith("/models"):
        return _models() if method == "GET" else error(405, f"{method} is not for {path}; GET is.")
    if not path.endswith("/chat/completions"):
        return error(404, f"No such path here: {path or '/'}. Try /v1/chat/completions.")
    if method != "POST":
        return error(405, f"{method} is not for {path}; POST is.")
    try:
        return _complete(_read(body))
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
        request = _json.loads(body)
    except _json.JSONError as reason:
        raise _BadRequestError(f"The body is not JSON: {reason}.") from reason
    if not isinstance(request, dict):
        raise _BadRequestError("The body is not a JSON object.")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _BadRequestError("'messages' must be a list of at least one message.", "messages")
    if not all(isinstance(message, dict) for message in messages):
        raise _BadRequestError("Each message must be an object.", "messages")
    return request


def _complete(request: dict[str, Any]) -> Answer:
    text = _guide.reply(request["messages"])
    words = cut_into_words(text)
    finish = "stop"
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": len(words),
        "total_tokens": 1 + len(words),
        "estimated": True,
    }
    head = {"id": _identifier(request), "created": _CREATED, "model": MODEL}
    if request.get("stream"):
        return Answer(200, {}, tuple(_chunks(head, words, finish, usage, request)))
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(words), "refusal": None},
        "logprobs": None,
        "finish_reason": finish,
    }
    return Answer(200, {**head, "object": "chat.completion", "choices": [choice], "usage": usage})


def _chunks(
    head: dict[str, Any],
    words: Sequence[str],
    finish: str,
    usage: dict[str, Any],
    request: dict[str, Any],
) -> list[dict[str, Any]]:
    head = {**head, "object": "chat.completion.chunk"}
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word}, None) for word in words]
    deltas.append(({}, finish))
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in deltas
    ]
    options = request.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        chunks.append({**head, "choices": [], "usage": usage})
    return chunks


def _identifier(request: dict[str, Any]) -> str:
    digest = hashlib.blake2s(_json.dumps(request).encode("utf-8", "replace"), digest_size=12)
    return f"chatcmpl-{digest.hexdigest()}"
