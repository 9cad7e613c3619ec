"""The client around a client that replays and records."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from copy import copy
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from nbagents._warnings import warn
from nbagents.errors import (
    ConfigurationError,
    IncompleteReplyError,
    NotKeptWarning,
    RequestCancelledError,
    RequestError,
)
from nbagents.messages import (
    CreateResult,
    LLMMessage,
    RequestUsage,
    StreamChunk,
)
from nbagents.models._cassette.deck import Deck
from nbagents.models._cassette.lines import Piece, Record
from nbagents.models._cassette.replies import (
    chunk_of,
    error_in,
    error_of,
    is_about_the_request,
    pieces_of,
    result_in,
    result_of,
    without_host,
)
from nbagents.models._request import Asked, asked_of, final_request, parsed_in, plain_client
from nbagents.models._wrapper import ClientWrapper

if TYPE_CHECKING:
    from nbagents._cancellation import CancellationToken
    from nbagents.models._client import ChatCompletionClient

__all__ = ["CassetteClient"]


class CassetteClient(ClientWrapper):
    """A client whose requests are answered from a cassette, or recorded into it.

    Args:
        client: The client to ask what is not in the cassette.
        deck: The cassette, and what to do with it.
    """

    skips_cassette = True

    def __init__(self, client: ChatCompletionClient, deck: Deck) -> None:
        super().__init__(client)
        self._deck = deck
        self._plain = plain_client(client)

    @property
    def model(self) -> str:
        """The wrapped client's."""
        return str(getattr(self._client, "model", type(self._client).__name__))

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        """Answer from the cassette, or as the wrapped client does.

        Raises:
            CassetteMissError: The request is not recorded, and none may be sent.
        """
        asked = asked_of(messages, arguments)
        request = self._request(asked)
        record = self._find(request)
        if record is None:
            return await self._record_whole(request, messages, arguments)
        async with aclosing(self._replay(record, asked, arguments)) as events:
            last = [event async for event in events][-1]
        return cast("CreateResult", last).model_copy(update={"time_to_first_token": None})

    async def create_stream(
        self, messages: Sequence[LLMMessage], **arguments: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Answer from the cassette, or as the wrapped client does.

        Raises:
            CassetteMissError: The request is not recorded, and none may be sent.
        """
        asked = asked_of(messages, arguments)
        request = self._request(asked)
        record = self._find(request)
        if record is None:
            source = self._record_stream(request, messages, arguments)
        else:
            source = self._replay(record, asked, arguments)
        async with aclosing(source) as events:
            async for event in events:
                yield event

    def request_for(self, asked: Asked) -> dict[str, Any]:
        """What the wrapped client would send."""
        return final_request(self._client, asked)

    def _request(self, asked: Asked) -> dict[str, Any]:
        request = self._deck.asked(self.request_for(asked))
        if self._deck.mode != "replay":
            self._deck.check(request, self._keys)  # before it is sent and paid for
        return request

    def _find(self, request: dict[str, Any]) -> Record | None:
        record = self._deck.next(request)
        if record is None and self._deck.mode == "replay" and not self._is_embedded:
            raise self._deck.miss(request)
        if record is None:
            self._deck.check_writable()
        return record

    @property
    def _keys(self) -> list[str]:
        """The credentials of the wrapped client."""
        return [secret.reveal() for secret in getattr(self._plain, "credentials", ())]

    @property
    def _is_embedded(self) -> bool:
        """Whether the client answers here, without a request that could go anywhere."""
        return bool(getattr(self._plain, "is_embedded", False))

    async def _replay(
        self, record: Record, asked: Asked, arguments: dict[str, Any]
    ) -> AsyncGenerator[str | CreateResult, None]:
        token = arguments.get("cancellation_token")
        await _pause(0, token)
        for piece in record.pieces:
            if self._deck.real_time:
                await _pause(piece.after, token)
            yield chunk_of(piece)
        if record.ending == "left":
            raise IncompleteReplyError(
                "The recording ends here: when it was made, the reply was not read to its end. "
                "Record it again to have more."
            )
        if record.ending == "error":
            error = error_in(record)
            self._count(asked, error.usage)
            raise error
        result = result_in(record)
        self._count(asked, result.usage)
        yield result.model_copy(update={"parsed": parsed_in(self._client, asked, result)})

    def _count(self, asked: Asked, usage: RequestUsage | None) -> None:
        """Let the wrapped client count as it did when the reply was recorded."""
        count = getattr(self._plain, "count_replayed", None)
        if count is not None:
            count(asked, usage)

    async def _record_whole(
        self, request: dict[str, Any], messages: Sequence[LLMMessage], arguments: dict[str, Any]
    ) -> CreateResult:
        started = perf_counter()
        try:
            result = await self._client.create(messages, **arguments)
        except RequestError as error:
            raise self._noted(request, (), error) from error.__cause__
        waited = perf_counter() - started
        pieces = tuple(piece._replace(after=waited) for piece in pieces_of(result)[:1])
        pieces += pieces_of(result)[1:]
        self._note(Record(request, pieces, "result", result_of(result, pieces)))
        return result

    async def _record_stream(
        self, request: dict[str, Any], messages: Sequence[LLMMessage], arguments: dict[str, Any]
    ) -> AsyncGenerator[str | CreateResult, None]:
        pieces: list[Piece] = []
        before = perf_counter()
        source = self._client.create_stream(messages, **arguments)
        try:
            async with aclosing(source):
                async for event in source:
                    now = perf_counter()
                    if isinstance(event, CreateResult):
                        details = result_of(event, pieces)
                        self._note(Record(request, tuple(pieces), "result", details))
                    else:
                        kind = event.kind if isinstance(event, StreamChunk) else "text"
                        pieces.append(Piece(str(event), kind, now - before))
                        before = now
                    yield event
        except RequestError as error:
            raise self._noted(request, pieces, error) from error.__cause__
        except GeneratorExit:
            self._note_left(request, pieces)
            raise

    def _note(self, record: Record) -> None:
        if self._deck.mode not in ("record", "auto"):
            return
        try:
            self._deck.add(record, self._keys)
        except ConfigurationError as error:  # the reply was paid for: it is given all the same
            warn(f"The reply is not recorded. {error}", NotKeptWarning)

    def _noted(
        self, request: dict[str, Any], pieces: Sequence[Piece], error: RequestError
    ) -> RequestError:
        """The error to raise: the one that will be raised again, so it does not name the server."""
        if not is_about_the_request(error):
            return error
        nameless = copy(error)
        nameless.args = (without_host(str(error), getattr(self._plain, "endpoint", "")),)
        self._note(Record(request, tuple(pieces), "error", error_of(nameless, pieces)))
        return nameless

    def _note_left(self, request: dict[str, Any], pieces: Sequence[Piece]) -> None:
        if pieces:
            self._note(Record(request, tuple(pieces), "left", {}))


async def _pause(seconds: float, token: CancellationToken | None) -> None:
    """Wait, unless the token is used.

    Raises:
        RequestCancelledError: It was.
    """
    waiting = asyncio.ensure_future(asyncio.sleep(seconds))
    try:
        if token is not None:
            token.link_future(waiting)
            if token.is_cancelled():
                waiting.cancel()
        await waiting
    except CancelledError:
        waiting.cancel()
        if token is not None and token.is_cancelled():
            raise RequestCancelledError("The request was cancelled by its token.") from None
        raise
