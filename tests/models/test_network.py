"""Connections of the running loop: whole, bounded, and closed at once."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpcore2
import pytest

from nbagents.models._network import _AHEAD, Network, _save_memory, _Stream
from tests.certificates import tls_for_loopback
from tests.notebook.streams import unanswering_port

Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def connected(
    serve: Served,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    listens: str = "127.0.0.1",
) -> AsyncGenerator[httpcore2.AsyncNetworkStream]:
    """A connection to a server that does ``serve`` and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, listens, 0, ssl=tls)
    async with server:
        stream = await Network().connect_tcp(host, server.sockets[0].getsockname()[1])
        try:
            yield stream
        finally:
            await stream.aclose()


async def all_of(stream: httpcore2.AsyncNetworkStream, most: int = 1000) -> bytes:
    taken = b""
    while data := await stream.read(most):
        assert len(data) <= most
        taken += data
    return taken


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


BYTES = random.Random(0).randbytes(3_000_000)


async def send_bytes(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(BYTES)
    await writer.drain()


async def send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readexactly(len(BYTES)))
    await writer.drain()


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("most", [100_000, 65_536, 999_983, 10_000_000])
async def test_all_that_is_sent_is_read_in_order(most: int) -> None:
    async with connected(send_bytes) as stream:
        assert await all_of(stream, most) == BYTES


async def test_all_that_is_sent_is_read_in_order_over_tls(tmp_path: Path) -> None:
    server, certificate = tls_for_loopback(tmp_path)
    async with connected(send_back, server) as bare:
        stream = await bare.start_tls(trusting(certificate), "127.0.0.1")
        sending = asyncio.create_task(stream.write(BYTES))
        assert await all_of(stream, 50_000) == BYTES
        await sending
        assert stream.get_extra_info("ssl_object").version().startswith("TLSv1.")


async def test_what_comes_with_the_end_of_the_handshake_is_read(tmp_path: Path) -> None:
    server, certificate = tls_for_loopback(tmp_path)
    async with connected(send_bytes, server) as bare:
        stream = await bare.start_tls(trusting(certificate), "127.0.0.1")
        assert await all_of(stream, 50_000) == BYTES


async def test_a_host_is_found_by_its_name() -> None:
    async with connected(send_bytes, host="localhost") as stream:
        assert await all_of(stream, 100_000) == BYTES
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"


async def test_tls_reads_into_a_small_buffer(tmp_path: Path) -> None:
    server, certificate = tls_for_loopback(tmp_path)
    async with connected(send_bytes, server) as bare:
        assert isinstance(bare, _Stream)
        tls = bare._transport
        stream = await bare.start_tls(trusting(certificate), "127.0.0.1")
        buffer: asyncio.BufferedProtocol = tls.get_protocol()  # type: ignore[assignment]
        assert await all_of(stream, 50_000) == BYTES
        assert len(buffer.get_buffer(-1)) == 16_384


@pytest.mark.parametrize("foreign", [False, True])
async def test_a_loop_that_cannot_try_several_addresses_at_once_tries_one_after_the_other(
    foreign: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def connect_as_uvloop(protocol: type[asyncio.Protocol], host: str, port: int) -> object:
        return await connect(protocol, host, port)

    monkeypatch.setattr(loop, "create_connection", connect_as_uvloop)
    if foreign:
        monkeypatch.setattr(asyncio, "BaseEventLoop", type("OfAnotherKind", (), {}))
    else:  # tasks that begin at once break asyncio's own way of trying
        loop.set_task_factory(lambda loop, coroutine, **named: asyncio.Task(coroutine, **named))
    for host in ("localhost", "127.0.0.1"):
        async with connected(send_bytes, host=host) as stream:
            assert await stream.read(4) == BYTES[:4]


async def test_what_nobody_reads_does_not_pile_up() -> None:
    written = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        while not writer.is_closing():
            writer.write(BYTES[:100_000])
            await writer.drain()
            written += 100_000

    async with connected(flood) as stream:
        assert isinstance(stream, _Stream)
        await stream.read(1)
        before = -1
        while before < written:
            before = written
            await asyncio.sleep(0.2)
        assert len(stream._buffer._data) <= _AHEAD + 256 * 1024
        assert await stream.read(10) == BYTES[1:11]


async def test_the_rest_of_what_was_to_come_over_a_connection_closed_here_is_lost_not_ended() -> (
    None
):
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"begun")
        await go.wait()

    go = asyncio.Event()
    async with connected(speak) as stream:
        assert await stream.read(5) == b"begun"
        await stream.aclose()
        with pytest.raises(httpcore2.ReadError, match="closed here"):
            await stream.read(5)
        go.set()


