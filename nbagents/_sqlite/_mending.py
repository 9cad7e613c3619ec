"""Making a damaged file whole again, from what can be read of it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from nbagents._sqlite._alone import alone_with
from nbagents._sqlite._log import PAGE, is_torn
from nbagents._sqlite._rows import Row, Table, sealed
from nbagents._sqlite._salvage import rows_left_in

__all__ = ["beside", "mend", "rows_in_torn_log"]


def beside(path: Path, ending: str) -> Path:
    """The file with this ending after the other's name."""
    return path.with_name(path.name + ending)


def rows_in_torn_log(path: Path, table: Table) -> dict[str, Row] | None:
    """The rows in the log of a stopped process, if SQLite will not believe all of it; else None.

    None too while somebody else uses the file.
    """
    log = beside(path, "-wal")
    if not _bytes_of(log):
        return None
    with alone_with(path) as file:
        if file is None or not is_torn(_bytes_of(log)):
            return None
        return rows_left_in(_read(file), _bytes_of(log), table.width)


def mend(path: Path, table: Table) -> int | None:
    """Write a damaged file anew with the rows that can be read; the old one is kept beside it.

    Returns:
        How many there are; None when somebody else has the file open.

    Raises:
        OSError: There is no room for it, for example. The file is as it was.
    """
    with alone_with(path) as file:
        if file is None:
            return None
        database, log = _read(file), _bytes_of(beside(path, "-wal"))
        fresh = beside(path, ".mended")
        # What an earlier attempt made, if it was stopped in the middle of the last step.
        rows = rows_left_in(_bytes_of(fresh), b"", table.width)
        rows |= rows_left_in(database, log, table.width)
        if not rows:
            return 0
        for ending, content in ((".damaged", database), (".damaged-wal", log)):
            if content:
                beside(path, ending).write_bytes(content)
        _make(fresh, table, rows.values())
        for ending in ("-wal", "-shm"):
            beside(path, ending).unlink(missing_ok=True)
        _overwrite(file, fresh.read_bytes())
        fresh.unlink()
    return len(rows)


def _make(path: Path, table: Table, rows: Iterable[Row]) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size={PAGE}")
        with connection:
            connection.execute(table.schema)
            statement = f"INSERT INTO {table.name} VALUES ({', '.join('?' * table.width)})"  # noqa: S608
            connection.executemany(statement, map(sealed, rows))
        connection.execute("PRAGMA journal_mode=WAL")


def _bytes_of(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _read(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    data = b""
    while part := os.read(file, 1 << 24):
        data += part
    return data


def _overwrite(file: int, data: bytes) -> None:
    # In its place: who is about to connect has opened this very file.
    os.lseek(file, 0, os.SEEK_SET)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.ftruncate(file, len(data))
    os.fsync(file)
