"""Rows with a checksum. Pure."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

__all__ = ["MARK", "Row", "Table", "is_intact", "sealed", "unsealed"]

MARK = "nbagents:"
"""What every id begins with: by it rows are found again in what is left of a file."""

Row: TypeAlias = tuple[Any, ...]
"""An id, which begins with `MARK`, and the values of the columns."""

_LARGEST = 2**63 - 1


class Table(NamedTuple):
    """The one table of a file.

    Before its columns stands ``id``, behind them ``crc``, the checksum of the row.

    Attributes:
        name: Its name.
        columns: SQLite's types by the names of the columns.
    """

    name: str
    columns: Mapping[str, str]

    @property
    def schema(self) -> str:
        """The statement that makes it where it is not there."""
        columns = "".join(f", {name} {kind}" for name, kind in self.columns.items())
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} "
            f"(id TEXT PRIMARY KEY{columns}, crc INTEGER) WITHOUT ROWID"
        )

    @property
    def width(self) -> int:
        """How many columns there are, ``id`` and ``crc`` included."""
        return len(self.columns) + 2


def sealed(row: Row) -> Row:
    """The row as it is stored: of values that SQLite gives back, with its checksum."""
    stored = tuple(map(_storable, row))
    return (*stored, _checksum(stored))


def is_intact(stored: Sequence[Any]) -> bool:
    """Whether a stored row is what was written."""
    return bool(stored[-1] == _checksum(stored[:-1]))


def unsealed(stored: Sequence[Any]) -> Row:
    """The row without its checksum."""
    return tuple(stored[:-1])


def _checksum(values: Sequence[Any]) -> int:
    # SQLite writes a 2.0 as a 2, to save room.
    plain = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    return zlib.crc32(json.dumps(plain, default=repr).encode())


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # half of a surrogate pair
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return int(value) if -_LARGEST <= value <= _LARGEST else None
    return value
