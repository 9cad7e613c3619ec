"""Rows out of what is left of a SQLite file, whatever SQLite itself still makes of it. Pure.

Nothing of the file's structure is relied on but the layout of a record (a header with the types
of its values, then the values; https://sqlite.org/fileformat2.html#record_format) and where its
overflow goes. Rows are found by the mark that each id begins with, and believed by their checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from nbagents._sqlite._log import PAGE, frames_in, salts_of
from nbagents._sqlite._rows import MARK, Row, is_intact, unsealed

__all__ = ["rows_left_in"]

_MARK = MARK.encode()
# How much of a record stands in a page of a table without row ids.
_MOST = (PAGE - 12) * 64 // 255 - 23
_LEAST = (PAGE - 12) * 32 // 255 - 23
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
_FLOAT = 7
_Page: TypeAlias = tuple[int, bytes]  # its number, and what it holds


def rows_left_in(database: bytes, log: bytes, width: int) -> dict[str, Row]:
    """The intact rows by their ids, of a table with so many columns: as the newest page has them.

    Args:
        database: The file.
        log: Its write-ahead log; empty where there is none.
        width: How many columns the table has.
    """
    older, newer = _logged(log)
    latest: dict[int, bytes] = {}
    found: dict[str, Row] = {}
    for pages in (older, [*enumerate(_pages(database), 1)], newer):
        latest |= pages
        for _, page in pages:
            for stored in _stored_in(page, latest, width):
                if is_intact(stored):
                    found[stored[0]] = unsealed(stored)
    return found


def _logged(log: bytes) -> tuple[list[_Page], list[_Page]]:
    """The pages in the log: those that are older than the file's own, and those that are newer.

    SQLite begins the log anew at its start when the file has all of it, and leaves the rest there.
    """
    frames, begun = [*frames_in(log)], salts_of(log)
    if frames and all(frame.salts != begun for frame in frames):  # the header is damaged
        begun = frames[0].salts
    older = [(frame.page, frame.content) for frame in frames if frame.salts != begun]
    newer = [(frame.page, frame.content) for frame in frames if frame.salts == begun]
    return older, newer


def _pages(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), PAGE):
        yield data[start : start + PAGE]


def _stored_in(page: bytes, pages: Mapping[int, bytes], width: int) -> Iterator[tuple[Any, ...]]:
    place = page.find(_MARK)
    while place >= 0:
        types = _types_before(page, place, width)
        if types is not None:
            start, kinds = types
            payload = _payload(page, start, place - start + sum(map(_size, kinds)), pages)
            values = _values(payload[place - start :], kinds)
            if values is not None:
                yield values
        place = page.find(_MARK, place + 1)


def _types_before(page: bytes, body: int, width: int) -> tuple[int, list[int]] | None:
    """Where the header begins that ends at ``body``, and the types it names."""
    for size in range(width + 1, min(9 * width, 127, body) + 1):
        if page[body - size] == size:
            kinds = _numbers(page[body - size + 1 : body])
            if kinds is not None and len(kinds) == width:
                return body - size, kinds
    return None


def _numbers(data: bytes) -> list[int] | None:
    """The variable-length numbers that fill ``data``."""
    numbers, number = [], 0
    for byte in data:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(number)
            number = 0
    return numbers if data and data[-1] < 0x80 else None


def _size(kind: int) -> int:
    return _SIZES[kind] if kind < len(_SIZES) else (kind - 12) // 2


def _payload(page: bytes, start: int, size: int, pages: Mapping[int, bytes]) -> bytes:
    """A record, with what of it stands in other pages."""
    if size <= _MOST:
        return page[start : start + size]
    here = _LEAST + (size - _LEAST) % (PAGE - 4)
    here = here if here <= _MOST else _LEAST
    parts, length = [page[start : start + here]], here
    follows, seen = page[start + here : start + here + 4], set[int]()
    while length < size:
        number = int.from_bytes(follows, "big")
        if number in seen or number not in pages:
            return b""
        seen.add(number)
        part = pages[number]
        follows, length = part[:4], length + PAGE - 4
        parts.append(part[4:])
    return b"".join(parts)[:size]


def _values(body: bytes, kinds: list[int]) -> tuple[Any, ...] | None:
    if len(body) < sum(map(_size, kinds)):
        return None
    values: list[Any] = []
    for kind in kinds:
        part, body = body[: _size(kind)], body[_size(kind) :]
        try:
            values.append(_value(part, kind))
        except (UnicodeDecodeError, struct.error):
            return None
    return tuple(values)


def _value(part: bytes, kind: int) -> Any:
    if kind == 0:
        return None
    if kind == _FLOAT:
        return struct.unpack(">d", part)[0]
    if kind in (8, 9):
        return kind - 8
    if kind < len(_SIZES):
        return int.from_bytes(part, "big", signed=True)
    return part.decode() if kind % 2 else part
