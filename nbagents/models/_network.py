"""The network below the HTTP library: asyncio's own transports.

The HTTP library's network comes by way of a layer that serves several kinds of event loop. It
stops and starts the reading of a socket around each piece, under a deadline of its own: with a
thousand streams that is a quarter of all work. Here a socket is read as it fills, within bounds,
and what has come since the last look is one piece.
"""

from __future__ import annotations

import asyncio
import re
import select
import ssl
import sys
from collections.abc import Awaitable, Generator, Iterable
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, TypeVar, cast

import httpcore2

__all__ = ["Network"]

T = TypeVar("T")

_AHEAD = 65_536  # bytes that may wait to be read
_AT_ONCE = 16_384
"""Bytes that TLS takes from a socket at once: the most that one of its records has."""
_FINAL = re.compile(rb"^HTTP/\d(?:\.\d)? [2-9]", re.MULTILINE)
"""Where an answer begins that is not just a word on the way, as 100 (Continue) is."""
_SECOND_TRY = 0.25
"""Seconds after which a host's next address is tried beside the first: RFC 8305, section 8."""


class Network(httpcore2.AsyncNetworkBackend):
    """Opens connections on the running loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        if local_address is not None or socket_options is not None:
            raise NotImplementedError("no local address and no socket options can be chosen here")
        loop = asyncio.get_running_loop()
        there = host.replace("%25", "%") if ":" in host else host  # in a URL, "%" is written so
        several = not _is_address(there) and _tries_several(loop)
        options: dict[str, Any] = {"happy_eyeballs_delay": _SECOND_TRY} if several else {}
        connecting = loop.create_connection(_Buffer, there, port, **options)
        with _translated(httpcore2.ConnectTimeout, httpcore2.ConnectError):
            transport, buffer = await _within(timeout, connecting)
        return _Stream(transport, buffer)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore2.AsyncNetworkStream):
    """One connection."""

    def __init__(self, transport: asyncio.Transport, buffer: _Buffer) -> None:
        self._transport = transport
        self._buffer = buffer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:  # written out, as are the two errors: it runs for each piece of a stream
            if not self._buffer.is_ready:
                await _within(timeout, self._buffer.filled())
            return self._buffer.take(max_bytes)
        except TimeoutError as error:
            raise httpcore2.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write it out, unless the other side answers before it has taken it all.

        The HTTP library then reads that answer: a body that is too long, say, is refused early.
        """
        with _translated(httpcore2.WriteTimeout, httpcore2.WriteError):
            self._buffer.check()
            self._transport.write(buffer)
            if self._buffer.is_held_up:
                await _within(timeout, self._buffer.flushed())

    async def aclose(self) -> None:
        self._buffer.abandon()
        self._transport.abort()
        await asyncio.sleep(0)  # in which the socket is closed

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            with _translated(httpcore2.ConnectTimeout, httpcore2.ConnectError):
                handshake = self._shake_hands(ssl_context, server_hostname)
                return await _within(timeout, handshake)
        except BaseException:
            self._transport.abort()
            raise

    async def _shake_hands(self, tls: ssl.SSLContext, host: str | None) -> _Stream:
        loop = asyncio.get_running_loop()
        host = host and host.partition("%")[0]  # which network leads there is in no certificate
        buffer = _Buffer()  # not the one before: anybody on the way may have written into it
        try:
            self._buffer.check()  # where nobody is there any more, asyncio would wait for ever
            transport = await loop.start_tls(self._transport, buffer, tls, server_hostname=host)
        except ConnectionError as error:
            ended = "the connection ended in the TLS handshake"
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, ended) from error
        _save_memory(self._transport.get_protocol())
        encrypted = cast(asyncio.Transport, transport)
        buffer.connection_made(encrypted)
        return _Stream(encrypted, buffer)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._buffer.is_ready or _is_readable(self._transport)
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))


class _Buffer(asyncio.Protocol):
    """What has come over a connection and was not taken yet."""

    def __init__(self) -> None:
        self.is_held_up = False  # whether what was written waits for the other side
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is something to take, if only the end."""
        return bool(self._data) or self._ended

    async def filled(self) -> None:
        """Wait until there is something to take."""
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def take(self, most: int) -> bytes:
        """At most so many bytes of what has come; none at the end.

        Raises:
            OSError: The connection broke, and all that had come before was taken.
        """
        if not self._data and self._error is not None:
            raise self._error
        taken = bytes(memoryview(self._data)[:most])
        del self._data[:most]
        if self._paused and self._transport is not None and len(self._data) < _AHEAD:
            self._paused = False
            self._transport.resume_reading()
        return taken

    def check(self) -> None:
        """Refuse to write where nobody reads.

        Raises:
            OSError: The connection is closed.
        """
        if self._ended or self._transport is None or self._transport.is_closing():
            raise self._error or ConnectionResetError("the connection is closed")

    async def flushed(self) -> None:
        """Wait until what was written has gone out.

        Raises:
            OSError: The connection is closed, or the other side answers already.
        """
        while self.is_held_up:
            self.check()
            if _FINAL.search(self._data):
                raise ConnectionAbortedError("the answer came before the request was sent")
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None
        self.check()

    def abandon(self) -> None:
        """What would have come is lost from now on, which is not the same as an end."""
        if not self._ended:
            self._error = ConnectionAbortedError("the connection was closed here")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        _wake(self._reader)
        _wake(self._writer)
        # Of TLS something may come before its transport is ours.
        if len(self._data) >= _AHEAD and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._error = self._error or exc
        self._end()

    def pause_writing(self) -> None:
        self.is_held_up = True

    def resume_writing(self) -> None:
        self.is_held_up = False
        _wake(self._writer)

    def _end(self) -> None:
        self._ended = True
        _wake(self._reader)
        _wake(self._writer)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


async def _within(seconds: float | None, wanted: Awaitable[T]) -> T:
    if seconds is None:
        return await wanted
    async with asyncio.timeout(seconds):
        return await wanted


@contextmanager
def _translated(late: type[Exception], broken: type[Exception]) -> Generator[None]:
    """Raise the HTTP library's errors."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except (OSError, UnicodeError) as error:  # of TLS, too; and a host's name may be none
        raise broken(str(error)) from error


def _save_memory(tls: Any) -> None:
    """Have a connection's TLS read into a small buffer: asyncio's own has 256 KiB, for each."""
    if isinstance(getattr(tls, "_ssl_buffer", None), bytearray):  # what asyncio has in 3.11 to 3.14
        tls.max_size = _AT_ONCE
        tls._ssl_buffer = bytearray(_AT_ONCE)
        tls._ssl_buffer_view = memoryview(tls._ssl_buffer)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _tries_several(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop can try a host's addresses side by side.

    uvloop does not take the argument, and asyncio before 3.12.8 and 3.13.1 fails in it where
    tasks begin at once (``asyncio.eager_task_factory``).
    """
    return isinstance(loop, asyncio.BaseEventLoop) and loop.get_task_factory() is None


def _is_readable(transport: asyncio.Transport) -> bool:
    """Whether something has come that the loop has not looked at yet."""
    connection = transport.get_extra_info("socket")
    if transport.is_closing() or connection is None or connection.fileno() < 0:
        return True
    if sys.platform == "win32":
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
