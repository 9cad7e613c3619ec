"""Spans of model calls, as OpenTelemetry's SDK sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from nbagents.agents import ChatAgent
from nbagents.errors import ServerError
from nbagents.messages import UserMessage
from nbagents.models import (
    ChatCompletionClient,
    OpenAIChatCompletionClient,
    TracedChatCompletionClient,
    use,
)
from nbagents.testing import LoopbackServer, error
from tests.scripted import ScriptedClient

QUESTION = [UserMessage(content="a secret", source="user")]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture(autouse=True)
def traced(provider: TracerProvider) -> Iterator[None]:
    remove = use(partial(TracedChatCompletionClient, tracer_provider=provider))
    yield
    remove()


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    [span] = exporter.get_finished_spans()
    return span


@pytest.mark.parametrize("way", ["create", "create_stream"])
async def test_a_request_is_a_span_by_the_conventions(
    exporter: InMemorySpanExporter, way: str
) -> None:
    async with LoopbackServer() as server:
        server.will_reply("Hello there")
        client = OpenAIChatCompletionClient(model="gpt-4o", api_key="x", base_url=server.base_url)
        settings = {"temperature": 0.5, "max_tokens": 99}
        if way == "create":
            result = await client.create(QUESTION, extra_create_args=settings)
        else:
            stream = client.create_stream(QUESTION, extra_create_args=settings)
            *_, result = [event async for event in stream]
        await client.close()
    span = only(exporter)
    assert (span.name, span.kind) == ("chat gpt-4o", SpanKind.CLIENT)
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 99,
        "gen_ai.response.model": result.model,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": result.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": result.usage.completion_tokens,
    }
    assert "secret" not in span.to_json()
    assert "Hello" not in span.to_json()


async def test_a_failure_is_in_the_span(exporter: InMemorySpanExporter) -> None:
    async with LoopbackServer() as server:
        server.will_reply(error(500), error(500), error(500))
        client = OpenAIChatCompletionClient(
            model="gpt-4o", api_key="x", base_url=server.base_url, max_retries=0
        )
        with pytest.raises(ServerError):
            await client.create(QUESTION)
        await client.close()
    span = only(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "500"


async def test_what_happens_within_the_request_is_within_its_span(
    exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("test")

    class Client(ScriptedClient):
        async def create(self, messages: object, **_: object) -> object:  # type: ignore[override]
            with tracer.start_as_current_span("inner"):
                return self._result("Hello")

    with tracer.start_as_current_span("outer"):
        await ChatAgent(Client("")).ask("Hello?")
    inner, chat, outer = exporter.get_finished_spans()
    assert [span.name for span in (inner, chat, outer)] == ["inner", "chat scripted", "outer"]
    assert inner.parent == chat.context
    assert chat.parent == outer.context


async def test_a_stream_that_is_left_ends_its_span_and_is_no_failure(
    exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("test")
    async for _ in ChatAgent(ScriptedClient("one two three")).stream("Count."):
        with tracer.start_as_current_span("of the reader"):
            break
    await asyncio.sleep(0.01)
    reader, chat = exporter.get_finished_spans()
    assert reader.parent is None
    assert chat.name == "chat scripted"
    assert chat.status.status_code is StatusCode.UNSET


async def test_a_cancelled_request_ends_its_span(exporter: InMemorySpanExporter) -> None:
    client: ChatCompletionClient = ScriptedClient("late", pause=60)
    request = asyncio.create_task(ChatAgent(client).ask("Hello?"))
    await asyncio.sleep(0.01)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert (only(exporter).attributes or {})["error.type"] == "CancelledError"
