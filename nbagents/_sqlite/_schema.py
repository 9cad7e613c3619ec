"""What a file of ours looks like: its version, its tables, and how older ones are brought to it."""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Iterable
from typing import Any, Literal

from nbagents._sqlite._records import MARK, Record, Table, recorded
from nbagents.errors import ConfigurationError

__all__ = [
    "PAGE",
    "VERSION",
    "busy",
    "code_of",
    "damage",
    "examine",
    "insert",
    "is_damage",
    "make",
    "migrate",
]

VERSION = 1
"""``PRAGMA user_version``. The next is 2, then 4: two bits apart from the one before."""

PAGE = 4_096
"""Bytes of a page: SQLite's default, and room for one part of a record."""

Kind = Literal["empty", "ours", "older"]


def examine(connection: sqlite3.Connection, table: Table, *, may_be_older: bool = True) -> Kind:
    """What the file is, within a transaction; nothing is changed.

    Raises:
        ConfigurationError: It is of a newer nbagents.
        sqlite3.DatabaseError: It is damaged, or holds something else. What somebody has put beside
            our table is no damage, to be mended away.
    """
    version, application = (
        _pragma(connection, each) for each in ("user_version", "application_id")
    )
    found = {
        sql for [sql] in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
    }
    ours, changed = set(_statements(table)), _bits_between(application, _application(table))
    if (version, changed, found) == (VERSION, 0, ours):
        return "ours"
    if version == application == 0 and (not found or (may_be_older and _is_older(found, table))):
        return "older" if found else "empty"
    # One bit is damage: no version, and no kind of file, is one bit apart from another.
    if version > VERSION and _bits_between(version, VERSION) > 1 and changed == 0:
        raise ConfigurationError(
            f"was written by a newer nbagents (its format is {version}, this one reads {VERSION}); "
            "nothing was changed"
        )
    if changed > 1 or found > ours:
        raise sqlite3.DatabaseError(f"it holds something other than the table {table.name}")
    raise damage("its schema is not as it was written")


def make(connection: sqlite3.Connection, table: Table) -> None:
    """Make the tables, within a transaction."""
    for statement in _statements(table):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute(f"PRAGMA application_id={_application(table)}")


def migrate(connection: sqlite3.Connection, table: Table) -> None:
    """Bring a file to this version, within a transaction.

    Raises:
        sqlite3.DatabaseError: It is damaged.
    """
    rows = connection.execute(f"SELECT * FROM {table.name}").fetchall()  # noqa: S608
    if any(row[-1] != _checksum_of_older(row[:-1]) for row in rows):
        raise sqlite3.DatabaseError("it is of an older nbagents, and damaged; nothing was changed")
    connection.execute(f"DROP TABLE {table.name}")
    make(connection, table)
    insert(
        connection,
        (recorded((row[0].removeprefix(MARK), *row[1:-1]), table) for row in rows),
    )


def insert(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Write records in the place of those with their ids, within a transaction."""
    for record in records:
        connection.execute("DELETE FROM parts WHERE digest = ?", (record.digest,))
        connection.executemany(
            "INSERT INTO parts (digest, text) VALUES (?, ?)",
            [(record.digest, text) for text in record.parts],
        )


def damage(what: str) -> sqlite3.DatabaseError:
    """The error that SQLite raises for a damaged file."""
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def busy(what: str) -> sqlite3.OperationalError:
    """The error that SQLite raises when another process has what is needed now."""
    error = sqlite3.OperationalError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def is_damage(error: Exception) -> bool:
    """Whether SQLite says that the file is damaged, or no database at all."""
    # It quotes a damaged schema in its error, which Python cannot decode.
    damaged = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return isinstance(error, UnicodeDecodeError) or code_of(error) in damaged


def code_of(error: BaseException) -> int:
    """What SQLite calls the error; 0 for any other."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _statements(table: Table) -> tuple[str, ...]:
    """What makes the tables; the view is for people and other programs."""
    names = ("id", *table.columns)
    columns = ", ".join(f"json_extract(said, '$.{name}') AS \"{name}\"" for name in names)
    said = "group_concat(substr(text, instr(text, char(10)) + 1), '') AS said"
    return (
        "CREATE TABLE parts (number INTEGER PRIMARY KEY, digest TEXT NOT NULL, text TEXT NOT NULL)",
        "CREATE INDEX digests ON parts (digest)",
        f"CREATE VIEW {table.name} AS SELECT {columns} "  # noqa: S608
        f"FROM (SELECT {said} FROM parts GROUP BY digest)",
    )


def _application(table: Table) -> int:
    """``PRAGMA application_id``: which kind of our files it is."""
    return zlib.crc32(f"nbagents {table.name}".encode()) & 0x7FFFFFFF


def _bits_between(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    [[value]] = connection.execute(f"PRAGMA {name}").fetchall()
    return int(value)


def _is_older(found: Iterable[str], table: Table) -> bool:
    """Whether it is of the first format, which had no version: a table with checksums."""
    columns = "".join(f", {name} (TEXT|INTEGER|REAL)" for name in table.columns)
    made = rf"CREATE TABLE {table.name} \(id TEXT PRIMARY KEY{columns}, crc INTEGER\) WITHOUT ROWID"
    return [bool(re.fullmatch(made, sql)) for sql in found] == [True]


def _checksum_of_older(values: Iterable[Any]) -> int:
    # SQLite writes a 2.0 as a 2, to save room.
    plain = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    return zlib.crc32(json.dumps(plain, default=repr).encode())
