"""Connections are used again, a few stay warm, and none is left open."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
from typing import Any

import httpcore2
import httpx2
import pytest

from nbagents.errors import APIConnectionError, RequestError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models import OpenAIChatCompletionClient
from nbagents.models._network import _Stream
from nbagents.models._pool import PooledTransport, _Pool
from tests.support import HELLO, Request, Server, answer, completion, stream, text

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]


def client_of(server: Server) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(
        model="gpt-4o", api_key="test-key-1234", base_url=server.base_url, max_retries=0
    )


def pool_of(client: OpenAIChatCompletionClient) -> _Pool:
    (home,) = client._direct._connections._of_loop.values()
    http = home.client._client
    pool: _Pool = http._transport_for_url(http.base_url)._pool  # type: ignore[attr-defined]
    return pool


async def until_closed(server: Server, but: int = 0) -> None:
    async with asyncio.timeout(5):
        while server.open_connections > but:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.005)


async def test_of_many_connections_a_few_stay_warm() -> None:
    with Server(stream(0.2, *HELLO)) as server:
        async with client_of(server) as client:
            await client.create(HI)
            pool_of(client)._most_idle = 2
            await asyncio.gather(*(client.create(HI) for _ in range(6)))
            assert server.connections == 6
            await until_closed(server, but=2)
            await asyncio.gather(*(client.create(HI) for _ in range(2)))
            assert server.connections == 6
            assert not pool_of(client)._busy
        await until_closed(server)


async def test_the_warmest_is_taken_and_those_of_no_use_are_closed() -> None:
    with Server(stream(0.2, *HELLO)) as server:
        async with client_of(server) as client:
            await asyncio.gather(*(client.create(HI) for _ in range(4)))
            cold, mild, warm, gone = pool_of(client)._idle
            cold._connection._expire_at = 0.0
            await gone._connection._network_stream.aclose()
            await client.create(HI)
            assert pool_of(client)._idle == [mild, warm]
            assert "Request Count: 2" in warm.info()
            await until_closed(server, but=2)


async def test_one_whose_response_is_closed_twice_is_kept_once() -> None:
    with Server(answer(200, completion())) as server:
        async with client_of(server) as client:
            await client.create(HI)
            pool = pool_of(client)
            request = httpcore2.Request("GET", server.base_url, headers={"Host": "here"})
            response = await pool.handle_async_request(request)
            assert await response.aread()
            for _ in range(2):
                await response.aclose()
            assert len(pool._idle) == 1


async def test_all_of_them_go_with_their_client() -> None:
    with Server(stream(0.1, *HELLO)) as server:
        client = client_of(server)
        await asyncio.gather(*(client.create(HI) for _ in range(2)))
        assert server.open_connections == 2
        del client
        gc.collect()
        await until_closed(server)


async def test_one_that_was_being_made_when_the_client_closed_is_not_kept() -> None:
    with Server(answer(200, completion())) as server:
        client = client_of(server)
        await client.create(HI)
        pool = pool_of(client)
        await pool._idle.pop().aclose()
        asked = asyncio.create_task(client.create(HI))
        while not pool._busy:  # noqa: ASYNC110 - it takes no time
            await asyncio.sleep(0)
        await client.close()
        assert (await asked).content
        assert not pool._idle
        await until_closed(server)


async def test_one_that_expired_or_was_closed_by_the_server_is_not_used_again() -> None:
    with Server(stream(0.2, *HELLO)) as server:
        async with client_of(server) as client:
            await asyncio.gather(client.create(HI), client.create(HI))
            old, new = pool_of(client)._idle
            for expired in (old, new):
                expired._connection._expire_at = 0.0
            await client.create(HI)
            assert server.connections == 3
            (third,) = pool_of(client)._idle
            await third._connection._network_stream.aclose()
            await client.create(HI)
            assert server.connections == 4
            await until_closed(server, but=1)


async def test_one_that_failed_is_not_kept() -> None:
    with Server(stream(*HELLO)) as server:
        client = client_of(server)
        await client.create(HI)
        pool = pool_of(client)
    async with client:
        for _ in range(2):
            with pytest.raises(RequestError):
                await client.create(HI)
        assert not pool._idle
        assert not pool._busy


async def test_one_whose_reply_was_left_is_closed() -> None:
    with Server(stream(*[text("and on "), 0.02] * 200)) as server:
        async with client_of(server) as client:
            async for _ in client.create_stream(HI):
                break
            await until_closed(server)
            assert not pool_of(client)._busy


async def test_connections_are_made_over_our_own_network() -> None:
    with Server(answer(200, completion("Hello."))) as server:
        async with client_of(server) as client:
            await client.create(HI)
            (connection,) = pool_of(client)._idle
            assert isinstance(connection._connection._network_stream, _Stream)


async def test_without_knowing_whether_anything_came_behind_a_reply_no_connection_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another version of the HTTP library may have it elsewhere."""
    made = httpcore2.AsyncHTTPConnection.handle_async_request

    async def handle(connection: Any, request: httpcore2.Request) -> httpcore2.Response:
        response = await made(connection, request)
        release = type(connection._connection)._response_closed

        async def closed(self: Any) -> None:
            await release(self)
            del self._h11_state

        monkeypatch.setattr(type(connection._connection), "_response_closed", closed)
        return response

    monkeypatch.setattr(httpcore2.AsyncHTTPConnection, "handle_async_request", handle)
    with Server(answer(200, completion())) as server:
        async with client_of(server) as client:
            await client.create(HI)
            await until_closed(server)
            assert not pool_of(client)._idle


