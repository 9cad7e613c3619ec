"""What happens in a conversation, as those who watch an agent are told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakKeyDictionary

from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResultMessage,
    StreamChunk,
    UserMessage,
)

__all__ = [
    "CallAsked",
    "CallStarted",
    "Cleared",
    "TurnEnded",
    "TurnEvent",
    "TurnStarted",
    "Watcher",
    "Watchers",
    "watchers_of",
]

logger = logging.getLogger("nbagents")


@dataclass(frozen=True)
class TurnStarted:
    """Somebody has spoken to the agent, and it is its turn.

    Attributes:
        message: What was said.
    """

    message: UserMessage


@dataclass(frozen=True)
class TurnEnded:
    """A turn is over; the conversation is as it was before it when there is an error.

    Attributes:
        error: What ended it; None when it went well.
    """

    error: BaseException | None = None


@dataclass(frozen=True)
class CallAsked:
    """Somebody is asked whether a call may run.

    Attributes:
        call: The call.
    """

    call: FunctionCall


@dataclass(frozen=True)
class CallStarted:
    """A call runs.

    Attributes:
        call: The call.
    """

    call: FunctionCall


@dataclass(frozen=True)
class Cleared:
    """The conversation was forgotten."""


TurnEvent: TypeAlias = (
    TurnStarted
    | StreamChunk
    | AssistantMessage
    | CallAsked
    | CallStarted
    | FunctionExecutionResultMessage
    | CreateResult
    | TurnEnded
    | Cleared
)
"""In order: a start; for each round chunks, then calls, what becomes of each, and their results; a
result; an end."""

Watcher: TypeAlias = Callable[[TurnEvent], None]


class Watchers:
    """Those who want to know; a watcher's own failure is logged and harms nobody else."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: tuple[Watcher, ...] = ()

    def add(self, watcher: Watcher) -> Callable[[], None]:
        """Tell ``watcher`` from now on; returns a function that ends it."""
        with self._lock:
            self._watchers = (*self._watchers, watcher)
        return lambda: self._remove(watcher)

    def tell(self, event: TurnEvent) -> None:
        """Tell everybody."""
        for watcher in self._watchers:
            try:
                watcher(event)
            except Exception:
                logger.exception("A watcher of an agent failed.")

    def _remove(self, watcher: Watcher) -> None:
        with self._lock:
            kept = list(self._watchers)
            if watcher in kept:
                kept.remove(watcher)
            self._watchers = tuple(kept)


_watchers: WeakKeyDictionary[object, Watchers] = WeakKeyDictionary()
_mutex = threading.Lock()


def watchers_of(context: object) -> Watchers:
    """Return those who watch a conversation, by its context: agents that share one share them."""
    with _mutex:
        return _watchers.setdefault(context, Watchers())
