"""The clients that are compared, each in a process of its own.

``python -m tests.benchmarks.contenders WORK CONTENDER ADDRESS`` measures once for every line it
reads and prints the number, so that rounds can be taken in turns.
"""

from __future__ import annotations

import asyncio
import sys
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from tests.benchmarks.server import CHUNK_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

CHUNKS = 2_000
SHORT = 50
CONCURRENT = 64


class NbAgents:
    """`nbagents.models.OpenAIChatCompletionClient`."""

    def __init__(self, base_url: str) -> None:
        from nbagents.messages import UserMessage
        from nbagents.models import OpenAIChatCompletionClient

        self._client = OpenAIChatCompletionClient(model="gpt-4o", api_key="x", base_url=base_url)
        self._messages = [UserMessage(content="Tell me.", source="user")]

    async def stream(self) -> AsyncIterator[str]:
        async for event in self._client.create_stream(self._messages):
            if isinstance(event, str):
                yield event

    async def request(self) -> str:
        return str((await self._client.create(self._messages)).content)


class OpenAI:
    """The SDK's own typed stream, `openai.AsyncOpenAI`."""

    def __init__(self, base_url: str) -> None:
        from openai import AsyncOpenAI

        self._client = AsyncOpenAI(api_key="x", base_url=base_url)
        self._arguments: dict[str, Any] = {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "Tell me."}],
        }

    async def stream(self) -> AsyncIterator[str]:
        chunks = await self._client.chat.completions.create(
            **self._arguments, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    async def request(self) -> str:
        completion = await self._client.chat.completions.create(**self._arguments)
        return completion.choices[0].message.content


class AutoGen:
    """`autogen_ext.models.openai.OpenAIChatCompletionClient`."""

    def __init__(self, base_url: str) -> None:
        from autogen_core.models import UserMessage
        from autogen_ext.models.openai import OpenAIChatCompletionClient

        self._client = OpenAIChatCompletionClient(model="gpt-4o", api_key="x", base_url=base_url)
        self._messages = [UserMessage(content="Tell me.", source="user")]

    async def stream(self) -> AsyncIterator[str]:
        async for event in self._client.create_stream(self._messages, include_usage=True):
            if isinstance(event, str):
                yield event

    async def request(self) -> str:
        return str((await self._client.create(self._messages)).content)


CONTENDERS = {"nbagents": NbAgents, "openai SDK": OpenAI, "autogen-ext": AutoGen}
Contender = NbAgents | OpenAI | AutoGen


async def stream_cpu(contender: Contender) -> float:
    """Microseconds of CPU a streamed chunk."""
    started = process_time()
    length = sum([len(piece) async for piece in contender.stream()])
    seconds = process_time() - started
    assert length == CHUNKS * CHUNK_CHARACTERS, length
    return seconds / CHUNKS * 1e6


async def request_cpu(contender: Contender) -> float:
    """Microseconds of CPU a whole reply, 64 requests at a time."""
    started = process_time()
    replies = await asyncio.gather(*(contender.request() for _ in range(CONCURRENT)))
    seconds = process_time() - started
    assert {len(reply) for reply in replies} == {SHORT * CHUNK_CHARACTERS}
    return seconds / CONCURRENT * 1e6


async def first_token(contender: Contender) -> float:
    """Milliseconds from the call to the first text, over a warm connection."""
    return median([await _first_token(contender) for _ in range(10)]) * 1e3


async def _first_token(contender: Contender) -> float:
    started = perf_counter()
    first = None
    async for _ in contender.stream():
        first = first or perf_counter() - started
    assert first is not None
    return first


WORK: dict[str, tuple[str, Callable[[Contender], Awaitable[float]]]] = {
    "stream": (f"/chunks/{CHUNKS}/v1", stream_cpu),
    "request": (f"/chunks/{SHORT}/v1", request_cpu),
    "first-token": (f"/chunks/{SHORT}/v1", first_token),
}


async def main(work: str, name: str, address: str) -> None:
    """Measure until nobody asks any more; the first two, while caches fill, are for nothing."""
    path, measure = WORK[work]
    contender = CONTENDERS[name](address + path)
    for _ in range(2):
        await measure(contender)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(await measure(contender), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
