"""What a panel's front end is told: numbered, so that it notices what was lost on the way.

A Jupyter server drops what a kernel says while a cell prints more than it lets through: 1 MB or
1,000 messages a second (``iopub_data_rate_limit`` of jupyter_server). The front end learns by the
number of the next message that one is missing, and asks for the whole conversation. So there
always is a next one.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from nbagents._unicode import mended_data

__all__ = ["Teller"]

REMINDERS = (2.0, 8.0, 30.0, 120.0)
"""Seconds after which the state is told again when nothing else was."""

_ANSWERS = ("acknowledged", "error")


class Teller:
    """Sends messages to a front end; used on the private loop.

    Args:
        send: Sends one.
        state: What is told again: whether a reply is under way, and what it waits for.
    """

    def __init__(
        self, send: Callable[[dict[str, Any]], object], state: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._send = send
        self._state = state
        self._number = 0
        self._answers: deque[Mapping[str, Any]] = deque(maxlen=8)
        self._due: asyncio.TimerHandle | None = None

    def tell(self, content: Mapping[str, Any]) -> None:
        """Send a message with its number."""
        told = self._tell(content)
        if told["kind"] in _ANSWERS and told["request"] is not None:
            self._answers.append(told)
        self._remind(*REMINDERS)

    def tell_whole(self, content: Mapping[str, Any]) -> None:
        """Send what makes up for all that was lost: with the state, and the last answers."""
        state = {"seq": self._number, **self._state(), "answers": [*self._answers]}
        self._send(mended_data({"kind": "whole", **state, **content}))

    def close(self) -> None:
        """Tell nothing more."""
        if self._due is not None:
            self._due.cancel()

    def _tell(self, content: Mapping[str, Any]) -> dict[str, Any]:
        self._number += 1
        told: dict[str, Any] = mended_data({"seq": self._number, **content})
        self._send(told)
        return told

    def _remind(self, *seconds: float) -> None:
        def remind() -> None:
            self._tell({"kind": "busy", **self._state()})
            self._remind(*later)

        self.close()
        if seconds:
            delay, *later = seconds
            loop, context = asyncio.get_running_loop(), contextvars.Context()
            self._due = loop.call_later(delay, remind, context=context)
