"""The meter: one row in the ledger for every request, however it ends."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from nbagents._cancellation import shown_as
from nbagents._pieces import Pieces
from nbagents.errors import (
    APIConnectionError,
    ContentFilterError,
    IncompleteReplyError,
    NbAgentsError,
    RequestError,
)
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    LLMMessage,
    RequestUsage,
)
from nbagents.models._client import ChatCompletionClient
from nbagents.models._scope import RequestScope, current_scope, entered
from nbagents.models._wrapper import ClientWrapper
from nbagents.prices import cost_of, known_as
from nbagents.usage import (
    Reservation,
    Status,
    UsageLedger,
    UsageRecord,
    budgets,
    ledger,
    reserve,
    whereabouts,
)

__all__ = ["MeteredChatCompletionClient"]


class MeteredChatCompletionClient(ClientWrapper):
    """A client that writes each request of another client into a ledger.

    Of clients that wrap each other only the innermost is counted. What a cancelled or failed
    reply took is estimated, and marked so.

    Args:
        client: The client to meter.
        into: The ledger; the process's own when left out.
    """

    def __init__(self, client: ChatCompletionClient, into: UsageLedger = ledger) -> None:
        super().__init__(client)
        self._ledger = into
        self._outer = current_scope()
        # Read here: a stream's body runs later, in whatever context its reader has by then.
        outer = self._outer
        self._whereabouts = (outer.source, outer.cell) if outer else whereabouts()

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        """Ask as the wrapped client does, and count it."""
        measurement = self._measure(messages, arguments)
        try:
            with entered(measurement.scope):
                result = await self._client.create(messages, **arguments)
            measurement.result = measurement.named(result)
        except BaseException as error:
            measurement.fail(error)
            raise
        finally:
            self._write(measurement)
        return measurement.result

    async def create_stream(
        self, messages: Sequence[LLMMessage], **arguments: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Stream as the wrapped client does, and count it."""
        measurement = self._measure(messages, arguments)
        inside = entered(measurement.scope)
        try:
            with inside:
                source = self._client.create_stream(messages, **arguments)
            async with aclosing(source):
                while True:
                    with inside:
                        event = await anext(source, None)
                    if event is None:
                        break
                    yield measurement.see(event)
        except BaseException as error:
            measurement.fail(error)
            raise
        finally:
            self._write(measurement)

    def _measure(self, messages: Sequence[LLMMessage], arguments: dict[str, Any]) -> _Measurement:
        return _Measurement(
            self._client,
            RequestScope(*self._whereabouts),
            self._reserve(messages, arguments),
            messages,
            arguments,
        )

    def _reserve(self, messages: Sequence[LLMMessage], arguments: dict[str, Any]) -> Reservation:
        if self._outer is not None or not budgets():
            return Reservation()
        extra = arguments.get("extra_create_args") or {}
        return reserve(
            _model_of(self._client, arguments),
            self._client.count_tokens(messages, tools=arguments.get("tools", ())),
            extra.get("max_completion_tokens") or extra.get("max_tokens"),
        )

    def _write(self, measurement: _Measurement) -> None:
        if self._outer is not None:
            self._outer.counted = True
        if not measurement.was_sent:
            measurement.reservation.release()
            return
        record = measurement.record()
        if not measurement.scope.counted:
            self._ledger.add(record)
        measurement.reservation.settle(record.cost)


class _Measurement:
    """What is seen of one request from outside."""

    def __init__(
        self,
        client: ChatCompletionClient,
        scope: RequestScope,
        reservation: Reservation,
        messages: Sequence[LLMMessage],
        arguments: dict[str, Any],
    ) -> None:
        self.scope = scope
        self.reservation = reservation
        self.result: CreateResult | None = None
        self.error: BaseException | None = None
        self._client = client
        self._messages = messages
        self._arguments = arguments
        self._said = Pieces()  # the beginning, which stands for the whole
        self._size = 0
        self._time = datetime.now(UTC)
        self._started = perf_counter()
        self._first: float | None = None

    def see(self, event: str | CreateResult) -> str | CreateResult:
        """Take note of what comes, and return what goes on."""
        if isinstance(event, CreateResult):
            self.result = self.named(event)
            return self.result
        if self._first is None:
            self._first = perf_counter() - self._started
        self._size += len(event)
        if len(self._said) < _MOST_COUNTED:
            self._said.add(event)
        return event

    def named(self, result: CreateResult) -> CreateResult:
        """The reply with the name that was asked for, where only that has a price."""
        asked = _model_of(self._client, self._arguments)
        if result.asked_model is not None or known_as(result.model or "") or not known_as(asked):
            return result
        return result.model_copy(update={"asked_model": asked})

    def fail(self, error: BaseException) -> None:
        self.error = error
        if isinstance(error, CancelledError):
            shown_as(error, _CANCELLED)

    @property
    def was_sent(self) -> bool:
        error = self.error
        return not isinstance(error, NbAgentsError) or isinstance(error, RequestError)

    def record(self) -> UsageRecord:
        result = self.result
        usage = result.usage if result is not None else self._estimate()
        model = (result.model if result is not None else None) or _model_of(
            self._client, self._arguments
        )
        return UsageRecord(
            time=self._time,
            cell=self.scope.cell,
            source=self.scope.source,
            model=model,
            prompt_tokens=usage.prompt_tokens if usage else None,
            cached_tokens=usage.cached_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
            reasoning_tokens=usage.reasoning_tokens if usage else None,
            cost=self._cost(model, usage),
            seconds=perf_counter() - self._started,
            time_to_first_token=self._first,
            finish_reason=result.finish_reason if result is not None else None,
            status=self._status(),
            estimated=usage.estimated if usage else False,
        )

    def _estimate(self) -> RequestUsage | None:
        """What a reply that did not end took; None when the server never worked on it."""
        error = self.error
        if self.scope.unsent:
            return None
        if isinstance(error, RequestError) and error.usage is not None:
            usage: RequestUsage = error.usage
            return usage
        partial = str(self._said) or getattr(error, "partial", "")
        turned_away = getattr(error, "status", None) is not None
        if not partial and (turned_away or isinstance(error, APIConnectionError)):
            return None
        return RequestUsage(
            prompt_tokens=self._client.count_tokens(
                self._messages, tools=self._arguments.get("tools", ())
            ),
            completion_tokens=self._tokens_of(partial),
            estimated=True,
        )

    def _tokens_of(self, partial: str) -> int:
        if not partial:
            return 0
        begun = self._client.count_tokens([AssistantMessage(content=partial, source="assistant")])
        return round(begun * max(1.0, self._size / len(partial)))

    def _cost(self, model: str, usage: RequestUsage | None) -> float | None:
        if self.result is not None:
            return self.result.cost
        return None if usage is None else cost_of(usage, model)

    def _status(self) -> Status:
        if self.result is not None:
            return self.result.status
        error = self.error
        if error is None or isinstance(error, IncompleteReplyError):
            return "incomplete"
        if isinstance(error, ContentFilterError):
            return "filtered"
        if isinstance(error, CancelledError | GeneratorExit | KeyboardInterrupt):
            return "cancelled"
        return "failed"


_MOST_COUNTED = 65_536  # characters of a reply that are kept, to estimate its tokens
_CANCELLED = "the request was stopped, and its connection closed."


def _model_of(client: ChatCompletionClient, arguments: dict[str, Any]) -> str:
    extra = arguments.get("extra_create_args") or {}
    asked = extra.get("model") or getattr(client, "model", None)
    return str(asked or type(client).__name__)
