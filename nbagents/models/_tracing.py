"""OpenTelemetry spans of model calls, by its conventions for generative AI."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from nbagents.errors import RequestError
from nbagents.messages import (
    CreateResult,
    LLMMessage,
)
from nbagents.models._wrapper import ClientWrapper

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

    from nbagents.models._client import ChatCompletionClient

__all__ = ["TracedChatCompletionClient"]

# What of the further arguments the conventions have names for.
_ASKED = {
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_tokens": "gen_ai.request.max_tokens",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
}


class TracedChatCompletionClient(ClientWrapper):
    """A client that makes a span of each request of another one.

    ``nbagents.models.use(TracedChatCompletionClient)`` traces every request of the process. The
    names are those of the semantic conventions (``chat MODEL``, ``gen_ai.*``); what was asked
    and said is not in the spans.

    Args:
        client: The client to trace.
        tracer_provider: Makes the spans; by default the process's own.
        provider_name: Who serves the model, as the conventions name it.

    Raises:
        ImportError: OpenTelemetry is not installed.
    """

    def __init__(
        self,
        client: ChatCompletionClient,
        *,
        tracer_provider: TracerProvider | None = None,
        provider_name: str = "openai",
    ) -> None:
        from opentelemetry import trace

        super().__init__(client)
        self._trace = trace
        self._tracer = trace.get_tracer("nbagents.models", tracer_provider=tracer_provider)
        self._provider_name = provider_name

    @property
    def model(self) -> str:
        """The wrapped client's."""
        return str(getattr(self._client, "model", type(self._client).__name__))

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        """Ask as the wrapped client does, within a span."""
        with self._span(arguments) as span, self._inside(span):
            result = await self._client.create(messages, **arguments)
            _describe(span, result)
            return result

    async def create_stream(
        self, messages: Sequence[LLMMessage], **arguments: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Stream as the wrapped client does, within a span that ends with the stream."""
        with self._span(arguments) as span:
            with self._inside(span):
                source = self._client.create_stream(messages, **arguments)
            async with aclosing(source):
                while True:
                    # The reader's own spans, between two chunks, are not part of this one.
                    with self._inside(span):
                        event = await anext(source, None)
                    if event is None:
                        return
                    if isinstance(event, CreateResult):
                        _describe(span, event)
                    yield event

    @contextmanager
    def _span(self, arguments: dict[str, Any]) -> Iterator[Span]:
        extra = arguments.get("extra_create_args") or {}
        model = str(extra.get("model") or self.model)
        asked = {name: extra[key] for key, name in _ASKED.items() if extra.get(key) is not None}
        span = self._tracer.start_span(
            f"chat {model}",
            kind=self._trace.SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": self._provider_name,
                "gen_ai.request.model": model,
                **asked,
            },
        )
        try:
            yield span
        except GeneratorExit:
            raise  # the reader has seen enough: no failure
        except BaseException as error:
            self._fail(span, error)
            raise
        finally:
            span.end()

    def _inside(self, span: Span) -> Any:
        return self._trace.use_span(span, record_exception=False, set_status_on_exception=False)

    def _fail(self, span: Span, error: BaseException) -> None:
        status = error.status if isinstance(error, RequestError) else None
        span.set_attribute("error.type", str(status or type(error).__name__))
        span.set_status(self._trace.StatusCode.ERROR, str(error))


def _describe(span: Span, result: CreateResult) -> None:
    usage = result.usage
    if result.model:
        span.set_attribute("gen_ai.response.model", result.model)
    span.set_attribute("gen_ai.response.finish_reasons", [result.finish_reason])
    span.set_attribute("gen_ai.usage.input_tokens", usage.prompt_tokens)
    span.set_attribute("gen_ai.usage.output_tokens", usage.completion_tokens)
