"""Being the only one who has a SQLite file open, to mend it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["alone_with", "note_closed", "note_open"]

# The bytes that SQLite locks while a connection is open: https://sqlite.org/src/file/src/os.h
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510

_open: Counter[tuple[int, Path]] = Counter()


def note_open(path: Path) -> None:
    """Note that this process has a connection to the file."""
    _open[os.getpid(), path] += 1


def note_closed(path: Path) -> None:
    """Note that one of them is closed."""
    _open[os.getpid(), path] -= 1


@contextmanager
def alone_with(path: Path) -> Iterator[int | None]:
    """The file, open for reading and writing, while nobody can connect to it; else None.

    Another kernel that wants to connect waits as it does for a writer.
    """
    # Closing the file would let go of the locks of this process's own connections.
    if _open[os.getpid(), path] > 0 or not path.exists():
        yield None
        return
    file = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        yield file if _lock(file) else None
    finally:
        os.close(file)


def _lock(file: int) -> bool:
    try:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
    except (ImportError, OSError):  # Windows, or somebody else has it open
        return False
    return True
