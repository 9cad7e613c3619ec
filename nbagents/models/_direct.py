"""The plain client behind the public ones: a request in, a reply out, nothing around it."""

from __future__ import annotations

import sys
import threading
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nbagents.errors import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    IncompleteReplyError,
    RequestCancelledError,
    RequestError,
    RequestTimeoutError,
)
from nbagents.messages import (
    CreateResult,
    LLMMessage,
    ModelCapabilities,
    ModelFamily,
    ModelInfo,
    RequestUsage,
    StreamChunk,
)
from nbagents.models._arguments import stream_options_for
from nbagents.models._calibration import calibration
from nbagents.models._capabilities import window_of
from nbagents.models._concessions import Concessions
from nbagents.models._estimate import estimate_text_tokens
from nbagents.models._exchange import Exchange
from nbagents.models._request import Asked, Defaults, arguments_for, schema_in
from nbagents.models._requests import EMBEDDED_HOST
from nbagents.models._scope import RequestScope, current_scope
from nbagents.models._veil import Veil
from nbagents.models._wire.params import parsed_content
from nbagents.models._wire.reader import ReplyReader
from nbagents.models._wire.reply import ReplyBuilder

if TYPE_CHECKING:
    import httpx2

    from nbagents._cancellation import CancellationToken
    from nbagents.models._client import JsonOutput, ToolChoice, ToolLike
    from nbagents.models._connections import Connections, Place
    from nbagents.models._failures import Failures
    from nbagents.models._limits import Limits
    from nbagents.models._secrets import Secret
    from nbagents.models._tokens import Tokens

__all__ = ["DirectChatClient"]

Event = StreamChunk | CreateResult


@dataclass
class _Call:
    """One request on its way."""

    asked: Asked
    arguments: dict[str, Any]
    limits: Limits
    exchange: Exchange
    builder: ReplyBuilder
    started: float
    place: Place | None = None
    first: float | None = None
    usage: RequestUsage | None = None
    scope: RequestScope | None = field(default_factory=current_scope)

    @property
    def sent(self) -> bool:
        """Whether the server may have any of it."""
        return self.place is not None and self.place.sent

    async def close(self) -> None:
        """Let go of what it holds."""
        if self.scope is not None:
            self.scope.unsent = not self.sent
        try:
            await self.exchange.close()
        finally:
            if self.place is not None:
                await self.place.leave()


