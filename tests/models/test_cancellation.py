"""However a request is given up, the server sees it at once and nothing that came is lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from nbagents import CancellationToken
from nbagents.errors import ConfigurationError, RequestCancelledError, RequestTimeoutError
from nbagents.messages import CreateResult, LLMMessage, UserMessage
from nbagents.models._limits import Limits
from nbagents.models._openai import OpenAIChatCompletionClient
from tests.support import (
    DONE,
    HELLO,
    STOP,
    Server,
    answer,
    completion,
    event,
    silence,
    stream,
    text,
)

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
SLOW = stream(text("Hel"), text("lo"), 30.0)
AT_ONCE = 15.0  # on a machine that is busy with something else; the server would go on for 30


@contextlib.asynccontextmanager
async def talking_to(server: Server, **given: Any) -> AsyncIterator[OpenAIChatCompletionClient]:
    given = {"model": "gpt-4o", "api_key": "test-key-1234", "max_retries": 0, **given}
    client = OpenAIChatCompletionClient(base_url=server.base_url, **given)
    # So that no test measures the import of the SDK.
    server.handlers.insert(0, answer(200, completion()))
    await client.create(HI)
    async with client:
        yield client


async def gone_within(server: Server, since: float) -> float:
    """Seconds from ``since`` until the server saw that nobody listens."""
    request = server.requests[-1]
    assert await asyncio.to_thread(request.gone.wait, 20), "the server still sends"
    assert request.gone_at is not None
    return request.gone_at - since


async def read_some(client: OpenAIChatCompletionClient, **given: Any) -> list[Any]:
    return [event async for event in client.create_stream(HI, **given)]


async def until_it_streams(server: Server) -> None:
    while len(server.requests) < 2:  # noqa: ASYNC110 - the server is in another thread
        await asyncio.sleep(0.005)
    assert await asyncio.to_thread(server.requests[1].pausing.wait, 30)
    for _ in range(20):  # until what has come is read
        await asyncio.sleep(0.002)


async def test_break_closes_the_response_although_a_variable_holds_the_stream() -> None:
    with Server(SLOW) as server:
        async with talking_to(server) as client:
            reply = client.create_stream(HI)
            async for chunk in reply:
                assert chunk == "Hel"
                break
            assert await gone_within(server, time.monotonic()) < AT_ONCE
            assert client.total_usage().estimated


async def test_an_exception_in_the_body_closes_the_response() -> None:
    with Server(SLOW) as server:
        async with talking_to(server) as client:
            reply = client.create_stream(HI)
            with contextlib.suppress(ZeroDivisionError):
                async for _ in reply:
                    raise ZeroDivisionError
            assert await gone_within(server, time.monotonic()) < AT_ONCE


async def test_aclose_closes_the_response() -> None:
    with Server(SLOW) as server:
        async with talking_to(server) as client:
            reply = client.create_stream(HI)
            await anext(reply)
            await reply.aclose()
            assert await gone_within(server, time.monotonic()) < AT_ONCE


@pytest.mark.parametrize("handler", [silence(), SLOW])
async def test_a_cancelled_task_is_a_cancelled_task(handler: Any) -> None:
    with Server(handler) as server:
        async with talking_to(server) as client:
            task = asyncio.create_task(read_some(client))
            await until_it_streams(server)
            task.cancel()
            began = time.monotonic()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert type(caught.value) is asyncio.CancelledError
            assert await gone_within(server, began) < AT_ONCE
            assert client.total_usage().estimated


@pytest.mark.parametrize("handler", [silence(), SLOW])
@pytest.mark.parametrize("call", ["create", "create_stream"])
async def test_a_token_cancels_from_any_thread(handler: Any, call: str) -> None:
    token = CancellationToken()
    with Server(handler) as server:
        async with talking_to(server) as client:
            ask = client.create if call == "create" else lambda *a, **k: read_some(client, **k)
            task = asyncio.ensure_future(ask(HI, cancellation_token=token))
            await until_it_streams(server)
            began = time.monotonic()
            threading.Thread(target=token.cancel).start()
            with pytest.raises(RequestCancelledError, match="cancelled by its token") as caught:
                await task
            assert await gone_within(server, began) < AT_ONCE
            assert caught.value.partial == ("Hello" if handler is SLOW else "")
            assert not task.cancelling()


async def test_a_token_closes_the_response_while_nobody_reads() -> None:
    token = CancellationToken()
    with Server(SLOW) as server:
        async with talking_to(server) as client:
            reply = client.create_stream(HI, cancellation_token=token)
            await anext(reply)
            token.cancel()
            assert await gone_within(server, time.monotonic()) < AT_ONCE
            with pytest.raises(RequestCancelledError) as caught:
                await anext(reply)
            assert caught.value.partial == "Hel"


async def test_a_token_cancels_while_connecting() -> None:
    token = CancellationToken()
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # the queue of those that wait to be accepted
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        async with OpenAIChatCompletionClient(model="gpt-4o", base_url=url) as client:
            asking = client.create(HI, cancellation_token=token)
            threading.Timer(0.3, token.cancel).start()
            began = time.monotonic()
            with pytest.raises(RequestCancelledError):
                await asking
    assert time.monotonic() - began < AT_ONCE


async def test_a_server_that_hangs_after_the_end_does_not_hold_the_result_back() -> None:
    with Server(stream(*HELLO, 30.0)) as server:
        async with talking_to(server) as client:
            began = time.monotonic()
            assert (await read_some(client))[-1].content == "Hello world"
            assert time.monotonic() - began < AT_ONCE
            assert await gone_within(server, began) < AT_ONCE


async def test_a_token_that_was_used_before_sends_nothing() -> None:
    token = CancellationToken()
    token.cancel()
    with Server(stream(*HELLO)) as server:
        async with talking_to(server) as client:
            with pytest.raises(RequestCancelledError):
                await client.create(HI, cancellation_token=token)
        assert len(server.requests) == 1


async def test_a_token_is_left_alone_by_a_request_that_has_ended() -> None:
    token = CancellationToken()
    with Server(stream(*HELLO)) as server:
        async with talking_to(server) as client:
            await read_some(client, cancellation_token=token)
    assert not token._callbacks


async def test_a_timeout_around_the_call_stays_a_timeout() -> None:
    token = CancellationToken()
    with Server(SLOW) as server:
        async with talking_to(server) as client:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.1):
                    await read_some(client, cancellation_token=token)
            assert type(caught.value) is TimeoutError


class TestDeadlines:
    @pytest.mark.parametrize(
        ("handler", "limits", "said"),
        [
            (silence(), Limits(first_byte=0.1), "first_byte"),
            (stream(text("Hello"), 30.0), Limits(silence=0.1), "silence"),
            (
                stream(text("Hello"), *([b": still here\n\n", 0.03] * 100)),
                Limits(silence=0.2),
                "silence",
            ),
            (stream(text("Hello"), *([text(""), 0.03] * 100)), Limits(silence=0.2), "silence"),
            (stream(text("Hello"), 30.0), Limits(total=0.6), "total"),
        ],
    )
    async def test_each_has_its_own_error(self, handler: Any, limits: Limits, said: str) -> None:
        with Server(handler) as server:
            async with talking_to(server, limits=limits) as client:
                with pytest.raises(RequestTimeoutError, match=rf"limits=Limits\({said}=") as caught:
                    await read_some(client)
                assert await gone_within(server, time.monotonic()) < AT_ONCE
        assert caught.value.retryable
        assert caught.value.partial == ("" if said == "first_byte" else "Hello")

    async def test_a_flood_of_what_is_no_content_is_held_to_them(self) -> None:
        class Flood(httpx2.AsyncBaseTransport):
            """Comments that come faster than they are read: there is never a wait."""

            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                async def pieces() -> AsyncIterator[bytes]:
                    yield text("Hello")
                    end = time.monotonic() + 5
                    while time.monotonic() < end:
                        yield b": still here\n\n" * 100

                kind = {"content-type": "text/event-stream"}
                return httpx2.Response(200, headers=kind, content=pieces())

        client = OpenAIChatCompletionClient(
            model="gpt-4o", limits=Limits(silence=0.2), _transport=Flood
        )
        async with client:
            with pytest.raises(RequestTimeoutError, match=r"nothing of the reply for 0\.2 s"):
                await read_some(client)

    async def test_content_that_shows_nothing_is_content(self) -> None:
        piece = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}
        arguments = [
            event({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
            for part in '{"abcd":1}'
        ]
        growing = [part for each in arguments for part in (each, 0.08)]
        with Server(stream(event(piece), *growing, STOP, DONE)) as server:
            async with talking_to(server, limits=Limits(silence=0.6)) as client:
                result = (await read_some(client))[-1]
        assert isinstance(result, CreateResult)
        assert result.finish_reason == "function_calls"

    async def test_they_do_not_count_while_the_reader_is_busy(self) -> None:
        slowly = stream(text("a"), 0.05, text("b"), 0.05, *HELLO)
        with Server(slowly) as server:
            async with talking_to(server, limits=Limits(silence=0.4, total=0.6)) as client:
                events = []
                async for event in client.create_stream(HI):
                    events.append(event)
                    await asyncio.sleep(0.45 if len(events) < 3 else 0)
        assert events[-1].content == "abHello world"

    @pytest.mark.parametrize("timeout", ["5", 0, -1.0])
    def test_a_timeout_that_is_none_is_told(self, timeout: Any) -> None:
        with pytest.raises(ConfigurationError, match="timeout is"):
            OpenAIChatCompletionClient(model="gpt-4o", api_key="x", timeout=timeout)

    def test_a_model_that_reasons_unseen_may_be_silent_for_as_long_as_it_takes(self) -> None:
        limits = OpenAIChatCompletionClient(model="o3", api_key="x")._direct._limits
        assert (limits.silence, limits.first_byte, limits.connect) == (600, 600, 5)

    async def test_a_timeout_given_for_one_call_is_for_that_call(self) -> None:
        with Server(silence()) as server:
            async with talking_to(server) as client:
                with pytest.raises(RequestTimeoutError, match=r"0\.1 s"):
                    await client.create(HI, extra_create_args={"timeout": 0.1})
