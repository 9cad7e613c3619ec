"""As much of an HTTP/1.1 server as a test needs; it can break the rules on purpose."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import responses
from typing import Any

from nbagents.testing._script import ScriptedReply

__all__ = ["Connection", "Gone", "RecordedRequest", "connect", "read_request"]

_MOST_BODY = 64 * 1024 * 1024


@dataclass
class RecordedRequest:
    """A request that came in, and how its answer went.

    Attributes:
        method: The HTTP method.
        path: The path, with its query.
        headers: Names in lower case.
        body: The body.
        received: When it had come, by ``time.monotonic()``.
        answered: When the last of the answer had been sent; None when that never happened.
        left: When the client closed the connection before that; None when it did not.
        over: Set when one of the two has happened.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    received: float = field(default_factory=time.monotonic)
    answered: float | None = None
    left: float | None = None
    over: threading.Event = field(default_factory=threading.Event, repr=False)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def wait(self, seconds: float = 5.0) -> bool:
        """Wait, in a thread other than the server's, until it is answered or the client left."""
        return self.over.wait(seconds)


class Gone(Exception):  # noqa: N818 - it says what happened
    """The client closed the connection."""


class Connection(asyncio.StreamReaderProtocol):
    """A connection that notices at once when the client closes it; `connect` makes it."""

    writer: asyncio.StreamWriter

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader(limit=1024 * 1024)
        self.closed = asyncio.Event()
        super().__init__(self.reader)

    def eof_received(self) -> bool:
        """The client has closed its side."""
        self.closed.set()
        super().eof_received()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.closed.set()
        super().connection_lost(exc)

    async def send(self, reply: ScriptedReply) -> bool:
        """Send a reply; return whether another request may follow on this connection.

        Raises:
            Gone: The client left before the end.
        """
        chunked = reply.head and reply.framing == "chunked"
        if reply.head:
            await self._write(_head(reply))
        for step in reply.steps:
            if isinstance(step, bytes):
                await self._write(b"%x\r\n%b\r\n" % (len(step), step) if chunked and step else step)
            else:
                await self._pause(step)
        if reply.ending == "stall":
            await self._pause(None)
        if reply.ending == "reset":
            self.reset()
        if reply.ending == "finish" and chunked:
            await self._write(b"0\r\n\r\n")
        return reply.ending == "finish" and reply.head and reply.framing != "close"

    async def finish(self) -> None:
        """Send what is left to send, and close the connection."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def _write(self, data: bytes) -> None:
        if self.closed.is_set():
            raise Gone
        self.writer.write(data)
        try:
            await self.writer.drain()
        except ConnectionError as error:
            raise Gone from error

    async def _pause(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self.closed.wait(), seconds)
        except TimeoutError:
            return
        raise Gone


async def connect(accepted: socket.socket) -> Connection:
    """Make a connection of a socket that a listener has accepted."""
    loop = asyncio.get_running_loop()
    transport, connection = await loop.connect_accepted_socket(Connection, accepted)
    connection.writer = asyncio.StreamWriter(transport, connection, connection.reader, loop)
    return connection


async def read_request(reader: asyncio.StreamReader) -> RecordedRequest | None:
    """Read a request; None when the connection ends or what comes is none."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await _read_body(reader, headers)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, ConnectionError):
        return None
    return RecordedRequest(method, path, headers, body)


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= _MOST_BODY:
            raise ValueError("a body too long")
        return await reader.readexactly(length)
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        if len(body) + size > _MOST_BODY:
            raise ValueError("a body too long")
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


def _head(reply: ScriptedReply) -> bytes:
    phrase = responses.get(reply.status, "Odd")
    headers = {"content-type": "text/plain"}
    if reply.framing == "chunked":
        headers["transfer-encoding"] = "chunked"
    elif reply.framing == "length":
        length = sum(len(step) for step in reply.steps if isinstance(step, bytes))
        headers["content-length"] = str(length)
    else:
        headers["connection"] = "close"
    headers |= {name.lower(): value for name, value in reply.headers.items()}
    first = f"HTTP/{reply.version} {reply.status} {phrase}"
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
