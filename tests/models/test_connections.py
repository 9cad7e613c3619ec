"""One client object, any number of event loops, and connections that stay warm."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import httpx2
import pytest

from nbagents.errors import ConfigurationError, ProtocolError, RequestTimeoutError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models._http import KEEP_ALIVE, _check
from nbagents.models._limits import Limits
from nbagents.models._openai import OpenAIChatCompletionClient
from nbagents.usage import ledger
from tests.notebook.streams import unanswering_port
from tests.support import HELLO, Server, answer, completion, stream

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]


def client_of(server: Server, **given: Any) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(
        model="gpt-4o", api_key="test-key-1234", base_url=server.base_url, **given
    )


async def until_closed(server: Server) -> None:
    async with asyncio.timeout(20):
        while server.open_connections:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.005)


async def test_requests_one_after_the_other_share_a_connection() -> None:
    with Server(stream(*HELLO), answer(200, completion())) as server:
        async with client_of(server) as client:
            for _ in range(3):
                assert [event async for event in client.create_stream(HI)][-1].content
                await client.create(HI)
        assert (len(server.requests), server.connections) == (6, 1)


async def test_a_connection_outlives_a_pause_that_the_sdk_would_not_sit_out() -> None:
    with Server(answer(200, completion())) as server:
        async with client_of(server) as client:
            await client.create(HI)
            (home,) = client._direct._connections._of_loop.values()
            pool = home.client._client._transport._pool  # type: ignore[attr-defined]
            connection = pool._idle[0]._connection
            assert connection._keepalive_expiry == KEEP_ALIVE
            assert KEEP_ALIVE >= 120
            # Ten times the SDK's 5 seconds go by on the pool's own clock.
            connection._expire_at -= 50
            await client.create(HI)
            assert server.connections == 1
            connection._expire_at -= KEEP_ALIVE
            await client.create(HI)
            assert server.connections == 2


def test_one_client_works_in_successive_loops_and_leaves_no_sockets() -> None:
    with Server(answer(200, completion())) as server:
        client = client_of(server)
        for _ in range(3):
            assert asyncio.run(client.create(HI)).content == "Hello world"
        assert client.total_usage().prompt_tokens == 3 * 7
        assert len(client._direct._connections._of_loop) == 0
        asyncio.run(until_closed(server))
        assert server.connections == 3


def test_one_client_works_in_several_threads_and_loops_at_once() -> None:
    results: list[str] = []

    async def ask(client: OpenAIChatCompletionClient) -> None:
        replies = await asyncio.gather(*(client.create(HI) for _ in range(5)))
        results.extend(reply.text for reply in replies)

    with Server(answer(200, completion())) as server:
        client = client_of(server)
        threads = [threading.Thread(target=lambda: asyncio.run(ask(client))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert results == ["Hello world"] * 20
        assert client.total_usage().prompt_tokens == 20 * 7


def test_a_loop_that_is_closed_without_ado_is_forgotten() -> None:
    with Server(answer(200, completion())) as server:
        client = client_of(server)
        with warnings.catch_warnings():
            # Python itself warns of sockets left in a loop that was closed under them.
            warnings.simplefilter("ignore", ResourceWarning)
            for _ in range(2):
                loop = asyncio.new_event_loop()
                assert loop.run_until_complete(client.create(HI)).content == "Hello world"
                loop.close()
                del loop
                gc.collect()
            assert asyncio.run(client.create(HI)).content == "Hello world"
            assert len(client._direct._connections._of_loop) == 0
            gc.collect()
        asyncio.run(until_closed(server))


async def test_a_client_that_is_let_go_closes_its_connections() -> None:
    with Server(answer(200, completion())) as server:
        client = client_of(server)
        await client.create(HI)
        assert server.open_connections == 1
        del client
        await until_closed(server)


async def test_close_reaches_the_connections_of_another_loop() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with Server(answer(200, completion())) as server:
        client = client_of(server)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(client.create(HI), loop))
        await client.create(HI)
        assert server.open_connections == 2
        await client.close()
        await until_closed(server)
        assert (await client.create(HI)).content == "Hello world"
        await client.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


FORKS = """
import asyncio, os, sys
from nbagents import run
from nbagents.messages import UserMessage
from nbagents.models import OpenAIChatCompletionClient

async def ask():
    await client.create([UserMessage(content="hi", source="ada")])

client = OpenAIChatCompletionClient(model="gpt-4o", api_key="test-key-1234", base_url=sys.argv[1])
run(ask())
child = os.fork()
if not child:
    asyncio.run(asyncio.wait_for(client.close(), 10))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
run(ask())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_leaves_its_parents_connections_alone() -> None:
    with Server(answer(200, completion())) as server:
        subprocess.run([sys.executable, "-c", FORKS, server.base_url], check=True, timeout=60)
        assert (len(server.requests), server.connections) == (2, 1)


async def test_the_event_loop_is_free_while_the_first_request_is_prepared() -> None:
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - began)

    with Server(answer(200, completion())) as server:
        heart = asyncio.create_task(beat())
        await asyncio.sleep(0.01)
        async with client_of(server) as client:
            await client.create(HI)
        heart.cancel()
    assert longest < 1.0


