"""One request on its way: sent, read, put together, and closed whatever happens."""

from __future__ import annotations

import sys
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from nbagents.errors import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    IncompleteReplyError,
    RequestCancelledError,
    RequestError,
    RequestTimeoutError,
)
from nbagents.messages import CreateResult, ModelFamily, RequestUsage, StreamChunk
from nbagents.models._calibration import calibration
from nbagents.models._concessions import Concessions
from nbagents.models._estimate import estimate_text_tokens
from nbagents.models._exchange import Exchange
from nbagents.models._request import Asked, Defaults, schema_in
from nbagents.models._scope import current_scope
from nbagents.models._tally import Tally
from nbagents.models._veil import Veil
from nbagents.models._wire.params import parsed_content
from nbagents.models._wire.reader import ReplyReader
from nbagents.models._wire.reply import ReplyBuilder

if TYPE_CHECKING:
    import httpx2

    from nbagents._cancellation import CancellationToken
    from nbagents.models._connections import Connections, Place
    from nbagents.models._failures import Failures
    from nbagents.models._limits import Limits
    from nbagents.models._tokens import Tokens

__all__ = ["Call", "Event", "Means"]

Event: TypeAlias = StreamChunk | CreateResult


@dataclass(frozen=True)
class Means:
    """What all calls of a client share.

    Attributes:
        defaults: What all requests have in common.
        failures: Turns the errors of the libraries below into ours.
        connections: The SDK clients, some per loop.
        tokens: Where their tokens come from, if they do not have a key.
        concessions: What the server is known to refuse.
        tally: Where the tokens of replies are counted.
    """

    defaults: Defaults
    failures: Failures
    connections: Connections
    tokens: Tokens | None
    concessions: Concessions
    tally: Tally


