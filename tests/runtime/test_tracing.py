"""Spans of messages, as OpenTelemetry's SDK sees them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from nbagents import AgentId, SingleThreadedAgentRuntime
from tests.runtime.messages import ECHO, TOPIC, Ask, Echo, Failing, Passing, Text

A, B = AgentId("a", "x"), AgentId("b", "x")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def runtime(exporter: InMemorySpanExporter) -> SingleThreadedAgentRuntime:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return SingleThreadedAgentRuntime(tracer_provider=provider)


def tree(exporter: InMemorySpanExporter) -> dict[str, str | None]:
    """The name of each span's parent, by its own."""
    spans = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans if span.context}
    return {span.name: names[span.parent.span_id] if span.parent else None for span in spans}


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    [span] = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


async def test_a_request_is_a_span_with_its_handling_within(
    runtime: SingleThreadedAgentRuntime, exporter: InMemorySpanExporter
) -> None:
    for name in "ab":
        await Passing.register(runtime, name, Passing)
    await runtime.send_message(Ask("hi", (B,)), A, message_id="7")
    assert tree(exporter) == {
        "send a/x": None,
        "process a/x": "send a/x",
        "send b/x": "process a/x",
        "process b/x": "send b/x",
    }
    assert dict(named(exporter, "process a/x").attributes or {}) == {
        "messaging.system": "nbagents",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "a/x",
        "messaging.message.id": "7",
        "nbagents.message.type": "Ask",
    }


async def test_a_published_message_is_a_span_with_each_handling_within(
    runtime: SingleThreadedAgentRuntime, exporter: InMemorySpanExporter
) -> None:
    for name in "ab":
        await Echo.register(runtime, name, Echo)
    runtime.start()
    await runtime.publish_message(Text("hi"), TOPIC)
    await runtime.stop_when_idle()
    assert tree(exporter) == {
        "publish default/default": None,
        "process a/default": "publish default/default",
        "process b/default": "publish default/default",
    }
    kinds = [span.kind for span in exporter.get_finished_spans()]
    assert kinds == [SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.CONSUMER]


async def test_an_error_is_in_the_span(
    runtime: SingleThreadedAgentRuntime, exporter: InMemorySpanExporter
) -> None:
    await Failing.register(runtime, "a", Failing)
    with pytest.raises(ValueError, match="oh no"):
        await runtime.send_message(Text("oh no"), A)
    for name in ("process a/x", "send a/x"):
        span = named(exporter, name)
        assert span.status.status_code is StatusCode.ERROR
        assert [event.name for event in span.events] == ["exception"]


async def test_the_content_of_a_message_is_not_in_its_span(
    runtime: SingleThreadedAgentRuntime, exporter: InMemorySpanExporter
) -> None:
    await Echo.register(runtime, "echo", Echo)
    await runtime.send_message(Text("a secret"), ECHO)
    assert "a secret" not in "".join(span.to_json() for span in exporter.get_finished_spans())


def test_opentelemetry_is_imported_only_by_those_who_use_it() -> None:
    code = (
        "import asyncio, sys; from tests.runtime.messages import *\n"
        "async def main():\n"
        "    runtime = await runtime_with(echo=Echo)\n"
        "    await runtime.send_message(Text('hi'), ECHO)\n"
        "asyncio.run(main()); print('opentelemetry' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
