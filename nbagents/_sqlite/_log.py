"""SQLite's write-ahead log: what a stopped process leaves. Pure.

Its layout is https://sqlite.org/fileformat2.html#the_write_ahead_log.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["PAGE", "Frame", "frames_in", "is_torn", "salts_of"]

PAGE = 4_096
"""Bytes of a page in the files we make."""

_HEADER, _FRAME_HEADER = 32, 24
_SALTS = 16
_BIG_ENDIAN = 0x377F0683


class Frame(NamedTuple):
    """A page in the log.

    Attributes:
        page: Its number.
        salts: Two numbers that all pages since the log was last begun have in common.
        summed: The bytes that the checksum is of.
        checksum: The checksum, of all before it too.
        content: The page.
    """

    page: int
    salts: tuple[int, int]
    summed: bytes
    checksum: tuple[int, int]
    content: bytes


def frames_in(log: bytes) -> Iterator[Frame]:
    """The whole frames, those too that are left of what was written before."""
    for start in range(_HEADER, len(log) - _FRAME_HEADER - PAGE + 1, _FRAME_HEADER + PAGE):
        page, _, *numbers = struct.unpack_from(">6I", log, start)
        content = log[start + _FRAME_HEADER : start + _FRAME_HEADER + PAGE]
        first, second, *checksum = numbers
        summed = log[start : start + 8] + content
        yield Frame(page, (first, second), summed, (checksum[0], checksum[1]), content)


def salts_of(log: bytes) -> tuple[int, int]:
    """What the frames have that were written since the log was last begun, as its header says."""
    if len(log) < _HEADER:
        return 0, 0
    first, second = struct.unpack_from(">2I", log, _SALTS)
    return first, second


def is_torn(log: bytes) -> bool:
    """Whether there is something behind the place where SQLite stops to believe the log."""
    if len(log) < _HEADER:
        return bool(log)
    magic, *_, first, second, one, two = struct.unpack_from(">8I", log)
    order = ">" if magic == _BIG_ENDIAN else "<"
    running = _sum(log[:24], (0, 0), order)
    if running != (one, two):
        return True
    for frame in frames_in(log):
        if frame.salts[0] != first and frame.salts[1] != second:
            return False  # left of what was written before
        running = _sum(frame.summed, running, order)
        if frame.salts != (first, second) or frame.checksum != running:
            return True
    return False


def _sum(data: bytes, before: tuple[int, int], order: str) -> tuple[int, int]:
    one, two = before
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return one, two