async def test_what_had_ended_before_it_was_closed_is_whole() -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"whole")

    async with connected(speak) as stream:
        assert isinstance(stream, _Stream)
        while not stream._buffer._ended:  # noqa: ASYNC110 - it is on its way
            await asyncio.sleep(0.005)
        await stream.aclose()
        assert await all_of(stream) == b"whole"


async def test_one_that_waits_to_write_is_closed_at_once_all_the_same() -> None:
    async def read_nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await go.wait()

    go = asyncio.Event()
    async with connected(read_nothing) as stream:
        hold_little(stream)
        connection = stream.get_extra_info("socket")
        writing = asyncio.create_task(stream.write(BYTES))
        await asyncio.sleep(0)
        assert not writing.done()
        await stream.aclose()
        assert connection.fileno() == -1
        with pytest.raises(httpcore2.WriteError):
            await writing
        go.set()


EARLY = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n"
ON_THE_WAY = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("said", [EARLY, ON_THE_WAY + EARLY])
async def test_an_answer_that_comes_before_all_is_written_is_read_at_once(said: bytes) -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in range(len(said)):
            writer.write(said[at : at + 1])
            await asyncio.sleep(0)
        await go.wait()  # without reading, and without hanging up

    go = asyncio.Event()
    async with connected(refuse) as stream, asyncio.timeout(20):
        hold_little(stream)
        with pytest.raises(httpcore2.WriteError, match="answer came before"):
            await stream.write(BYTES)
        taken = b""
        while len(taken) < len(said):
            taken += await stream.read(1000)
        assert taken == said
        go.set()


async def test_a_word_on_the_way_stops_no_request() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ON_THE_WAY)
        await writer.drain()
        await go.wait()
        assert await reader.readexactly(len(BYTES)) == BYTES
        writer.write(EARLY)

    go = asyncio.Event()
    async with connected(speak) as stream:
        assert isinstance(stream, _Stream)
        hold_little(stream)
        writing = asyncio.create_task(stream.write(BYTES))
        while not stream._buffer.is_ready:  # noqa: ASYNC110 - it is on its way
            await asyncio.sleep(0.005)
        await asyncio.sleep(0)
        go.set()
        await writing
        assert await all_of(stream) == ON_THE_WAY + EARLY


def hold_little(stream: httpcore2.AsyncNetworkStream) -> None:
    """Have the system take little of what is written before it is read."""
    stream.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)


async def test_a_write_waits_for_who_reads_slowly() -> None:
    go = asyncio.Event()

    async def read_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        await send_back(reader, writer)

    async with connected(read_late) as stream, asyncio.timeout(20):
        hold_little(stream)
        writing = asyncio.create_task(stream.write(BYTES))
        await asyncio.sleep(0.1)
        assert not writing.done()
        go.set()
        await writing
        assert await all_of(stream, 100_000) == BYTES


async def test_a_write_that_waits_ends_with_its_connection() -> None:
    async def read_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.transport.abort()

    async with connected(read_nothing) as stream, asyncio.timeout(20):
        hold_little(stream)
        with pytest.raises(httpcore2.WriteError):
            await stream.write(BYTES)


async def test_what_came_before_a_connection_broke_is_read_first() -> None:
    async def send_and_break(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"said")
        await asyncio.sleep(0.1)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with connected(send_and_break) as stream:
        await asyncio.sleep(0.3)
        assert await stream.read(100) == b"said"
        with pytest.raises(httpcore2.ReadError):
            await stream.read(100)
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"more")


async def test_deadlines_are_the_http_librarys_errors() -> None:
    async with connected(say_nothing) as stream:
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(1, timeout=0.01)
        with pytest.raises(httpcore2.ConnectTimeout):
            await stream.start_tls(ssl.create_default_context(), "127.0.0.1", timeout=0.05)
    with unanswering_port() as port, pytest.raises(httpcore2.ConnectTimeout):
        await Network().connect_tcp("127.0.0.1", port, timeout=0.05)


