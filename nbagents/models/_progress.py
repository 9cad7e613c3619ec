"""How far an attempt to send a request has come, and how long it may connect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

__all__ = ["Patience", "Progress", "progress"]

_GLANCES = 10  # by which the time to connect is measured


class Progress:
    """How far a request has come, told by the HTTP library's trace.

    Attributes:
        sent: Whether any of it was sent to the server.
        connecting: Whether this attempt has no connection yet.
    """

    def __init__(self) -> None:
        self.sent = False
        self.connecting = True
        self._bare: Any = None  # a connection that has not ended its TLS handshake

    async def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Take what the HTTP library tells."""
        if event.endswith("connect_tcp.complete"):
            self._bare = info["return_value"]
        elif event.endswith("start_tls.complete"):
            self._bare = None
        elif event.endswith("send_request_headers.started"):
            self._bare = None
            self.sent = True
            self.connecting = False

    async def abandon(self) -> bool:
        """Close what the HTTP library leaves open when it is cancelled in the TLS handshake.

        Return whether it was.
        """
        bare, self._bare = self._bare, None
        if bare is not None:
            with suppress(Exception):
                await bare.aclose()
        return bare is not None


progress: ContextVar[Progress | None] = ContextVar("nbagents_progress", default=None)
"""That of the request which is being sent."""


class Patience:
    """Ends an attempt that has not connected in time, as the event loop has seen it.

    Counted in turns of a timer: seconds in which the loop was busy elsewhere, or the process had
    no processor, are no fault of the server's.

    Args:
        seconds: How long an attempt may connect; None for ever.
        here: Tells when it has.
        deadline: What to let run out.

    Attributes:
        over: Whether that has happened.
    """

    def __init__(self, seconds: float | None, here: Progress, deadline: asyncio.Timeout) -> None:
        self.over = False
        self._pause = None if seconds is None else seconds / _GLANCES
        self._here = here
        self._deadline = deadline
        self._glances = 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Patience:
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        if self._pause is not None and self._here.connecting:
            self._timer = asyncio.get_running_loop().call_later(self._pause, self._glance)

    def _glance(self) -> None:
        self._glances += 1
        if self._glances < _GLANCES:
            self._wait()
        elif self._here.connecting and not self._deadline.expired():
            self.over = True
            self._deadline.reschedule(asyncio.get_running_loop().time())
