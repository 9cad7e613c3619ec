"""The ledger in a file: what all kernels took and cost, across notebooks and days."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from nbagents._sqlite import Database
from nbagents.usage._frame import frame_of
from nbagents.usage._records import UsageRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LedgerFile"]

_NAMES = tuple(field.name for field in fields(UsageRecord))
_TYPES = {
    "cell": "INTEGER", "prompt_tokens": "INTEGER", "cached_tokens": "INTEGER",
    "completion_tokens": "INTEGER", "reasoning_tokens": "INTEGER", "cost": "REAL",
    "seconds": "REAL", "time_to_first_token": "REAL", "estimated": "INTEGER",
}  # fmt: skip
_COLUMNS = ", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in _NAMES)
_SCHEMA = f"CREATE TABLE IF NOT EXISTS requests (session TEXT, notebook TEXT, {_COLUMNS})"
_INSERT = f"INSERT INTO requests VALUES ({', '.join('?' * (2 + len(_NAMES)))})"  # noqa: S608

# One for each process: a kernel that is started anew is another session.
_session = f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


class LedgerFile:
    """A SQLite file of requests, which several kernels append to.

    Its one table, ``requests``, has the fields of `UsageRecord` as columns; times are ISO 8601 in
    UTC. Before them stand ``session``, the kernel's own, and ``notebook``.

    Args:
        path: The file; it is made with the first record.
        notebook: What to write as the notebook; by default the file that Jupyter says it runs.
    """

    def __init__(self, path: str | os.PathLike[str], notebook: str | None = None) -> None:
        self._database = Database(path, _SCHEMA)
        self._notebook = _notebook() if notebook is None else notebook

    def append(self, records: Iterable[UsageRecord]) -> None:
        """Write records.

        Raises:
            ConfigurationError: The file is no database, or cannot be written.
        """
        rows = [(_session, self._notebook, *_values(record)) for record in records]
        self._database.execute_many(_INSERT, rows)

    def read(self) -> pd.DataFrame:
        """Return what all kernels have written, in the order of the requests."""
        rows = self._database.execute("SELECT * FROM requests ORDER BY time, rowid")
        frame = frame_of([_record(row[2:]) for row in rows])
        for place, name in enumerate(("session", "notebook")):
            frame.insert(place, name, [row[place] for row in rows])
        return frame.astype({"session": "category", "notebook": "category"})

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _values(record: UsageRecord) -> list[Any]:
    values = [getattr(record, name) for name in _NAMES]
    return [value.isoformat() if isinstance(value, datetime) else value for value in values]


def _record(values: Iterable[Any]) -> UsageRecord:
    known = dict(zip(_NAMES, values, strict=True))
    known["time"] = datetime.fromisoformat(known["time"])
    known["estimated"] = bool(known["estimated"])
    return UsageRecord(**known)


def _notebook() -> str | None:
    """The notebook's file name, as Jupyter Server tells its kernels; None elsewhere."""
    name = os.environ.get("JPY_SESSION_NAME", "")
    return PurePath(name).name or None
