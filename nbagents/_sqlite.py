"""SQLite files that several kernels write to at once, and that survive the end of any of them."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbagents.errors import ConfigurationError

__all__ = ["Database"]

_PATIENCE = 15.0
"""Seconds to wait while another process writes."""


class Database:
    """A SQLite file with a connection per process; any thread may use it.

    The write-ahead log lets others read while one writes; what was written stands when the
    process is killed.

    Args:
        path: The file; it is made with the first statement, its folder too.
        schema: A statement that makes the table where it is not there.
    """

    def __init__(self, path: str | os.PathLike[str], schema: str) -> None:
        self.path = Path(path).expanduser().absolute()
        self._schema = schema
        self._lock = threading.Lock()
        self._open: tuple[int, sqlite3.Connection] | None = None

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement, and return its rows.

        Raises:
            ConfigurationError: The file is no database, or cannot be written.
        """
        return self._run(lambda connection: connection.execute(statement, values).fetchall())

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each of ``rows``, all or none of them."""
        self._run(lambda connection: connection.executemany(statement, rows).fetchall())

    def close(self) -> None:
        """Close the file; a later statement opens it again."""
        with self._lock:
            if self._open is not None and self._open[0] == os.getpid():
                self._open[1].close()
            self._open = None

    def __del__(self) -> None:
        self.close()

    def _run(self, work: Any) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                connection = self._connection()
                with connection:
                    rows: list[tuple[Any, ...]] = work(connection)
                    return rows
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                f"The database {self.path} cannot be used: {error}. Give another path, or delete "
                "the file."
            ) from error

    def _connection(self) -> sqlite3.Connection:
        # A connection must not be carried over a fork.
        if self._open is None or self._open[0] != os.getpid():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._open = os.getpid(), self._connect()
        return self._open[1]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, check_same_thread=False)
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                # SQLite does not wait when two processes turn the log on at once.
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                with connection:
                    connection.execute(self._schema)
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    connection.close()
                    raise
                time.sleep(0.02)
            except sqlite3.Error:
                connection.close()
                raise
            else:
                return connection