async def test_a_client_of_ones_own_is_used_and_left_open() -> None:
    with Server(answer(200, completion())) as server:
        async with httpx2.AsyncClient(headers={"x-mine": "1"}) as own:
            async with client_of(server, http_client=own) as client:
                await client.create(HI)
            assert not own.is_closed
        assert server.requests[0].headers["x-mine"] == "1"


async def test_an_answer_may_come_without_the_network() -> None:
    made = 0

    def transport() -> httpx2.AsyncBaseTransport:
        nonlocal made
        made += 1
        return httpx2.MockTransport(lambda request: httpx2.Response(200, json=completion()))

    client = OpenAIChatCompletionClient(
        model="gpt-4o", base_url="http://nowhere.test/v1", _transport=transport
    )
    assert (await client.create(HI)).content == "Hello world"
    assert (await asyncio.to_thread(lambda: asyncio.run(client.create(HI)))).content
    assert made == 2


async def test_the_switch_keeps_requests_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBAGENTS_REQUESTS", "loopback")
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key="x", max_retries=0)
    with pytest.raises(ConfigurationError, match=r"api\.openai\.com"):
        await client.create(HI)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_server_is_not_followed(status: int) -> None:
    with Server(answer(200, completion())) as other:
        away = f"{other.base_url}/chat/completions"
        with Server(answer(status, b"", location=away)) as server:
            async with client_of(server, default_headers={"X-Api-Key": "canary"}) as client:
                with pytest.raises(ProtocolError, match=f"127.0.0.1:{other.port}, and nothing was"):
                    await client.create(HI)
        assert other.requests == []


async def test_a_redirect_on_the_same_server_takes_key_and_prompt_along() -> None:
    moved = answer(307, b"", location="/v2/chat/completions")
    with Server(moved, answer(200, completion())) as server:
        async with client_of(server) as client:
            assert (await client.create(HI)).content == "Hello world"
        first, second = server.requests
    assert (second.path, second.raw) == ("/v2/chat/completions", first.raw)
    assert second.headers["authorization"] == "Bearer test-key-1234"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_is_for_this_machine_goes_through_no_proxy(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Server(answer(200, completion("Proxied."))) as proxy,
        Server(answer(200, completion())) as server,
    ):
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        base_url = server.base_url.replace("127.0.0.1", host)
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key="x", base_url=base_url
        ) as client:
            assert (await client.create(HI)).content == "Hello world"
        assert proxy.requests == []


@pytest.mark.parametrize("host", ["[::1]:8080", "localhost"])
async def test_a_server_is_not_told_by_which_network_it_is_reached(host: str) -> None:
    request = httpx2.Request("POST", f"http://{host.replace(']', '%251]')}/v1")
    await _check(request)
    assert request.headers["host"] == host


async def test_what_a_redirect_says_is_not_read() -> None:
    sent = 0

    async def endless(_: Any, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 307 Moved\r\nlocation: /v2/chat/completions\r\n\r\n")
        try:
            while sent < 50_000_000:
                writer.write(bytes(100_000))
                await writer.drain()
                sent += 100_000
        finally:
            writer.transport.abort()  # with what nobody reads

    with Server(endless, answer(200, completion())) as server:
        async with client_of(server) as client:
            assert (await client.create(HI)).content == "Hello world"
    assert sent < 50_000_000


async def test_a_request_that_is_cancelled_in_the_tls_handshake_leaves_no_socket_and_no_count() -> (
    None
):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        base_url = f"https://127.0.0.1:{mute.getsockname()[1]}/v1"
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key="x", base_url=base_url
        ) as client:
            asked = asyncio.create_task(client.create(HI))
            connection, _ = await asyncio.to_thread(mute.accept)
            with connection:
                connection.settimeout(5)
                assert await asyncio.to_thread(connection.recv, 65_536)  # its hello
                records = len(ledger)
                asked.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asked
                assert await asyncio.to_thread(connection.recv, 65_536) == b""
            assert client.total_usage().prompt_tokens == 0
            assert ledger.records[records].status == "cancelled"
            assert ledger.records[records].prompt_tokens is None


@pytest.mark.parametrize("tls", [False, True])
async def test_what_does_not_connect_in_time_is_told(tls: bool) -> None:
    with unanswering_port() as full, socket.create_server(("127.0.0.1", 0)) as mute:
        base_url = (
            f"https://127.0.0.1:{mute.getsockname()[1]}" if tls else f"http://127.0.0.1:{full}"
        )
        async with OpenAIChatCompletionClient(
            model="gpt-4o",
            api_key="x",
            base_url=f"{base_url}/v1",
            max_retries=0,
            limits=Limits(connect=0.2),
        ) as client:
            began = time.monotonic()
            with pytest.raises(RequestTimeoutError, match=r"Limits\(connect=...\)"):
                await client.create(HI)
        assert time.monotonic() - began >= 0.2


async def test_a_loop_that_is_busy_elsewhere_is_no_fault_of_the_server() -> None:
    with Server(answer(200, completion())) as server:
        async with client_of(server) as client:
            await client.create(HI)  # the SDK is imported
        async with client_of(server, max_retries=0, limits=Limits(connect=0.1)) as client:
            asked = asyncio.create_task(client.create(HI))
            while not asked.done():
                await asyncio.sleep(0)
                time.sleep(0.12)  # noqa: ASYNC251 - that is what others do
            assert (await asked).content == "Hello world"