async def test_what_is_said_in_the_clear_is_not_taken_for_what_tls_brings(tmp_path: Path) -> None:
    """Anybody on the way can say it before the handshake."""
    tls, certificate = tls_for_loopback(tmp_path)

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"injected")
        await writer.drain()
        said.set()
        await go_on.wait()
        await writer.start_tls(tls)
        writer.write(b"genuine")
        await writer.drain()

    said, go_on = asyncio.Event(), asyncio.Event()
    async with connected(speak) as bare:
        await said.wait()
        while not bare.get_extra_info("is_readable"):  # noqa: ASYNC110 - it is on its way
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        go_on.set()
        stream = await bare.start_tls(trusting(certificate), "127.0.0.1")
        assert await all_of(stream) == b"genuine"


async def test_a_handshake_that_is_cancelled_leaves_nothing_open() -> None:
    ended = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(1)
        begun.set()
        while await reader.read(1000):
            pass
        ended.set()

    begun = asyncio.Event()
    async with connected(listen) as stream:
        handshake = asyncio.create_task(stream.start_tls(ssl.create_default_context(), "here"))
        await begun.wait()
        handshake.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handshake
        async with asyncio.timeout(5):
            await ended.wait()


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 100])
async def test_no_handshake_begins_where_the_server_has_gone(turns: int) -> None:
    async def go(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        pass

    async with connected(go) as stream:
        for _ in range(turns):
            await asyncio.sleep(0.001 if turns == 100 else 0)
        with pytest.raises(httpcore2.ConnectError, match="ended in the TLS handshake"):
            await stream.start_tls(ssl.create_default_context(), "127.0.0.1", timeout=5)


async def test_an_idle_connection_that_the_server_closed_is_known_to_be_closed() -> None:
    go = asyncio.Event()

    async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()

    async with connected(wait) as stream:
        assert not stream.get_extra_info("is_readable")
        go.set()
        await asyncio.sleep(0.1)
        assert stream.get_extra_info("is_readable")


async def test_what_was_said_unasked_is_known_too() -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"unasked")
        await go.wait()

    go = asyncio.Event()
    async with connected(speak) as stream:
        assert isinstance(stream, _Stream)
        while not stream._buffer.is_ready:  # noqa: ASYNC110 - it is on its way
            await asyncio.sleep(0.005)
        assert stream.get_extra_info("is_readable")
        go.set()


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".test", ".test"])
async def test_a_name_that_is_none_is_one_that_cannot_be_reached(host: str) -> None:
    with pytest.raises(httpcore2.ConnectError):
        await Network().connect_tcp(host, 80)


@pytest.mark.parametrize("escape", ["%", "%25"])
async def test_an_address_may_say_by_which_network_it_is_reached(escape: str) -> None:
    number = next(number for number, name in socket.if_nameindex() if name.startswith("lo"))
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            socket.getaddrinfo(f"::1%{number}", 80)
    except OSError:
        pytest.skip("there is no IPv6 here, or it has no such addresses")
    async with connected(send_bytes, host=f"::1{escape}{number}", listens="::1") as stream:
        assert await stream.read(4) == BYTES[:4]
        assert stream.get_extra_info("server_addr")[0] == "::1"


@pytest.mark.parametrize("given", [{"local_address": "127.0.0.1"}, {"socket_options": []}], ids=str)
async def test_what_it_cannot_do_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError, match="can be chosen here"):
        await Network().connect_tcp("127.0.0.1", 9, **given)


def test_tls_of_another_kind_is_left_as_it_is() -> None:
    other = SimpleNamespace(_ssl_buffer=b"", max_size=5)
    _save_memory(other)
    _save_memory(object())
    assert vars(other) == {"_ssl_buffer": b"", "max_size": 5}


async def test_what_has_come_unseen_by_the_loop_is_known_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = await Network().connect_tcp(*server.getsockname())
        there, _ = server.accept()
        assert not stream.get_extra_info("is_readable")
        there.close()  # and the loop gets no turn to see it
        assert stream.get_extra_info("is_readable")
        await stream.aclose()
