"""A server of models that repeats what it was sent, in as many ways as servers do."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.secrets.canaries import CANARIES
from tests.support import (
    DONE,
    STOP,
    USAGE,
    Handler,
    Request,
    answer,
    completion,
    event,
    stream,
    text,
)

__all__ = ["ECHOES", "authority", "models"]


def _split(data: bytes, size: int = 7) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def _raw(data: bytes) -> Handler:
    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return handle


def _typed(words: str) -> list[bytes]:
    """A reply, five letters at a time."""
    return [text(words[at : at + 5]) for at in range(0, len(words), 5)]


def _call(said: str) -> dict[str, Any]:
    arguments = {"name": "look", "arguments": json.dumps({"at": said})}
    return {"tool_calls": [{"index": 0, "id": "c1", "function": arguments}]}


def _event(data: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(data).encode()


def _error(said: str) -> bytes:
    return _event({"error": {"message": said, "code": "server_error"}})


def _letters(said: str) -> str:
    return base64.b64encode(said.encode()).decode()


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"

ECHOES: dict[str, Callable[[str], Handler]] = {
    "401": lambda said: answer(401, {"error": {"message": f"Incorrect API key provided: {said}"}}),
    "400 and headers": lambda said: answer(
        400, {"error": {"message": "No.", "details": [{"seen": said}]}}, **{"x-request-id": said}
    ),
    "404": lambda said: answer(404, {"detail": {"request": said}}),
    "429": lambda said: answer(429, {"error": {"message": said}}, **{"retry-after": "0"}),
    "500": lambda said: answer(500, said.encode(), **{"x-echo": said}),
    "redirect": lambda said: answer(
        302, b"", location=f"http://elsewhere.example/?said={quote(said)}"
    ),
    "redirect to itself": lambda said: answer(307, b"", location=f"?said={quote(said)}"),
    "page of 403": lambda said: answer(403, f"<html><title>{said}</title><p>{said}</html>"),
    "page of 200": lambda said: answer(200, f"<html><title>{said}</title><p>{said}</html>"),
    "base64": lambda said: answer(400, {"error": {"message": _letters(said)}}),
    "URL": lambda said: answer(400, {"error": {"message": quote(said, safe="")}}),
    "plain text": lambda said: answer(200, said.encode(), **{"content-type": "text/plain"}),
    "error in a stream": lambda said: stream(text("Well, "), *_split(_error(said))),
    "cut reply": lambda said: stream(*_typed(f"Well, {said}"), None),
    "reply": lambda said: stream(*_typed(f"You sent {said}."), STOP, USAGE, DONE),
    "whole reply": lambda said: answer(200, completion(f"You sent {said}.")),
    "reasoning": lambda said: stream(event({"reasoning_content": said}), text("Hm."), STOP, DONE),
    "tool call": lambda said: stream(event(_call(said)), event(finish_reason="tool_calls"), DONE),
    "cut tool call": lambda said: stream(event(_call(said)), DONE),
    "JSON that is none": lambda said: stream(b'data: {"choices": [' + said.encode() + b"\n\n"),
    "wrong types": lambda said: stream(
        b"data: " + json.dumps({"choices": said}).encode() + b"\n\n"
    ),
    "gzip that is none": lambda said: answer(
        200, gzip.compress(said.encode())[:30] + said.encode(), **{"content-encoding": "gzip"}
    ),
    "status that is none": lambda said: _raw(f"HTTP/1.1 {said}\r\n\r\n".encode()),
    "header that is none": lambda said: _raw(_HEAD + f"x\0{said}\r\n\r\n".encode()),
    "hung up": lambda _: _raw(b""),
}
"""By name; each is given all that the request said of who asks."""


async def models(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer a chat completion: ``echo: NAME`` in the prompt asks for one of `ECHOES`."""
    if "chat/completions" not in request.path:
        await answer(200, {"data": [{"id": "canary-model"}]})(request, writer)
        return
    asked = _last_text(request.body)
    name = asked.partition("echo: ")[2].strip()
    if name:
        await ECHOES[name](_all_that_says_who(request))(request, writer)
        return
    words = f"An answer to this: {asked}"
    whole = answer(200, completion(words))
    streamed = stream(*_typed(words), STOP, USAGE, DONE, **{"set-cookie": "seen=1"})
    await (streamed if request.body.get("stream") else whole)(request, writer)


async def authority(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer as Microsoft Entra ID: tenant ``refused`` gets its own request back."""
    base = f"https://{request.headers['host']}/tenant"
    if "openid-configuration" in request.path:
        tenant = "refused" if "/refused/" in request.path else "tenant"
        base = f"https://{request.headers['host']}/{tenant}"
        places = {
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "issuer": f"{base}/v2.0",
        }
        await answer(200, places)(request, writer)
    elif "/refused/" in request.path:
        said = f"AADSTS7000215: Invalid client secret provided: {request.raw.decode()}"
        error = {"error": "invalid_client", "error_description": said}
        await answer(401, error)(request, writer)
    else:
        token = CANARIES["entra token"]
        given = {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
        await answer(200, given)(request, writer)


def _all_that_says_who(request: Request) -> str:
    lines = [request.path, *(f"{name}: {value}" for name, value in request.headers.items())]
    credentials = [value for value in CANARIES.values() if any(value in line for line in lines)]
    basic = request.headers.get("authorization", "")
    if basic.startswith("Basic "):
        credentials.append(base64.b64decode(basic[6:]).decode().partition(":")[2])
    return " ".join([*lines, *credentials])


def _last_text(body: dict[str, Any]) -> str:
    said = [each["content"] for each in body["messages"] if each["role"] == "user"]
    last = said[-1] if said else ""
    if isinstance(last, list):
        last = " ".join(part.get("text", "") for part in last)
    return str(last)
