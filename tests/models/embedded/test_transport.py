import asyncio
import time

import httpx2
import openai
import pytest

from nbagents.errors import BadRequestError, ConfigurationError
from nbagents.messages import CreateResult, UserMessage
from nbagents.models._embedded.transport import (
    BASE_URL,
    INFO,
    EmbeddedTransport,
    default_pace,
    embedded_client,
)
from nbagents.tools import FunctionTool


def sdk_client(pace=None):
    http = httpx2.AsyncClient(transport=EmbeddedTransport(pace))
    return openai.AsyncOpenAI(api_key="none", base_url=BASE_URL, http_client=http, max_retries=0)


async def ask(client, **options):
    messages = [{"role": "user", "content": "Hello"}]
    return await client.chat.completions.create(
        model="nbagents-embedded", messages=messages, **options
    )


async def test_the_sdk_reads_a_whole_reply():
    async with sdk_client() as client:
        reply = await ask(client)
    assert reply.choices[0].message.content.startswith("I am nbagents' embedded model")


async def test_the_sdk_reads_a_stream_of_words():
    async with sdk_client() as client:
        whole = (await ask(client)).choices[0].message.content
        stream = await ask(client, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
    words = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(words) == whole
    assert len(words) > 20
    assert chunks[-1].usage.total_tokens > 20


async def test_what_it_cannot_do_is_the_apis_own_error():
    async with sdk_client() as client:
        with pytest.raises(openai.BadRequestError, match="reads text only"):
            await client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": [{"type": "image_url"}]}],
            )


async def test_words_come_at_their_pace_and_other_tasks_go_on_meanwhile():
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    async with sdk_client(pace=0.001) as client:
        started = time.monotonic()
        chunks = [chunk async for chunk in await ask(client, stream=True)]
        seconds = time.monotonic() - started
    ticking.cancel()
    assert seconds >= 0.001 * len(chunks)
    assert ticks > len(chunks)


async def test_a_stream_can_be_left_in_the_middle():
    async with sdk_client(pace=60) as client:
        stream = await ask(client, stream=True)
        reading = asyncio.create_task(anext(aiter(stream)))
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await stream.close()


def test_nobody_waits_below_pytest_or_in_final_mode(monkeypatch):
    monkeypatch.delenv("NBAGENTS_PACE", raising=False)
    assert default_pace() == 0.0
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert default_pace() == 0.005
    monkeypatch.setenv("NBAGENTS_RENDER", "final")
    assert default_pace() == 0.0
    monkeypatch.setenv("NBAGENTS_PACE", "0.25")
    assert default_pace() == 0.25


async def test_our_client_streams_it_and_gets_the_same_reply_as_without_streaming():
    messages = [UserMessage(content="Hello", source="user")]
    async with embedded_client() as client:
        *words, streamed = [event async for event in client.create_stream(messages)]
        whole = await client.create(messages)
    assert len(words) > 20
    assert isinstance(streamed, CreateResult)
    assert "".join(words) == streamed.content == whole.content
    assert streamed.usage == whole.usage
    assert streamed.usage.estimated


async def test_a_limit_of_tokens_is_kept():
    messages = [UserMessage(content="Hello", source="user")]
    async with embedded_client(max_tokens=5) as client:
        result = await client.create(messages)
    assert (result.finish_reason, result.content) == ("length", "I am nbagents' ")


async def test_what_it_cannot_do_is_said_with_the_next_step():
    messages = [UserMessage(content="Hello", source="user")]
    async with embedded_client() as client:
        with pytest.raises(BadRequestError, match="OPENAI_API_KEY"):
            await client.create(messages, extra_create_args={"tool_choice": "required"})


def test_it_says_what_it_can_do():
    assert embedded_client().model_info == INFO


def test_the_client_works_in_one_loop_after_another():
    client = embedded_client()

    async def ask():
        return (await client.create([UserMessage(content="Hello", source="user")])).content

    assert asyncio.run(ask()) == asyncio.run(ask())


async def test_what_it_cannot_do_is_not_to_be_had_by_saying_that_it_can():
    def root(number: float) -> float:
        """Take the square root of a number."""
        return number**0.5

    tool = FunctionTool(root, description="Take the square root of a number.")
    with pytest.raises(ConfigurationError, match=r"function_calling.*Ollama") as caught:
        await embedded_client().create([UserMessage(content="4?", source="user")], tools=[tool])
    assert "model_info" not in str(caught.value)
