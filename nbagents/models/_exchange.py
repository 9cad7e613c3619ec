"""One request on the wire: sent, read and given up, under deadlines and a token.

Deadlines count only what is spent waiting here. They and the token end a wait through its
alarm, which tells them from ``task.cancel()``: a cancelled task stays a cancelled task.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from nbagents._waits import listener_to_waits, told_of_waits
from nbagents.errors import NbAgentsError, RequestCancelledError, RequestTimeoutError
from nbagents.models._alarm import Alarm, AlarmRang
from nbagents.models._failures import request_id_in

if TYPE_CHECKING:
    import httpx2

    from nbagents._cancellation import CancellationToken
    from nbagents.models._failures import Failures
    from nbagents.models._limits import Limits

__all__ = ["Exchange"]

T = TypeVar("T")

_FOREVER = float("inf")
_DRAIN_SECONDS = 0.25
_DRAIN_BYTES = 65_536


class Exchange:
    """A request and its response, from the running task's point of view.

    Args:
        limits: The deadlines.
        failures: Turns the errors of the libraries below into ours.
        token: Cancels the exchange, from any thread.

    Attributes:
        request_id: The server's name for the request, once its headers have come.
        waited: Seconds spent waiting so far.
    """

    def __init__(
        self, limits: Limits, failures: Failures, token: CancellationToken | None = None
    ) -> None:
        self.request_id: str | None = None
        self.waited = 0.0
        self._silence = _FOREVER if limits.silence is None else limits.silence
        self._total = _FOREVER if limits.total is None else limits.total
        self._heard = 0.0
        self._fruitless: float | None = None  # since when what has come is no content
        self._failures = failures
        self._token = token
        self._awaited = ""  # what the request waits for, other than the server
        self._outer = listener_to_waits()
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm()
        self._response: httpx2.Response | None = None
        self._body: AsyncGenerator[bytes, None] | None = None
        self._forget = token.add_callback(self._on_cancel) if token is not None else None

    async def queue(self, enter: Callable[[], Awaitable[T]]) -> T:
        """Wait for one's turn to send a request: no deadline counts that.

        Raises:
            NbAgentsError: There is nothing to send it through.
            RequestCancelledError: The token was used.
        """
        self._check_token()
        waited = self.waited
        try:
            return await self._await(enter(), _FOREVER, reading=False)
        finally:
            self.waited = waited

    async def prepare(self, step: Callable[[], Awaitable[T]]) -> T:
        """Wait for what the request needs before the response begins, all of it in time.

        Raises:
            RequestError: It failed, or was not there in time.
            RequestCancelledError: The token was used.
        """
        self._check_token()
        with told_of_waits(self._hear):
            return await self._await(step(), self._total - self.waited, reading=False)

    async def open(self, send: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
        """Send the request, and wait for the response's headers.

        Raises:
            RequestError: There is none, or it is an error.
            RequestCancelledError: The token was used.
        """
        response = await self.prepare(send)
        self._response = response
        self.request_id = request_id_in(response.headers)
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        # A transport that makes no requests may give the whole body at once: it is read already.
        plain = not encoded and not response.is_stream_consumed
        self._body = response.aiter_raw() if plain else response.aiter_bytes()
        self._heard = self.waited
        return response

    async def read(self) -> bytes:
        """The next bytes of the body; none when it has ended.

        Raises:
            RequestError: They did not come in time, or the connection broke.
            RequestCancelledError: The token was used.
        """
        assert self._body is not None
        self._check_token()
        if self._fruitless is not None:  # reading what is no content is waiting, too
            self.waited += self._loop.time() - self._fruitless
        left = min(self._silence + self._heard, self._total) - self.waited
        if left <= 0:  # a flood leaves the alarm no moment to ring
            raise self._overdue(left)
        data = await self._await(anext(self._body, b""), left, reading=True)
        self._fruitless = self._loop.time()
        return data

    @property
    def is_open(self) -> bool:
        """Whether the server has begun to answer."""
        return self._response is not None

    def note_content(self) -> None:
        """Begin the wait for content anew: some has come."""
        self._heard = self.waited
        self._fruitless = None

    async def drain(self) -> None:
        """Read the little that follows the end of a reply, so that the connection can be kept."""
        assert self._body is not None
        size = 0
        with suppress(Exception):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while size < _DRAIN_BYTES and (data := await anext(self._body, b"")):
                    size += len(data)

    async def close(self) -> None:
        """Close the response; when it was read to its end, its connection is kept."""
        self._alarm.close()
        if self._forget is not None:
            self._forget()
        if self._body is not None:
            with suppress(Exception):
                await self._body.aclose()
        if self._response is not None:
            with suppress(Exception):
                await self._response.aclose()

    async def _await(self, wanted: Awaitable[T], seconds: float, *, reading: bool) -> T:
        """Wait on the network for at most ``seconds``, or until the token is used."""
        began, outside = self._loop.time(), sys.exception()
        try:
            return await self._alarm.wait(wanted, began + seconds)
        except AlarmRang as error:
            raise self._overdue(seconds) from error
        except (NbAgentsError, CancelledError, KeyboardInterrupt, SystemExit) as error:
            # The libraries' frames hold the request's headers, and tracebacks may show them.
            traceback.clear_frames(error.__traceback__)
            raise
        except Exception as error:
            raise self._failures.of(error, reading=reading, outside=outside) from error
        finally:
            self.waited += self._loop.time() - began

    def _check_token(self) -> None:
        if self._token is not None and self._token.is_cancelled():
            raise _cancelled()

    def _hear(self, what: str) -> None:
        """Note what the request waits for, if it does not wait for the server."""
        if what or not self._alarm.rang:
            self._awaited = what
        if self._outer is not None:
            self._outer(what)

    def _overdue(self, seconds: float) -> NbAgentsError:
        if self._token is not None and self._token.is_cancelled():
            return _cancelled()
        if self._awaited:
            return RequestTimeoutError(
                f"There was no answer within {self._total:g} s to the request for {self._awaited}."
                " Check that who gives it can be reached, or allow more with limits="
                "Limits(total=...).",
                retryable=True,
            )
        total = self.waited + seconds >= self._total
        what = (
            f"was not done within {self._total:g} s"
            if total
            else (f"sent nothing of the reply for {self._silence:g} s")
        )
        limit = "total" if total else "silence"
        return RequestTimeoutError(
            f"{self._failures.host} {what}. Run it again, or allow more with "
            f"limits=Limits({limit}=...).",
            retryable=True,
        )

    def _on_cancel(self) -> None:
        with suppress(RuntimeError):  # the loop has ended, and the request with it
            self._loop.call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        if not self._alarm.ring() and self._response is not None and not self._response.is_closed:
            _spawn(self._response.aclose())


def _cancelled() -> RequestCancelledError:
    return RequestCancelledError(
        "The request was cancelled by its token; .partial has what came. Ask again with a new "
        "CancellationToken."
    )


# A loop keeps only weak references to its tasks.
_spawned: set[asyncio.Task[Any]] = set()


def _spawn(closing: Any) -> None:
    task = asyncio.ensure_future(closing)
    _spawned.add(task)
    task.add_done_callback(_spawned.discard)
