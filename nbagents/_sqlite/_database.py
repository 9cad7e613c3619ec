"""A table in a file of its own."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from nbagents._sqlite._alone import is_at, note_closed, note_open
from nbagents._sqlite._connecting import begun, connect, copy_of
from nbagents._sqlite._forking import hold_at_forks
from nbagents._sqlite._mending import beside, mend
from nbagents._sqlite._records import Record, Row, Table, digest_of, newest, recorded, records_in
from nbagents._sqlite._schema import code_of, damage, insert, is_damage
from nbagents._warnings import warn
from nbagents.errors import ConfigurationError, DamagedFileWarning

__all__ = ["Database"]

T = TypeVar("T")

_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_EFFECTIVE = os.access in os.supports_effective_ids

_connecting: dict[str, threading.Lock] = {}
"""Of each file, held by the thread that connects: one that had the file open which another kernel
has mended meanwhile would share its log with one that has the new file open, and in one process no
lock is between them."""


class Database:
    """One table in a SQLite file; any thread and any fork may use it.

    The write-ahead log lets others read while one writes; what was written stands when the
    process is killed. Damage is told as a `DamagedFileWarning`, and what is left of the records
    put into a new file, beside which the damaged one stays under another name.

    Args:
        path: The file; it is made with the first use, its folder too. In a folder that cannot be
            written it is read as it is.
        table: The table.
    """

    def __init__(self, path: str | os.PathLike[str], table: Table) -> None:
        self._lock = threading.Lock()
        self._open: tuple[Path, sqlite3.Connection] | None = None
        self.path = Path(path).expanduser().absolute()
        self._table = table
        self._seen: os.stat_result | None = None
        hold_at_forks(self)

    def put(self, rows: Iterable[Row]) -> None:
        """Write rows, all or none; one with an id that is there replaces it.

        Raises:
            ConfigurationError: The file is no database of ours, or cannot be written.
        """
        records = [recorded(row, self._table) for row in rows]
        self._run(lambda connection: insert(begun(connection), records))

    def get(self, identity: str) -> Row | None:
        """The row of an id; None where there is none, or it is damaged.

        Raises:
            ConfigurationError: The file is no database of ours, or cannot be read.
        """
        rows = self._select("WHERE digest = ?", digest_of(identity))
        return rows[0] if rows else None

    def rows(self) -> list[Row]:
        """All rows, in the order of their ids; those that are damaged are left out, and told.

        Raises:
            ConfigurationError: The file is no database of ours, or cannot be read.
        """
        return sorted(self._select(""), key=lambda row: str(row[0]))

    def clear(self) -> None:
        """Delete all rows, and what the file still holds of them."""
        self._run(lambda connection: connection.execute("DELETE FROM parts"))
        self._run(lambda connection: connection.execute("VACUUM"))
        self._run(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)"))

    def close(self) -> None:
        """Close the file; a later use opens it again."""
        with self._lock:
            self._disconnect()

    def hold(self) -> None:
        """Close the file, and let no thread use it until it is let go."""
        self._lock.acquire()
        self._disconnect()

    def let_go(self) -> None:
        """Let it be used again."""
        self._lock.release()

    def __len__(self) -> int:
        count = "SELECT count(DISTINCT digest) FROM parts"
        [[number]] = self._run(lambda connection: connection.execute(count).fetchall())
        return int(number)

    def __bool__(self) -> bool:
        return True

    def __del__(self) -> None:
        self.close()

    def _select(self, which: str, *values: str) -> list[Row]:
        """The rows that are intact; when one is not, of what is left of the file."""

        def stored(connection: sqlite3.Connection) -> tuple[list[Record], bool]:
            texts = connection.execute(f"SELECT text FROM parts {which}", values).fetchall()  # noqa: S608
            records = records_in("\n".join(str(text) for [text] in texts).encode())
            return records, sum(len(record.parts) for record in records) == len(texts)

        def intact(connection: sqlite3.Connection) -> list[Record]:
            records, whole = stored(connection)
            if not whole:
                raise damage("the checksum of a record does not agree")
            return records

        try:
            records = self._run(intact)
        except ConfigurationError:  # it may not be mended now, as somebody else has it open
            records, is_whole = self._run(stored)
            if not is_whole:
                self._tell("a record is left out; the file is mended when no other kernel uses it")
        return [record.row(self._table) for record in newest(records).values()]

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._lock:
                try:
                    return self._tried(work)
                except (UnicodeDecodeError, sqlite3.DatabaseError) as error:
                    if not is_damage(error):
                        raise
                    self._mend()
                return self._tried(work)
        except (sqlite3.Error, UnicodeDecodeError, OSError, ValueError) as error:
            raise ConfigurationError(
                f"The database {self.path} {_said(error)}. {_advice(error)}"
            ) from error

    def _tried(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection()
        with connection:
            return work(connection)

    def _mend(self) -> None:
        """Put a file with what is left in its place, unless somebody else has just done it."""
        self._disconnect()
        path = Path(os.path.realpath(self.path))
        mended = mend(path, self._table, self._seen)
        if mended is not None:
            count, kept = mended
            self._tell(f"{count} records were found again; the old file is {kept.name}")

    def _tell(self, what: str) -> None:
        warn(f"The database {self.path} is damaged: {what}.", DamagedFileWarning)

    def _connection(self) -> sqlite3.Connection:
        if self._open and self._seen and not is_at(self._open[0], self._seen):
            self._disconnect()  # somebody has deleted it
        if self._open is None:
            path = Path(os.path.realpath(self.path))
            if path.exists() and not path.is_file():
                raise OSError("it is not a file")
            self._seen = None
            if beside(path, ".mended").exists() and _is_writable(path):
                self._mend()  # what did it before was stopped
            note_open(path)
            try:
                self._open = path, self._connect(path)
            except BaseException:
                note_closed(path)
                raise
        return self._open[1]

    def _disconnect(self) -> None:
        if self._open is not None:
            path, connection = self._open
            connection.close()
            note_closed(path)
            self._open = None

    def _connect(self, path: Path) -> sqlite3.Connection:
        if path.exists() and not _is_writable(path):
            return copy_of(path, self._table, self._tell)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _connecting.setdefault(str(path), threading.Lock()):
            while True:
                self._seen = _made(path)
                try:
                    return connect(path, self._table, self._tell, self._seen)
                except (sqlite3.Error, UnicodeDecodeError):
                    # While this one waited for its turn, another kernel may have mended the file.
                    if is_at(path, self._seen):
                        raise


def _made(path: Path) -> os.stat_result:
    """Which file it is; an empty one is made where there is none."""
    if not path.exists():
        sqlite3.connect(path).close()
    return path.stat()


def _is_writable(path: Path) -> bool:
    return all(os.access(one, os.W_OK, effective_ids=_EFFECTIVE) for one in (path, path.parent))


def _said(error: Exception) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    return f"cannot be used: {getattr(error, 'strerror', None) or error}"


def _advice(error: Exception) -> str:
    if isinstance(error, ConfigurationError):
        return "Use that, or give another path."
    if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
        return (
            "If it is one of ours, end the other kernels that use it, and it is mended; else give "
            "another path."
        )
    if code_of(error) in _NO_ROOM or getattr(error, "errno", None) == errno.ENOSPC:
        return "Make room on its disk, or give another path."
    return "Give another path."
