"""A server on loopback that does what a test tells it to, byte by byte."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from nbagents.testing._listener import Listener


@dataclass
class Request:
    """A request that came, whether its answer pauses, and whether its sender has hung up since."""

    path: str
    headers: dict[str, str]
    raw: bytes
    pausing: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    gone_at: float | None = None

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers the n-th request with the n-th handler; the last one answers all further.

    It runs in a thread with a loop of its own, so that tests may block theirs.
    """

    def __init__(self, *handlers: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.handlers = list(handlers)
        self.requests: list[Request] = []
        self.connections = 0
        self.open_connections = 0
        self._tls = tls
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        listener = Listener(self._converse)
        self.port = listener.port
        self._ready.set()
        await self._stop.wait()
        await listener.close()

    async def _converse(self, accepted: socket.socket) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with suppress(asyncio.IncompleteReadError, OSError):  # as clients end a connection
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, accepted, ssl=self._tls
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
            self.connections += 1
            self.open_connections += 1
            try:
                await self._answer_all(reader, writer)
                writer.close()
                await writer.wait_closed()
            finally:
                self.open_connections -= 1
                transport.abort()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            request = await _read(reader)
            self.requests.append(request)
            watch = asyncio.ensure_future(_watch(reader, request))
            place = min(len(self.requests), len(self.handlers)) - 1
            try:
                await self.handlers[place](request, writer)
                await writer.drain()
            except OSError:
                await watch
            finally:
                watch.cancel()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = await reader.readexactly(1)
    if not head.isupper():  # a TLS handshake, say
        raise OSError
    head += await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(first.split()[1], headers, raw)


async def _watch(reader: asyncio.StreamReader, request: Request) -> None:
    while not reader.at_eof() and reader.exception() is None:  # noqa: ASYNC110 - reads nothing
        await asyncio.sleep(0.002)
    request.gone_at = time.monotonic()
    request.gone.set()


def answer(status: int, body: bytes | str | Any, **headers: str) -> Handler:
    """A whole answer; what is neither bytes nor text goes out as JSON."""
    kind = "application/json"
    if isinstance(body, str):
        kind, body = "text/html", body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = {"content-type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
    lines["content-length"] = str(len(body))

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, lines) + body)

    return handle


def stream(*pieces: bytes | float | None, **headers: str) -> Handler:
    """A chunked event stream: bytes are sent, numbers are seconds of silence, None hangs up."""
    lines = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **headers}

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(200, lines))
        for piece in pieces:
            if piece is None:
                writer.transport.abort()
                return
            if isinstance(piece, bytes):
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
            else:
                request.pausing.set()
                await asyncio.sleep(piece)
        writer.write(b"0\r\n\r\n")

    return handle


def silence(seconds: float = 30.0) -> Handler:
    """Nothing at all, for a while."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        request.pausing.set()
        await asyncio.sleep(seconds)

    return handle


def event(delta: dict[str, Any] | None = None, **chunk: Any) -> bytes:
    """An event of a stream: a delta of the first choice, and what else the chunk has."""
    finish = chunk.pop("finish_reason", None)
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    body = {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": choices, **chunk}
    return b"data: %b\n\n" % json.dumps(body).encode()


def text(words: str) -> bytes:
    """An event with a piece of text."""
    return event({"content": words})


STOP = event(finish_reason="stop")
USAGE = event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
DONE = b"data: [DONE]\n\n"
HELLO = (text("Hello"), text(" world"), STOP, USAGE, DONE)


def completion(content: str | None = "Hello world", **message: Any) -> dict[str, Any]:
    """A reply that is not streamed."""
    finish = message.pop("finish_reason", "stop")
    said = {"role": "assistant", "content": content, **message}
    return {
        "id": "chatcmpl-1",
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def refusal(status: int, message: str, code: str | None = None, **headers: str) -> Handler:
    """An error in the API's shape."""
    error = {"message": message, "type": "invalid_request_error", "code": code}
    return answer(status, {"error": error}, **headers)


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Something", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
