"""Records as text that is found again in whatever is left of a file. Pure.

A record is an object of JSON, cut into parts that are a row of the file each. A part is so short
that it stands in one page, and its first line says what it is a part of, how long it is, and its
checksum. So it is found and believed wherever it stands, in the database or in its log, without
knowing how SQLite lays these out.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
import uuid
import zlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

__all__ = ["MARK", "Record", "Row", "Table", "digest_of", "newest", "recorded", "records_in"]

MARK = "nbagents:"
"""What every part begins with."""

Row: TypeAlias = tuple[Any, ...]
"""An id, and the values of the columns: texts, numbers, truth values, None."""

_LONGEST = (
    900  # characters: at most 3,600 bytes, and SQLite parts no row of 4,061 in a page of 4 KiB
)
_HEAD = re.compile(rb"nbagents:([0-9a-f]{24}) (\d{1,9}) (\d{1,9}) (\d{1,4}) ([0-9a-f]{8})\n")
_LARGEST = 2**63 - 1


class Table(NamedTuple):
    """What the records of a file are.

    Attributes:
        name: What they are called.
        columns: The names of what each has beside its ``id``.
    """

    name: str
    columns: tuple[str, ...]


class Record(NamedTuple):
    """A row as it is stored.

    Attributes:
        key: When it was written, and a random number: of two with one id the greater is newer.
        parts: Its texts.
        content: What they say.
    """

    key: str
    parts: tuple[str, ...]
    content: dict[str, Any]

    @property
    def digest(self) -> str:
        """By what it is found."""
        return digest_of(self.content["id"])

    def row(self, table: Table) -> Row:
        """The values that a table has."""
        return tuple(self.content.get(name) for name in ("id", *table.columns))


def digest_of(identity: str) -> str:
    """What stands for an id, which may be of any length."""
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]


def recorded(row: Row, table: Table) -> Record:
    """The record of a row."""
    names = ("id", *table.columns)
    content = {name: _plain(value) for name, value in zip(names, row, strict=True)}
    said = json.dumps(content, ensure_ascii=False)
    slices = [said[start : start + _LONGEST] for start in range(0, len(said), _LONGEST)]
    key = f"{time.time_ns():016x}{uuid.uuid4().hex[:8]}"
    parts = (_part(key, number, len(slices), text) for number, text in enumerate(slices))
    return Record(key, tuple(parts), content)


def records_in(data: bytes) -> list[Record]:
    """The records all of whose parts are in ``data`` and intact, in any order."""
    found: dict[tuple[str, int], dict[int, str]] = defaultdict(dict)
    for head in _HEAD.finditer(data):
        key, number, count, size, checksum = head.groups()
        body = data[head.end() : head.end() + int(size)]
        if _checksum(key, number, count, body) == checksum:
            found[key.decode(), int(count)][int(number)] = (head[0] + body).decode()
    return [
        record
        for (key, count), parts in found.items()
        if len(parts) == count and (record := _joined(key, [parts[n] for n in sorted(parts)]))
    ]


def newest(records: Iterable[Record]) -> dict[str, Record]:
    """Of each id the newest, by its digest."""
    found: dict[str, Record] = {}
    for record in records:
        if record.digest not in found or found[record.digest].key < record.key:
            found[record.digest] = record
    return found


def _part(key: str, number: int, count: int, text: str) -> str:
    body = text.encode()
    checksum = _checksum(key.encode(), b"%d" % number, b"%d" % count, body).decode()
    return f"{MARK}{key} {number} {count} {len(body)} {checksum}\n{text}"


def _checksum(key: bytes, number: bytes, count: bytes, body: bytes) -> bytes:
    return b"%08x" % zlib.crc32(b" ".join((key, number, count, body)))


def _joined(key: str, parts: list[str]) -> Record | None:
    try:
        content = json.loads("".join(part.partition("\n")[2] for part in parts))
        digest_of(content["id"])
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None  # nothing that we have written
    return Record(key, tuple(parts), content)


def _plain(value: Any) -> Any:
    """What JSON and SQLite can hold of a value."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # half of a surrogate pair
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else None
    return value
