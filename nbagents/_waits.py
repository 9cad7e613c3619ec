"""What a reply waits for before it is asked for: a connection, say. Whoever shows it, says so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

__all__ = ["listener_to_waits", "told_of_waits", "waiting_for"]

logger = logging.getLogger("nbagents")

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("nbagents_waits", default=None)


def listener_to_waits() -> Callable[[str], None] | None:
    """Who is told of waits here, if anybody."""
    return _listener.get()


@contextmanager
def told_of_waits(listener: Callable[[str], None]) -> Iterator[None]:
    """Call ``listener`` with what is waited for inside, and with ``""`` when it is over.

    It is called in the thread of the event loop on which the wait is.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        # A coroutine that is thrown away with its event loop ends in somebody else's context.
        with suppress(ValueError):
            _listener.reset(token)


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Tell whoever listens that what runs inside waits for ``what``."""
    listener = _listener.get()
    logger.info("A request waits for %s.", what)
    if listener is not None:
        listener(what)
    try:
        yield
    finally:
        if listener is not None:
            listener("")
