"""Being the only one who has a SQLite file open, to put another in its place."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["alone_with", "is_at", "note_closed", "note_open"]

# The bytes that SQLite locks while a connection is open: https://sqlite.org/src/file/src/os.h
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510

_LOOKS, _PAUSE = 100, 0.01
"""How often to look whether others have closed the file, and the seconds in between: more of them
on a machine that is busy, where they take longer, too."""

_open: Counter[Path] = Counter()
_turn = threading.Condition()


def note_open(path: Path) -> None:
    """Note that this process is about to have a connection to the file."""
    with _turn:
        _open[path] += 1


def note_closed(path: Path) -> None:
    """Note that one of them is closed."""
    with _turn:
        _open[path] -= 1


def is_at(path: Path, seen: os.stat_result) -> bool:
    """Whether the file that was seen is still the one of that name."""
    try:
        return os.path.samestat(path.stat(), seen)
    except FileNotFoundError:
        return False


@contextmanager
def alone_with(path: Path, seen: os.stat_result | None) -> Iterator[int | None]:
    """The file, open for reading, while nobody can connect to it.

    Another kernel that wants to connect waits as it does for a writer.

    Args:
        path: The file.
        seen: Which one it was when it was seen; None for whichever.

    Yields:
        None when somebody else has it open and does not soon close it, or has put another file in
        its place.
    """
    with _turn:
        # Closing the file would let go of the locks of this process's own connections.
        if not _closed_here(path) or not path.exists():
            yield None
            return
        file = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            yield file if _lock(file) and _is(file, path, seen) else None
        finally:
            os.close(file)


def _closed_here(path: Path) -> bool:
    """Wait until this process has no connection to the file."""
    for _ in range(_LOOKS):
        if not _open[path]:
            return True
        _turn.wait(_PAUSE)
    return False


def _is(file: int, path: Path, seen: os.stat_result | None) -> bool:
    stat = os.fstat(file)
    return is_at(path, stat) and (seen is None or os.path.samestat(stat, seen))


def _lock(file: int) -> bool:
    """Wait until nobody else has the file open: who has found it damaged closes it as we did."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    for _ in range(_LOOKS):
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except OSError:
            time.sleep(_PAUSE)
        else:
            return True
    return False
