"""Waiting until a runtime has nothing to do."""

from __future__ import annotations

from collections.abc import Callable

from nbagents.runtime._deliveries import Delivery, current
from nbagents.runtime._handling import Handling
from nbagents.runtime._watch import Watch

__all__ = ["Idleness"]


class Idleness:
    """Tells when nothing is queued or handled, but for the handlers that wait for just that."""

    def __init__(self, watch: Watch, handling: Handling, unprocessed: Callable[[], int]) -> None:
        self._watch = watch
        self._handling = handling
        self._unprocessed = unprocessed
        # The chains of handlers that wait; each is a list's item, since two may be equal.
        self._waiting: list[set[Delivery]] = []

    async def reached(self) -> None:
        """Wait until nothing is queued or handled; a handler does not wait for itself."""
        here = current.get()
        own = here.chain() if here is not None else set()
        self._waiting.append(own)
        self._watch.changed()
        try:
            await self._watch.until(self._is_reached)
        finally:
            self._waiting = [chain for chain in self._waiting if chain is not own]

    def forget(self) -> None:
        """Give up on those who waited on an event loop that is gone."""
        self._waiting.clear()

    def _is_reached(self) -> bool:
        if self._unprocessed():
            return False
        active = self._handling.active
        return not active or all(any(one in chain for chain in self._waiting) for one in active)
