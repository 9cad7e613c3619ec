"""A table in a file of its own."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from nbagents._sqlite._alone import note_closed, note_open
from nbagents._sqlite._log import PAGE
from nbagents._sqlite._mending import mend, rows_in_torn_log
from nbagents._sqlite._rows import Row, Table, is_intact, sealed, unsealed
from nbagents.errors import ConfigurationError, DamagedFileWarning

__all__ = ["Database"]

T = TypeVar("T")

_PATIENCE = 15.0
"""Seconds to wait while another process writes."""

_CHECKED = 64 * 2**20
"""Bytes up to which a file is checked as a whole when it is opened: some 0.2 s."""

_OUT_OF_ORDER = (
    "SELECT 1 FROM (SELECT id, lag(id) OVER () AS before FROM {}) WHERE before >= id LIMIT 1"
)
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_EFFECTIVE = os.access in os.supports_effective_ids


class Database:
    """One table in a SQLite file, with a connection per process; any thread may use it.

    The write-ahead log lets others read while one writes; what was written stands when the
    process is killed. Damage is told as a `DamagedFileWarning`, and what is left of the rows
    written into a new file, beside which the damaged one stays.

    Args:
        path: The file; it is made with the first use, its folder too. In a folder that cannot be
            written it is read as it is.
        table: The table.
    """

    def __init__(self, path: str | os.PathLike[str], table: Table) -> None:
        self.path = Path(path).expanduser().absolute()
        self._table = table
        self._lock = threading.Lock()
        self._open: tuple[int, sqlite3.Connection] | None = None

    def put(self, rows: Sequence[Row]) -> None:
        """Write rows, all or none; one with an id that is there replaces it.

        Raises:
            ConfigurationError: The file is no database of ours, or cannot be written.
        """
        places = ", ".join("?" * self._table.width)
        statement = f"INSERT OR REPLACE INTO {self._table.name} VALUES ({places})"  # noqa: S608
        values = [sealed(row) for row in rows]
        self._run(lambda connection: connection.executemany(statement, values))

    def get(self, identity: str) -> Row | None:
        """The row of an id; None where there is none, or it is damaged.

        Raises:
            ConfigurationError: The file is no database of ours, or cannot be read.
        """
        rows = self._select("WHERE id = ?", identity)
        return rows[0] if rows else None

    def rows(self) -> list[Row]:
        """All rows, in the order of their ids; those that are damaged are left out, and told.

        Raises:
            ConfigurationError: The file is no database of ours, or cannot be read.
        """
        return self._select("ORDER BY id")

    def clear(self) -> None:
        """Delete all rows, and what the file still holds of them."""
        self._run(lambda connection: connection.execute(f"DELETE FROM {self._table.name}"))  # noqa: S608
        self._run(lambda connection: connection.execute("VACUUM"))
        self._run(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)"))

    def close(self) -> None:
        """Close the file; a later use opens it again."""
        with self._lock:
            self._disconnect()

    def __len__(self) -> int:
        [[count]] = self._run(
            lambda connection: connection.execute(
                f"SELECT count(*) FROM {self._table.name}"  # noqa: S608
            ).fetchall()
        )
        return int(count)

    def __bool__(self) -> bool:
        return True

    def __del__(self) -> None:
        self.close()

    def _select(self, which: str, *values: str) -> list[Row]:
        """The rows that are intact; when one is not, of what is left of the file."""
        statement = f"SELECT * FROM {self._table.name} {which}"  # noqa: S608

        def stored(connection: sqlite3.Connection) -> list[Row]:
            return connection.execute(statement, values).fetchall()

        def intact(connection: sqlite3.Connection) -> list[Row]:
            rows = stored(connection)
            if not all(map(is_intact, rows)):
                raise _damage("the checksum of a record does not agree")
            return rows

        try:
            rows = self._run(intact)
        except DamagedFileWarning:
            raise
        except ConfigurationError:  # it is not to be mended now: somebody else has it open
            rows = list(filter(is_intact, self._run(stored)))
            self._tell("a record is left out, and the file is mended when no other kernel uses it")
        return [unsealed(row) for row in rows]

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._lock:
                try:
                    return self._tried(work)
                except UnicodeDecodeError as error:  # SQLite quotes a damaged schema in its error
                    self._mend(_damage(str(error)))
                except sqlite3.DatabaseError as error:
                    if not _is_damage(error):
                        raise
                    self._mend(error)
                return self._tried(work)
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                f"The database {self.path} cannot be used: {error}. {_advice(error)}"
            ) from error

    def _tried(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection()
        with connection:
            return work(connection)

    def _mend(self, error: sqlite3.DatabaseError) -> None:
        """Write the file anew from what is left of it.

        Raises:
            sqlite3.DatabaseError: Nothing is left, or somebody else has the file open.
        """
        self._disconnect()
        count = mend(self.path, self._table)
        if not count:
            raise error
        self._tell(f"{count} records were found again; the old file is {self.path.name}.damaged")

    def _tell(self, what: str) -> None:
        warnings.warn(
            f"The database {self.path} is damaged: {what}.", DamagedFileWarning, stacklevel=5
        )

    def _connection(self) -> sqlite3.Connection:
        # A connection must not be carried over a fork.
        if self._open is None or self._open[0] != os.getpid():
            self._open = os.getpid(), self._connect()
            note_open(self.path)
        return self._open[1]

    def _disconnect(self) -> None:
        if self._open is not None and self._open[0] == os.getpid():
            self._open[1].close()
            note_closed(self.path)
        self._open = None

    def _connect(self) -> sqlite3.Connection:
        if self.path.exists() and not os.access(
            self.path.parent, os.W_OK, effective_ids=_EFFECTIVE
        ):
            address = f"file:{quote(str(self.path))}?immutable=1"
            connection = sqlite3.connect(address, uri=True, check_same_thread=False)
            connection.text_factory = _text
            self._look_for_code(connection)
            return connection
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torn = rows_in_torn_log(self.path, self._table)
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, check_same_thread=False)
        connection.text_factory = _text
        try:
            self._set_up(connection)
            self._check(connection)
            if torn is not None:
                self._put_back(connection, torn)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self._look_for_code(connection)
                connection.execute(f"PRAGMA page_size={PAGE}")
                # SQLite does not wait when two processes turn the log on at once.
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                with connection:
                    connection.execute(self._table.schema)
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _look_for_code(self, connection: sqlite3.Connection) -> None:
        """See that the file is new, or our table and nothing else: SQL in it would run when used.

        Raises:
            sqlite3.DatabaseError: It is not. What somebody has put beside the table is no damage,
                to be mended away.
        """
        found = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
        if found in ([], [(self._table.schema.replace("IF NOT EXISTS ", ""),)]):
            return
        what = f"it holds something other than the table {self._table.name}"
        raise _damage(what) if len(found) == 1 else sqlite3.DatabaseError(what)

    def _check(self, connection: sqlite3.Connection) -> None:
        """See that the file is sound as a whole, which reading some of it would not tell.

        Raises:
            sqlite3.DatabaseError: It is not.
        """
        if self.path.stat().st_size <= _CHECKED:
            [[found]] = connection.execute("PRAGMA quick_check(1)").fetchall()
            if found != "ok":
                raise _damage(found)
            if connection.execute(_OUT_OF_ORDER.format(self._table.name)).fetchone():
                raise _damage("records are out of order")

    def _put_back(self, connection: sqlite3.Connection, logged: dict[str, Row]) -> None:
        """Write what stands in the log, but not for SQLite, which stops where it is torn."""
        there = f"SELECT 1 FROM {self._table.name} WHERE id = ?"  # noqa: S608
        lost = [row for row in logged.values() if not connection.execute(there, row[:1]).fetchone()]
        places = ", ".join("?" * self._table.width)
        with connection:
            connection.executemany(
                f"INSERT OR IGNORE INTO {self._table.name} VALUES ({places})",  # noqa: S608
                map(sealed, lost),
            )
        self._tell(f"its log was torn; {len(lost)} records were found again behind that place")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _damage(what: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _code(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_damage(error: sqlite3.Error) -> bool:
    return _code(error) in _DAMAGE


def _advice(error: BaseException) -> str:
    if isinstance(error, sqlite3.DatabaseError) and _is_damage(error):
        return (
            "If it is one of ours, end the other kernels that use it, and it is mended; else give "
            "another path."
        )
    if _code(error) in _NO_ROOM:
        return "Make room on its disk, or give another path."
    return "Give another path."
