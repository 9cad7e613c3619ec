"""What one way costs in memory: run alone, ``python -m tests.faults.weigh WAY NAME``."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from nbagents.testing import chunk, stream
from nbagents.testing.faults import FAULTS, Fault, Outcome
from tests.faults.ways import Room, room

__all__ = ["HEAVY", "LONG", "measured"]

_MIB = 1024 * 1024
_RICH = (
    "## Part\n\nSome **bold** text with `code` and $x^2$.\n\n- one\n- two\n\n"
    "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```python\nfor i in range(10):\n    print(i)\n```\n\n"
)


def _long(name: str, text: str) -> Fault:
    width = 1 if text.isascii() else 4
    pieces = [chunk(text)] * (8 * _MIB // (width * len(text)) - 1)
    said = text * len(pieces)
    reply = stream(*pieces, chunk(None, "stop"))
    return Fault(name, "legal", "almost as long as is allowed", [reply], Outcome(said))


LONG = {
    "8_MB_of_markdown": _long("8_MB_of_markdown", _RICH * 8),
    "8_MB_with_an_emoji": _long("8_MB_with_an_emoji", _RICH * 8 + "\U0001f600"),
    "8_MB_word_by_word": _long("8_MB_word_by_word", "lorem ipsum "),
}
"""Replies that are good and heavy."""

HEAVY = (
    "gzip_bomb",
    "endless_line",
    "endless_event",
    "endless_reasoning",
    "endless_arguments",
    "endless_spaces",
    "endless_page",
    "gzip_bomb_in_an_error",
    "flood_of_comments",
    "flood_of_pieces",
)
"""Of the ways, those that send much."""


def measured(room: Room, way: str, name: str) -> float:
    """MiB of resident memory at the most, above what there was before."""
    before = _resident()
    peak = _Peak()
    seen = room.ask(way, FAULTS.get(name) or LONG[name])
    assert seen.is_right
    return peak.stop() - before


class _Peak:
    """Watches this process's memory, from a thread."""

    def __init__(self) -> None:
        self._most = _resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> float:
        self._over.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while not self._over.wait(0.002):
            self._most = max(self._most, _resident())


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / _MIB


if __name__ == "__main__":
    with room(generous=True) as opened:
        opened.ask(sys.argv[1], FAULTS["bom"])
        for fault in sys.argv[2:]:
            started = time.monotonic()
            used = measured(opened, sys.argv[1], fault)
            sys.stdout.write(json.dumps([fault, used, time.monotonic() - started]) + "\n")
            sys.stdout.flush()
