"""Connections to a file: set up, checked, and with all that a stopped process has left."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Container
from contextlib import closing
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from nbagents._sqlite._alone import is_at
from nbagents._sqlite._mending import beside, bytes_of, missing, torn
from nbagents._sqlite._records import Table, newest, records_in
from nbagents._sqlite._schema import (
    PAGE,
    busy,
    code_of,
    damage,
    examine,
    insert,
    is_damage,
    make,
    migrate,
)

__all__ = ["begun", "connect", "copy_of"]

Tell: TypeAlias = Callable[[str], None]

_PATIENCE = 15.0
"""Seconds to wait while another process writes."""

_LOOKS = 5
"""How often a file that cannot be locked is looked at when it changes meanwhile."""

_CHECKED = 64 * 2**20
"""Bytes up to which a file is checked as a whole when it is opened: some 0.2 s."""


def connect(path: Path, table: Table, tell: Tell, seen: os.stat_result) -> sqlite3.Connection:
    """A connection to a file, which may be empty.

    Args:
        path: The file.
        table: What it is to hold.
        tell: Called with what was wrong with its log.
        seen: Which file it is to be.

    Raises:
        ConfigurationError: It is of a newer nbagents.
        sqlite3.Error: It is damaged, holds something else, cannot be used, or another file has
            taken its place.
    """
    connection = sqlite3.connect(path, timeout=_PATIENCE, check_same_thread=False)
    connection.text_factory = _text
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            _set_up(connection, path, table, tell, seen)
        except sqlite3.OperationalError as error:
            # SQLite does not wait when two processes turn the log on at once, or take it over.
            if code_of(error) == sqlite3.SQLITE_BUSY and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            connection.close()
            if code_of(error) == sqlite3.SQLITE_READONLY:  # the file says so, which is not ours
                raise damage(str(error)) from error
            raise
        except BaseException:
            connection.close()
            raise
        return connection


def copy_of(path: Path, table: Table, tell: Tell) -> sqlite3.Connection:
    """What can be read of a file that may not be written: in memory, and not to be changed.

    Raises:
        ConfigurationError: It is of a newer nbagents.
        sqlite3.Error: It holds something else.
    """
    for _ in range(_LOOKS):
        stored = _stored(path)
        records = newest(records_in(stored))
        error = _wrong_with(path, table, records)
        if error is None or (is_quiet := stored == _stored(path)):
            break
    if error is not None:
        if not (is_damage(error) and records):
            raise error
        if is_quiet:
            tell(f"{len(records)} records can be read")
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    with connection:
        make(begun(connection), table)
        insert(connection, records.values())
    connection.execute("PRAGMA query_only=ON")
    return connection


def _stored(path: Path) -> bytes:
    """All bytes, of the log first: what is taken over from it meanwhile is in the file then."""
    log = beside(path, "-wal")
    return bytes_of(log) + path.read_bytes() + bytes_of(log)


def _wrong_with(path: Path, table: Table, records: Container[str]) -> Exception | None:
    """What is wrong with the file, or seems so while somebody writes; None when nothing is."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?immutable=1", uri=True)) as stored:
        stored.text_factory = _text
        try:
            if examine(stored, table, may_be_older=False) == "ours":
                _check(stored, path)
                digests = stored.execute("SELECT digest FROM parts")
                if any(digest not in records for [digest] in digests):
                    return damage("the checksum of a record does not agree")
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            return error
    return None


def begun(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection within a transaction that may write, and that nobody can come before."""
    connection.execute("BEGIN IMMEDIATE")
    return connection


def _set_up(
    connection: sqlite3.Connection, path: Path, table: Table, tell: Tell, seen: os.stat_result
) -> None:
    with connection:  # before anything is changed, and while nobody else changes it
        connection.execute("BEGIN")
        examine(connection, table)
    connection.execute(f"PRAGMA page_size={PAGE}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    with connection:
        begun(connection)
        # From here on nobody else puts another file in its place; who has just done so has the log.
        if not is_at(path, seen):
            raise sqlite3.DatabaseError("another file has taken its place")
        kind = examine(connection, table)
        if kind == "empty":
            make(connection, table)
        elif kind == "older":
            migrate(connection, table)
        changed = _put_back(connection, path, tell)
    if changed:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _check(connection, path)


def _put_back(connection: sqlite3.Connection, path: Path, tell: Tell) -> bool:
    """Write what stands in the log of a stopped process behind the place where it is torn.

    SQLite stops to believe it there, without a word. Nobody else writes meanwhile.
    """
    log = bytes_of(beside(path, "-wal"))
    if not log:
        return False
    with closing(sqlite3.connect(path)) as other:
        [[is_busy, pages, _]] = other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    if is_busy:  # another process does the same, and how many pages are sound is not known
        raise busy("another process takes its log over")
    rest, is_torn = torn(log, pages)
    lost = missing(connection, rest)
    insert(connection, lost)
    if is_torn:
        tell(f"its log was torn; {len(lost)} records were found again behind that place")
    return is_torn or bool(lost)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """See that the file is sound as a whole, which reading some of it would not tell.

    Raises:
        sqlite3.DatabaseError: It is not.
    """
    if path.stat().st_size <= _CHECKED:
        [[found], *_] = connection.execute("PRAGMA integrity_check(1)").fetchall()
        if found != "ok":
            raise damage(str(found))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