class Call:
    """One request, from the moment it is made until its response is closed.

    Args:
        means: What it shares with the client's other calls.
        asked: What it asks for.
        arguments: The same, as the SDK's ``create`` takes it.
        limits: Deadlines and caps.
        token: Cancels it, from any thread.
    """

    def __init__(
        self,
        means: Means,
        asked: Asked,
        arguments: Mapping[str, Any],
        limits: Limits,
        token: CancellationToken | None,
    ) -> None:
        self._means = means
        self._asked = asked
        self._limits = limits
        self._failures = means.failures.knowing(arguments)
        self._veil = Veil(self._failures.credentials)
        self._arguments = self._veil.sent(arguments)
        self._exchange = Exchange(limits, self._failures, token)
        thinks = means.defaults.info["family"] == ModelFamily.R1
        self._builder = ReplyBuilder(think_tags=thinks, max_reply=limits.reply_bytes)
        self._reader = ReplyReader(self._builder, max_line=limits.line_bytes)
        self._scope = current_scope()
        self._outside = sys.exception()
        self._place: Place | None = None
        self._usage: RequestUsage | None = None
        self._unread = True
        self._first: float | None = None
        self._started = perf_counter()

    async def events(self) -> AsyncGenerator[Event, None]:
        """The reply's chunks, and last its result; whatever happens, the response is closed."""
        try:
            await self._open()
            while self._unread and not self._reader.done:
                for chunk in self._shown(await self._read()):
                    yield chunk
            if self._unread:
                await self._exchange.drain()
            for chunk in self._veil.rest():
                yield chunk
            result = self._result()
        except RequestError as error:
            self._complete(error)
            raise
        except (CancelledError, GeneratorExit):
            self._note_failure(None)
            raise
        finally:
            self._means.tally.add(self._usage)
            await self._close()
        yield result

    async def _open(self) -> None:
        """Send the request; once more, changed, where the server does not take it as it is."""
        place = self._place = await self._exchange.queue(self._means.connections.enter)
        self._means.concessions.apply(self._arguments)
        renewed = False

        def send() -> Awaitable[httpx2.Response]:
            return place.send(self._arguments, self._limits)

        while True:
            try:
                await self._exchange.open(send)
            except BadRequestError as error:
                if not self._means.concessions.learn(self._arguments, error):
                    raise
            except AuthenticationError as error:
                if renewed or error.status != 401 or not await self._renew():
                    raise
                renewed = True
            else:
                # Anew: a token may have been fetched to send the request with.
                self._veil = Veil(self._failures.credentials)
                return

    async def _renew(self) -> bool:
        """Get another token than the one that was refused; return whether there is one."""
        tokens = self._means.tokens
        return tokens is not None and await self._exchange.prepare(tokens.renewed)

    async def _read(self) -> bytes:
        """The next bytes; none when there are no more, or the reply is whole and none come."""
        try:
            return await self._exchange.read()
        except (IncompleteReplyError, RequestTimeoutError):
            if not self._builder.is_finished:
                raise
            return b""

    def _shown(self, data: bytes) -> Iterator[StreamChunk]:
        """What may be seen of the reply, now that these bytes have come; none are the end."""
        self._unread = bool(data)
        before = self._builder.size
        for chunk in self._reader.feed(data) if data else self._reader.close():
            if self._first is None:
                self._first = perf_counter() - self._started
            yield from self._veil.see(chunk)
        if self._builder.size > before:
            self._exchange.note_content()

    def _result(self) -> CreateResult:
        latency = perf_counter() - self._started
        result = self._builder.result(latency=latency, time_to_first_token=self._first)
        if self._builder.usage is None:
            result = result.model_copy(update={"usage": self._estimated(_said_in(result))})
        else:
            self._learn_from(result.usage)
        self._usage = result.usage
        result = self._veil.covered(result)  # before it is parsed: what it becomes is kept too
        parsed = parsed_content(schema_in(self._asked, self._means.defaults), result)
        return result if parsed is None else result.model_copy(update={"parsed": parsed})

    def _complete(self, error: RequestError) -> None:
        """Give an error what only the call knows: the text so far, and what it took."""
        partial, request_id = self._builder.partial, self._exchange.request_id
        self._failures.complete(error, partial, request_id, self._outside)
        self._note_failure(error)
        error.usage = self._usage

    def _note_failure(self, error: RequestError | None) -> None:
        """Estimate what a reply that did not end took, if the server worked on it."""
        reached = self._is_sent and (self._exchange.is_open or _may_have_arrived(error))
        if self._usage is None and reached:
            self._usage = self._estimated([self._builder.partial])

    def _estimated(self, said: list[str]) -> RequestUsage:
        asked, model = self._asked, self._means.defaults.model
        prompt = calibration.tokens(asked.messages, tools=asked.tools, model=model)
        completion = sum(estimate_text_tokens(text, model) for text in said if text)
        return RequestUsage(prompt, completion, estimated=True)

    def _learn_from(self, usage: RequestUsage) -> None:
        asked, model = self._asked, self._arguments.get("model", self._means.defaults.model)
        calibration.learn(asked.messages, usage, tools=asked.tools, model=model)

    @property
    def _is_sent(self) -> bool:
        """Whether the server may have any of it."""
        return self._place is not None and self._place.sent

    async def _close(self) -> None:
        """Let go of what it holds."""
        if self._scope is not None:
            self._scope.unsent = not self._is_sent
        try:
            await self._exchange.close()
        finally:
            if self._place is not None:
                self._place.leave()


def _may_have_arrived(error: RequestError | None) -> bool:
    """Whether a request that got no answer may have reached the server all the same."""
    if error is None or isinstance(error, RequestCancelledError):
        return True
    return error.status is None and not isinstance(error, APIConnectionError)


def _said_in(result: CreateResult) -> list[str]:
    """All that the server sent of a reply."""
    content = result.content
    parts = [content] if isinstance(content, str) else [c.name + c.arguments for c in content]
    return [*parts, result.thought or "", result.refusal or ""]
