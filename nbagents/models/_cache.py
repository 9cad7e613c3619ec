"""A cache before a client: the same request is paid for once."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from nbagents._warnings import warn
from nbagents.errors import NotKeptWarning
from nbagents.messages import (
    CreateResult,
    LLMMessage,
    RequestUsage,
    StreamChunk,
)
from nbagents.models._cassette.lines import Piece, Record
from nbagents.models._cassette.replies import (
    can_be_played,
    chunk_of,
    pieces_of,
    result_in,
    result_of,
)
from nbagents.models._cassette.request import canonical, fingerprint
from nbagents.models._public import PublicClient
from nbagents.models._request import Asked, asked_of, final_request, parsed_in, plain_client
from nbagents.models._stores import CacheStore, InMemoryStore
from nbagents.models._wrapper import ClientWrapper

if TYPE_CHECKING:
    from nbagents.models._client import ChatCompletionClient

__all__ = ["ChatCompletionCache"]

_NOTHING = RequestUsage(0, 0)


class ChatCompletionCache(PublicClient):
    """A client that remembers replies, and asks another client for those it does not know.

    A reply is found again by the request as it goes to the model: messages, tools and their
    choice, schema, arguments, model, and the server. A streamed one answers a request that is not,
    and the other way round. A reply from the cache is marked ``cached`` and costs nothing in the
    ledger. Failures, and streams that were left, are not kept.

    Args:
        client: Whom to ask.
        store: Where to keep replies, as text; in memory when left out. `SQLiteStore` keeps them
            on disk.

    Attributes:
        client: Whom to ask.
        store: Where replies are kept.
    """

    def __init__(self, client: ChatCompletionClient, store: CacheStore[str] | None = None) -> None:
        self.client = client
        self.store: CacheStore[str] = InMemoryStore() if store is None else store
        self._direct = _Cache(client, self.store)


class _Cache(ClientWrapper):
    """The plain client behind the public one."""

    def __init__(self, client: ChatCompletionClient, store: CacheStore[str]) -> None:
        super().__init__(client)
        self._store = store
        self._plain = plain_client(client)
        self._saved = _NOTHING
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        return str(getattr(self._client, "model", type(self._client).__name__))

    @property
    def skips_cassette(self) -> bool:
        """Whether the wrapped client needs no recording, as prepared replies do not."""
        return bool(getattr(self._plain, "skips_cassette", False))

    def request_for(self, asked: Asked) -> dict[str, Any]:
        """What the wrapped client would send."""
        return final_request(self._client, asked)

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        asked = asked_of(messages, arguments)
        key = self._key(asked)
        known = self._known(key)
        if known is not None:
            return self._hit(known, asked)
        result = await self._client.create(messages, **arguments)
        self._keep(key, pieces_of(result), result)
        return result

    async def create_stream(
        self, messages: Sequence[LLMMessage], **arguments: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        asked = asked_of(messages, arguments)
        key = self._key(asked)
        known = self._known(key)
        if known is not None:
            for piece in known.pieces:
                yield chunk_of(piece)
            yield self._hit(known, asked)
            return
        pieces: list[Piece] = []
        async with aclosing(self._client.create_stream(messages, **arguments)) as events:
            async for event in events:
                if isinstance(event, CreateResult):
                    self._keep(key, pieces, event)
                else:
                    kind = event.kind if isinstance(event, StreamChunk) else "text"
                    pieces.append(Piece(str(event), kind))
                yield event

    def _key(self, asked: Asked) -> str:
        server = getattr(self._plain, "endpoint", type(self._client).__qualname__)
        return fingerprint({"server": server, **canonical(self.request_for(asked))})

    def _known(self, key: str) -> Record | None:
        """The reply that is kept; None where there is none, or what is kept is not one of ours."""
        try:
            kept = json.loads(self._store.get(key) or "null")
            pieces = tuple(Piece(text, kind) for text, kind in kept["pieces"])
            record = Record({}, pieces, "result", kept["result"])
        except (TypeError, KeyError, ValueError, RecursionError):
            return None
        return record if can_be_played(record) else None

    def _keep(self, key: str, pieces: Sequence[Piece], result: CreateResult) -> None:
        said = [[piece.text, piece.kind] for piece in pieces]
        try:
            self._store.set(key, json.dumps({"pieces": said, "result": result_of(result, pieces)}))
        except Exception as error:  # noqa: BLE001  (a paid reply is not lost with its copy)
            warn(f"The reply is not kept in the cache. {error}", NotKeptWarning)

    def _hit(self, known: Record, asked: Asked) -> CreateResult:
        result = result_in(known)
        with self._lock:
            self._saved += result.usage
        parsed = parsed_in(self._client, asked, result)
        return result.model_copy(
            update={
                "cached": True,
                "parsed": parsed,
                "latency": None,
                "time_to_first_token": None,
            }
        )

    def total_usage(self) -> RequestUsage:
        return self._client.total_usage() + self._saved