async def test_those_that_are_open_when_closing_is_cancelled_are_closed_all_the_same() -> None:
    with Server(stream(0.2, *HELLO)) as server:
        client = client_of(server)
        await asyncio.gather(*(client.create(HI) for _ in range(4)))
        pool = pool_of(client)
        assert len(pool._idle) == 4
        closing = asyncio.create_task(pool.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await until_closed(server)
        await client.close()


async def test_a_transport_can_be_used_as_a_context() -> None:
    limits = httpx2.Limits(max_keepalive_connections=1)
    with Server(answer(200, completion())) as server:
        transport = PooledTransport(ssl.create_default_context(), limits)
        async with transport, httpx2.AsyncClient(transport=transport) as client:
            assert (await client.get(server.base_url)).is_success
            assert server.open_connections == 1
        await until_closed(server)


async def test_what_comes_behind_the_end_of_a_reply_answers_no_other_request() -> None:
    """It came in one piece with the reply, so the HTTP library has read it already."""

    async def twice(_: Request, writer: asyncio.StreamWriter) -> None:
        body = json.dumps(completion("One.")).encode()
        reply = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        writer.write(reply + reply)

    with Server(twice, answer(200, completion("Two."))) as server:
        async with client_of(server) as client:
            said = [(await client.create(HI)).content for _ in range(2)]
        assert said == ["One.", "Two."]
        assert server.connections == 2


async def test_closing_the_client_closes_the_connections_in_use_too() -> None:
    with Server(stream(*[text("and on "), 0.02] * 500)) as server:
        client = client_of(server)
        replying = client.create_stream(HI)
        await anext(replying)
        assert server.open_connections == 1
        await client.close()
        await until_closed(server)
        await replying.aclose()


async def test_a_connection_serves_only_the_server_it_was_made_to() -> None:
    with (
        Server(answer(200, completion("Here."))) as here,
        Server(answer(200, completion())) as there,
    ):
        async with client_of(here) as client:
            await client.create(HI)
            pool = pool_of(client)
            origin = httpcore2.URL(there.base_url).origin
            assert await pool._warm(origin) is None
            assert await pool._warm(httpcore2.URL(here.base_url).origin) is not None


async def test_a_client_that_is_closed_under_a_request_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nbagents.models._connections.most_at_once", lambda: 1)
    with Server(stream(0.3, *HELLO)) as server:
        async with client_of(server) as client:
            await client.create(HI)
            asking = [asyncio.create_task(client.create(HI)) for _ in range(2)]
            await asyncio.sleep(0.1)
            await client.close()
            _, second = await asyncio.gather(*asking, return_exceptions=True)
            assert isinstance(second, APIConnectionError)
            assert "The client was closed" in str(second)
            assert (await client.create(HI)).content == "Hello world"
