"""Both ends of a plain stream over loopback: a server that sees it closed, and a cell's reader."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from nbagents.loop import Interrupted, InterruptGuard, drive
from nbagents.messages import StreamChunk
from nbagents.notebook._display import reply_display
from nbagents.rendering import reply_bundle

WORDS = "lorem ipsum "


class StreamServer:
    """Sends a word every ``interval`` seconds on each connection, or nothing; notes its end.

    Attributes:
        opened: Connections so far.
        closed: When each connection that has ended was closed by its client.
    """

    def __init__(self, interval: float | None) -> None:
        self.interval = interval
        self.opened = 0
        self.closed: list[float] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def wait_closed(self, timeout: float = 30) -> float:
        """When the last connection was closed, once all are."""
        deadline = time.monotonic() + timeout
        while len(self.closed) < self.opened and time.monotonic() < deadline:
            time.sleep(0.002)
        assert len(self.closed) == self.opened, "a stream was left running"
        return max(self.closed, default=0.0)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.opened += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            try:
                # readable: the client has closed
                while not selector.select(self.interval):
                    connection.sendall(WORDS.encode())
            except OSError:
                pass
            self.closed.append(time.monotonic())


@contextmanager
def stream_server(interval: float | None = 0.01) -> Iterator[StreamServer]:
    server = StreamServer(interval)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def unanswering_port() -> Iterator[int]:
    """A port that accepts no connection and refuses none: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        callers = [socket.socket() for _ in range(4)]
        try:
            for caller in callers:
                caller.setblocking(False)
                caller.connect_ex(listener.getsockname())
            yield listener.getsockname()[1]
        finally:
            for caller in callers:
                caller.close()


async def read_stream(port: int) -> AsyncIterator[StreamChunk]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while data := await reader.read(4096):
            yield StreamChunk(data.decode())
    finally:
        writer.close()


async def read_text(text: str, *, size: int = 6, rate: float | None = None) -> AsyncIterator[Any]:
    """``text`` in chunks, ``rate`` of them a second; None for as fast as possible."""
    started = time.monotonic()
    for number, start in enumerate(range(0, len(text), size)):
        if rate is not None:
            await asyncio.sleep(started + number / rate - time.monotonic())
        yield StreamChunk(text[start : start + size])


def show(source: Any, shell: Any, *, label: str = "tiny") -> str:
    """What a chat cell does, without the model: stream to the output, leave a bundle."""
    parts: list[str] = []
    display = reply_display(shell, label=label)

    def take(chunk: str) -> None:
        parts.append(chunk)
        display.feed(chunk)

    with InterruptGuard() as guard:
        try:
            drive(source, take, due=display.due, tick=display.paint, guard=guard)
        except Interrupted:
            display.finish(reply_bundle("".join(parts), status="cancelled"))
            raise
        display.finish(reply_bundle("".join(parts), footer="tiny"), footer="tiny")
    return "".join(parts)
