"""A server at which a request can be interrupted wherever it may stand."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from nbagents.testing import chunk

__all__ = ["PARTIAL", "Points", "serving"]

PARTIAL = "so far"
_PACE = 0.005
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LATER = (
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 30\r\ncontent-type: application/json\r\n"
    b'content-length: 33\r\n\r\n{"error": {"message": "Slower."}}'
)


class Points:
    """``http://127.0.0.1:PORT/POINT/v1`` keeps a request at ``POINT``; another port is mute.

    Attributes:
        port: The port.
        mute: Another, at which connections are accepted and nothing is ever said.
        requests: How many requests came.
        reached: Set whenever a request, or a connection to the mute port, is where it will stay.
        closed: When the connections that were kept waiting were closed by the client.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.reached = threading.Event()
        self.closed: list[float] = []
        self._listeners = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(2)]
        self.port, self.mute = (each.getsockname()[1] for each in self._listeners)
        self._dropped = threading.Event()
        for listener, serve in zip(self._listeners, (self._converse, self._keep), strict=True):
            threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()

    def close(self) -> None:
        """Stop; who is still connected to the mute port hears the end."""
        for listener in self._listeners:
            listener.close()
        self.drop()

    def drop(self) -> None:
        """End the connections to the mute port."""
        self._dropped.set()
        self._dropped = threading.Event()

    def _accept(self, listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, serve), daemon=True).start()

    def _serve(self, connection: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        with connection, suppress(OSError):
            serve(connection)

    def _keep(self, connection: socket.socket) -> None:
        dropped = self._dropped
        self.reached.set()
        while not dropped.is_set():
            if select.select([connection], [], [], 0.05)[0] and not connection.recv(65_536):
                self.closed.append(time.monotonic())
                return

    def _converse(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            while first := lines.readline():
                length = 0
                while (line := lines.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                asked = json.loads(lines.read(length))
                self.requests += 1
                self._answer(first.split(b"/")[1].decode(), asked, connection)

    def _answer(self, point: str, asked: dict[str, Any], connection: socket.socket) -> None:
        if point == "headers":
            self._wait(connection)
        elif point == "pause":
            connection.sendall(_LATER)
            self.reached.set()
        elif point in ("stalled", "streaming"):
            connection.sendall(_HEAD + _event(chunk(PARTIAL)))
            self._wait(connection, say=_event(chunk(" and on")) if point == "streaming" else b"")
        elif point in ("tool", "approval") and asked["messages"][-1]["role"] == "user":
            name = asked["tools"][0]["function"]["name"]
            function = {"name": name, "arguments": "{}"}
            call = {"index": 0, "id": "call-1", "type": "function", "function": function}
            self._finish(connection, chunk(tool_calls=[call]), chunk(finish_reason="tool_calls"))
        else:
            self._finish(connection, chunk("Done."), chunk(finish_reason="stop"))

    def _wait(self, connection: socket.socket, say: bytes = b"") -> None:
        """Until the client closes; meanwhile say something, over and over."""
        self.reached.set()
        with suppress(OSError):
            while not select.select([connection], [], [], _PACE if say else 30)[0]:
                connection.sendall(say)
        self.closed.append(time.monotonic())
        connection.close()

    def _finish(self, connection: socket.socket, *events: dict[str, Any]) -> None:
        end = b"".join(_event(each) for each in events) + _framed(b"data: [DONE]\n\n")
        connection.sendall(_HEAD + end + b"0\r\n\r\n")


@contextmanager
def serving() -> Iterator[Points]:
    """Run one."""
    points = Points()
    try:
        yield points
    finally:
        points.close()


def _event(data: dict[str, Any]) -> bytes:
    return _framed(b"data: %b\n\n" % json.dumps(data).encode())


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
