"""Behind a proxy the same holds: connections are kept, and none tells another's reply."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from nbagents.messages import LLMMessage, UserMessage
from nbagents.models import OpenAIChatCompletionClient
from nbagents.models._network import _Stream
from nbagents.models._pool import PooledTransport
from tests.certificates import tls_for_loopback
from tests.support import HELLO, Handler, Request, Server, answer, completion, stream

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]


@pytest.fixture(autouse=True)
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NBAGENTS_REQUESTS")  # the proxy is here, whatever it is asked for


def client_of(base_url: str) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(
        model="gpt-4o", api_key="test-key-1234", base_url=base_url, max_retries=0
    )


def twice(said: str) -> Handler:
    """An answer, and in one piece with it another that nobody has asked for."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        body = json.dumps(completion(said)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body) * 2)

    return handle


@asynccontextmanager
async def tunnels(
    server: Server, tls: ssl.SSLContext | None
) -> AsyncGenerator[tuple[int, list[bytes]]]:
    """A proxy that lets through to a server; yields its port, and what it is asked for."""
    asked: list[bytes] = []
    under_way: list[asyncio.Future[None]] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.transport.abort()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
        there = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        under_way.extend(
            map(asyncio.ensure_future, [pump(reader, there[1]), pump(there[0], writer)])
        )

    proxy = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with proxy:
        yield proxy.sockets[0].getsockname()[1], asked
    await asyncio.gather(*under_way)  # which end with who has asked


def connections_of(client: OpenAIChatCompletionClient) -> list[object]:
    (home,) = client._direct._connections._of_loop.values()
    transport = home.client._client._transport_for_url(httpx2.URL(str(home.client.base_url)))
    assert isinstance(transport, PooledTransport)
    return transport._pool._idle  # type: ignore[attr-defined, no-any-return]


async def test_a_proxy_is_asked_for_the_whole_address_over_one_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Server(stream(*HELLO), answer(200, completion("Two."))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with client_of("http://far.test/v1") as client:
            said = [(await client.create(HI)).content for _ in range(3)]
            (kept,) = connections_of(client)
            assert isinstance(kept._connection._connection._network_stream, _Stream)  # type: ignore[attr-defined]
    assert said == ["Hello world", "Two.", "Two."]
    assert proxy.connections == 1
    assert proxy.requests[0].path == "http://far.test/v1/chat/completions"


async def test_what_comes_behind_the_end_of_a_reply_answers_no_other_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Server(twice("One."), answer(200, completion("Two."))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with client_of("http://far.test/v1") as client:
            assert [(await client.create(HI)).content for _ in range(2)] == ["One.", "Two."]
        assert proxy.connections == 2


@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
async def test_nor_does_it_through_a_tunnel_which_is_kept_else(
    encrypted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, certificate = tls_for_loopback(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)
    trusting.check_hostname = False
    monkeypatch.setattr("nbagents.models._http.tls_context", lambda: trusting)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    handlers = twice("One."), answer(200, completion("Two.")), stream(*HELLO)
    with Server(*handlers, tls=tls) as server:
        async with tunnels(server, tls if encrypted else None) as (port, asked):
            scheme = "https" if encrypted else "http"
            monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{port}")
            async with client_of("https://far.test/v1") as client:
                said = [(await client.create(HI)).content for _ in range(3)]
                assert len(connections_of(client)) == 1
    assert asked == [b"CONNECT far.test:443 HTTP/1.1"] * 2
    assert said == ["One.", "Two.", "Hello world"]
    assert server.connections == 2
    assert server.requests[0].path == "/v1/chat/completions"
