"""The tokens of a client's replies, added up."""

from __future__ import annotations

import threading

from nbagents.messages import RequestUsage

__all__ = ["Tally"]


class Tally:
    """A sum of usages; any thread may add to it.

    Attributes:
        total: The sum.
    """

    def __init__(self) -> None:
        self.total = RequestUsage(0, 0)
        self._lock = threading.Lock()

    def add(self, usage: RequestUsage | None) -> None:
        """Count one more; None adds nothing."""
        if usage is not None:
            with self._lock:
                self.total += usage
