"""Waiting for who writes to a cassette's file, or reads it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["lock", "whole"]


def lock(file: int, *, alone: bool = True) -> bool:
    """Wait until nobody writes to the open file, or ``alone`` has it; return whether that can be.

    It is held until the file is closed.
    """
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
    except (ImportError, OSError):  # Windows, or a file system without locks
        return False
    return True


def whole(path: Path) -> bytes:
    """What the file holds, without half of a record that somebody is writing.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        lock(file.fileno(), alone=False)
        return file.read()
