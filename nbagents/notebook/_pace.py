"""How often a growing reply may be sent again."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Pace"]

INTERVAL = 0.1
"""Seconds between two paints at least: faster is not read, and the server drops bursts."""
SHARE = 0.1
"""The part of the main thread's time that painting may take."""
STALE = 1.5
"""Seconds after which what came is shown although it is not paid for; more when much is owed."""

# Bytes on IOPub. A message costs more than its envelope weighs (0.9 KB), so that messages are
# bounded as well: 12 KB of reply pay for 140 of them at most, whatever the model's speed.
_START = 24_000
_PER_CHARACTER = 12
_PER_MESSAGE = 1_200
_OVERDRAFT = 4_000


class Pace:
    """Says when to paint next: often at first, then as the reply's growth pays for it.

    Every character received pays for some bytes sent, every message sent takes its size off.
    So all that is sent for a reply grows with its length only, however slow it comes and
    however long its last block is.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._balance = _START
        self._painted_at = float("-inf")
        self._interval = INTERVAL

    def received(self, characters: int) -> None:
        """Credit what has come."""
        self._balance += _PER_CHARACTER * characters

    def sent(self, characters: int) -> None:
        """Charge a message."""
        self._balance -= _PER_MESSAGE + characters

    def painted(self, seconds: float) -> None:
        """Note that a paint ended now and took ``seconds``."""
        self._painted_at = self._clock()
        self._interval = max(INTERVAL, seconds / SHARE)

    def wait(self) -> float:
        """Seconds until the next paint."""
        interval = self._interval
        if self._balance <= 0:
            interval = max(interval, STALE, STALE * -self._balance / _OVERDRAFT)
        return max(0.0, self._painted_at + interval - self._clock())
