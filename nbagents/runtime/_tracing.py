"""OpenTelemetry spans of messages, by its conventions for messaging."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

from nbagents.runtime._identity import AgentId, TopicId

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

__all__ = ["MessageTracer", "tracer_for"]

Operation = Literal["send", "publish", "process"]


class MessageTracer:
    """Makes the spans of a runtime's messages.

    Names and attributes are those of the semantic conventions for messaging; sending and
    publishing are producers' spans, and what an agent does with the message is a consumer's
    span within.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace import SpanKind

        self._tracer = provider.get_tracer("nbagents.runtime")
        self._kinds = {
            "send": SpanKind.PRODUCER,
            "publish": SpanKind.PRODUCER,
            "process": SpanKind.CONSUMER,
        }

    def span(
        self, operation: Operation, destination: AgentId | TopicId, message: Any, message_id: str
    ) -> AbstractContextManager[Any]:
        """Return the span of one operation on one message; the message's content is not in it."""
        attributes = {
            "messaging.system": "nbagents",
            "messaging.operation.name": operation,
            "messaging.operation.type": "process" if operation == "process" else "send",
            "messaging.destination.name": str(destination),
            "messaging.message.id": message_id,
            "nbagents.message.type": type(message).__name__,
        }
        span: AbstractContextManager[Any] = self._tracer.start_as_current_span(
            f"{operation} {destination}", kind=self._kinds[operation], attributes=attributes
        )
        return span


def tracer_for(provider: TracerProvider | None) -> MessageTracer | None:
    """Return what traces a runtime's messages.

    Without a provider it is the process's own, if something has imported OpenTelemetry.
    """
    if provider is None and (trace := sys.modules.get("opentelemetry.trace")):
        provider = trace.get_tracer_provider()
    return None if provider is None else MessageTracer(provider)
