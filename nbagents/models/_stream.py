"""What ``create_stream`` returns: a stream that closes its response when it is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Generic, TypeVar

from nbagents.messages import CreateResult

__all__ = ["ReplyStream"]

EventT = TypeVar("EventT")


class ReplyStream(AsyncGenerator[EventT, None]):
    """An asynchronous iterator of `StreamChunk`, and last a `CreateResult`.

    ``async for`` closes the response as soon as the loop is left, by ``break``, by an exception
    or by cancellation, even while a variable still holds the stream.

    Attributes:
        result: The `CreateResult`, once it has come; else None.
    """

    def __init__(self, source: AsyncGenerator[EventT, None]) -> None:
        self._source = source
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        self.result: CreateResult | None = None

    def __aiter__(self) -> _Cursor[EventT]:
        return _Cursor(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: read it with async for>"

    async def __anext__(self) -> EventT:
        return await self.asend(None)

    async def asend(self, value: None) -> EventT:
        """Return the next event; ``value`` means nothing here.

        Raises:
            StopAsyncIteration: The stream has ended.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        try:
            event = await self._source.asend(value)
        except BaseException:
            self._ended = True
            raise
        if isinstance(event, CreateResult):
            self.result = event
        return event

    async def athrow(
        self,
        typ: Any,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> EventT:
        """Raise inside the stream, which closes the response."""
        self._ended = True
        error = typ if isinstance(typ, BaseException) else typ(val) if val else typ()
        return await self._source.athrow(error.with_traceback(tb))

    async def aclose(self) -> None:
        """Close the response; what has come stays yours."""
        self._ended = True
        await self._source.aclose()

    def _abandon(self) -> None:
        if self._ended or self._loop is None or self._loop.is_closed():
            return
        self._ended = True
        self._loop.call_soon_threadsafe(_close_soon, self._source)


class _Cursor(Generic[EventT]):
    """The hidden iterator of one ``async for``; when it goes, nobody reads on."""

    __slots__ = ("_stream",)

    def __init__(self, stream: ReplyStream[EventT]) -> None:
        self._stream = stream

    def __aiter__(self) -> _Cursor[EventT]:
        return self

    async def __anext__(self) -> EventT:
        return await self._stream.asend(None)

    def __del__(self) -> None:
        self._stream._abandon()


# A loop keeps only weak references to its tasks.
_closing: set[asyncio.Task[None]] = set()


def _close_soon(source: AsyncGenerator[Any, None]) -> None:
    task = asyncio.ensure_future(_close(source))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


async def _close(source: AsyncGenerator[Any, None]) -> None:
    await source.aclose()