class DirectChatClient:
    """Sends requests through the SDK, and reads the bytes that come back.

    Args:
        defaults: What all requests have in common.
        limits: Deadlines and caps.
        failures: Turns the errors of the libraries below into ours.
        connections: The SDK clients, some per loop.
        tokens: Where their tokens come from, if they do not have a key.
    """

    def __init__(
        self,
        defaults: Defaults,
        limits: Limits,
        failures: Failures,
        connections: Connections,
        tokens: Tokens | None = None,
    ) -> None:
        self._defaults = defaults
        self._limits = limits
        self._failures = failures
        self._connections = connections
        self._tokens = tokens
        self._concessions = Concessions()
        self._usage = RequestUsage(0, 0)
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """The model's name, as it is sent."""
        return self._defaults.model

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolLike] = (),
        tool_choice: ToolChoice = "auto",
        json_output: JsonOutput = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """Ask, and wait for the whole reply."""
        asked = Asked(messages, tools, tool_choice, json_output, extra_create_args)
        arguments = arguments_for(asked, self._defaults)
        arguments.pop("stream_options", None)
        limits = self._limits_in(arguments)
        # A server may be silent until the reply is whole: only the total counts.
        limits = replace(limits, first_byte=limits.total, silence=None)
        async with aclosing(self._events(asked, arguments, limits, cancellation_token)) as events:
            async for event in events:
                if isinstance(event, CreateResult):
                    return event.model_copy(update={"time_to_first_token": None})
        raise AssertionError("a reply ends in a result or an error")

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolLike] = (),
        tool_choice: ToolChoice = "auto",
        json_output: JsonOutput = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
        include_usage: bool | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Ask, and yield the reply as it comes."""
        asked = Asked(messages, tools, tool_choice, json_output, extra_create_args)
        arguments = arguments_for(asked, self._defaults)
        options = stream_options_for(arguments, include_usage)
        arguments.pop("stream_options", None)
        if options:
            arguments["stream_options"] = options
        arguments["stream"] = True
        limits = self._limits_in(arguments)
        async with aclosing(self._events(asked, arguments, limits, cancellation_token)) as events:
            async for event in events:
                yield event

    @property
    def endpoint(self) -> str:
        """Where requests go."""
        return self._failures.endpoint

    @property
    def credentials(self) -> tuple[Secret[str], ...]:
        """What must be written nowhere."""
        return self._failures.credentials

    def request_for(self, asked: Asked) -> dict[str, Any]:
        """What a call would send, ``stream`` left out.

        Raises:
            ConfigurationError: The model cannot do it, or an argument is unknown.
        """
        return arguments_for(asked, self._defaults)

    def schema_of(self, asked: Asked) -> JsonOutput:
        """What form the reply to a call must have."""
        return schema_in(asked, self._defaults)

    @property
    def is_embedded(self) -> bool:
        """Whether the embedded model answers, without a request that could go anywhere."""
        return urlsplit(self.endpoint).hostname == EMBEDDED_HOST

    def count_replayed(self, asked: Asked, usage: RequestUsage | None) -> None:
        """Count a reply that came from a recording, as if it had come from the server."""
        if usage is not None:
            model = asked.extra.get("model", self.model)
            calibration.learn(asked.messages, usage, tools=asked.tools, model=model)
        self._count(usage)

    async def close(self) -> None:
        """Let go of the connections of all loops; a later request opens new ones."""
        await self._connections.close()

    def actual_usage(self) -> RequestUsage:
        """The tokens of all replies so far."""
        return self._usage

    def total_usage(self) -> RequestUsage:
        """The tokens of all replies so far."""
        return self._usage

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens they take: estimated, and corrected by what the server has reported."""
        return calibration.tokens(messages, tools=tools, model=self.model)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens the model's window leaves after them; below 0 when they exceed it."""
        return window_of(self.model) - self.count_tokens(messages, tools=tools)

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return self._defaults.info

    @property
    def capabilities(self) -> ModelCapabilities:
        """The older form of `model_info`."""
        info = self._defaults.info
        return ModelCapabilities(
            vision=info["vision"],
            function_calling=info["function_calling"],
            json_output=info["json_output"],
        )

    def _limits_in(self, arguments: dict[str, Any]) -> Limits:
        """The limits of one call, which may bring a ``timeout`` of its own."""
        if "timeout" not in arguments:
            return self._limits
        return self._limits.within(arguments.pop("timeout"))

    async def _events(
        self,
        asked: Asked,
        arguments: dict[str, Any],
        limits: Limits,
        token: CancellationToken | None,
    ) -> AsyncGenerator[Event, None]:
        """The reply's chunks, and last its result; whatever happens, the response is closed."""
        failures, outside = self._failures.knowing(arguments), sys.exception()
        exchange = Exchange(limits, failures, token)
        thinks = self._defaults.info["family"] == ModelFamily.R1
        builder = ReplyBuilder(think_tags=thinks, max_reply=limits.reply_bytes)
        veil = Veil(secret.reveal() for secret in failures.credentials)
        arguments |= _veiled(arguments, veil)
        call = _Call(asked, arguments, limits, exchange, builder, perf_counter())
        try:
            await self._open(call)
            reader = ReplyReader(builder, max_line=limits.line_bytes)
            # Anew: a token may have been fetched to send the request with.
            veil = Veil(secret.reveal() for secret in failures.credentials)
            data = b"-"
            while data and not reader.done:
                data = await _read(exchange, builder)
                before = builder.size
                for chunk in reader.feed(data) if data else reader.close():
                    if call.first is None:
                        call.first = perf_counter() - call.started
                    for seen in veil.see(chunk):
                        yield seen
                if builder.size > before:
                    exchange.note_content()
            if data:
                await exchange.drain()
            for seen in veil.rest():
                yield seen
            result = self._result(call, veil)
        except RequestError as error:
            data = b""  # which a traceback of this frame would show
            failures.complete(error, builder.partial, exchange.request_id, outside)
            self._note_failure(call, error)
            error.usage = call.usage
            raise
        except (CancelledError, GeneratorExit):
            self._note_failure(call, None)
            raise
        finally:
            self._count(call.usage)
            await call.close()
        yield result

    async def _open(self, call: _Call) -> None:
        """Send the request; once more, changed, where the server does not take it as it is."""
        place = call.place = await call.exchange.queue(self._connections.enter)

        def send() -> Awaitable[httpx2.Response]:
            return place.send(call.arguments, call.limits)

        self._concessions.apply(call.arguments)
        renewed = False
        while True:
            try:
                await call.exchange.open(send)
            except BadRequestError as error:
                if not self._concessions.learn(call.arguments, error):
                    raise
            except AuthenticationError as error:
                if renewed or error.status != 401 or self._tokens is None:
                    raise
                renewed = True
                if not await call.exchange.prepare(self._tokens.renewed):
                    raise
            else:
                return

    def _result(self, call: _Call, veil: Veil) -> CreateResult:
        latency = perf_counter() - call.started
        result = call.builder.result(latency=latency, time_to_first_token=call.first)
        if call.builder.usage is None:
            usage = RequestUsage(self._prompt_tokens(call), _tokens_of(result, self.model))
            result = result.model_copy(update={"usage": replace(usage, estimated=True)})
        else:
            asked, model = call.asked, call.arguments.get("model", self.model)
            calibration.learn(asked.messages, result.usage, tools=asked.tools, model=model)
        call.usage = result.usage
        result = veil.covered(result)  # before it is parsed: what it becomes is kept too
        parsed = parsed_content(schema_in(call.asked, self._defaults), result)
        return result if parsed is None else result.model_copy(update={"parsed": parsed})

    def _note_failure(self, call: _Call, error: RequestError | None) -> None:
        """Estimate what a reply that did not end took, if the server worked on it."""
        if call.usage is None and call.sent and (call.exchange.is_open or _was_sent(error)):
            said = estimate_text_tokens(call.builder.partial, self.model)
            call.usage = RequestUsage(self._prompt_tokens(call), said, estimated=True)

    def _prompt_tokens(self, call: _Call) -> int:
        return self.count_tokens(call.asked.messages, tools=call.asked.tools)

    def _count(self, usage: RequestUsage | None) -> None:
        if usage is not None:
            with self._lock:
                self._usage += usage


async def _read(exchange: Exchange, builder: ReplyBuilder) -> bytes:
    """The next bytes; none when there are no more, or the reply is whole and none come."""
    try:
        return await exchange.read()
    except (IncompleteReplyError, RequestTimeoutError):
        if not builder.is_finished:
            raise
        return b""


def _was_sent(error: RequestError | None) -> bool:
    """Whether a request that got no answer may have reached the server all the same."""
    if error is None or isinstance(error, RequestCancelledError):
        return True
    return error.status is None and not isinstance(error, APIConnectionError)


def _tokens_of(result: CreateResult, model: str) -> int:
    """How many tokens a reply has, estimated from all that the server sent of it."""
    content = result.content
    parts = [content] if isinstance(content, str) else [c.name + c.arguments for c in content]
    parts += [result.thought or "", result.refusal or ""]
    return sum(estimate_text_tokens(part, model) for part in parts if part)


def _veiled(arguments: dict[str, Any], veil: Veil) -> dict[str, Any]:
    """What a model reads of a request, without credentials."""
    return {
        name: veil.sent(arguments[name]) for name in ("messages", "tools") if arguments.get(name)
    }
