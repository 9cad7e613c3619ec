"""The ledger in a file: what all kernels took and cost, across notebooks and days."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from nbagents._sqlite import Database, Row, Table
from nbagents._warnings import warn
from nbagents.errors import ConfigurationError, DamagedFileWarning
from nbagents.usage._frame import frame_of
from nbagents.usage._records import UsageRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LedgerFile"]

_NAMES = tuple(field.name for field in fields(UsageRecord))
_MOST = 2**63 - 1
_FIRST, _LAST = 1_678, 2_261  # years that pandas can tell by the nanosecond
_TABLE = Table("requests", ("session", "notebook", *_NAMES))

# One for each process: a kernel that is started anew is another session.
_session = f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


class LedgerFile:
    """A SQLite file of requests, which several kernels append to.

    Its view ``requests``, for other programs, has the fields of `UsageRecord` as columns; times are
    ISO 8601 in UTC. Before them stand an ``id``, ``session``, the kernel's own, and ``notebook``.

    Args:
        path: The file; it is made with the first record.
        notebook: What to write as the notebook; by default the file that Jupyter says it runs.
    """

    def __init__(self, path: str | os.PathLike[str], notebook: str | None = None) -> None:
        self._database = Database(path, _TABLE)
        self._notebook = _notebook() if notebook is None else notebook
        # Without a lock: a thread holds it while it writes, and a fork would find it held for ever.
        self._waiting: dict[str, Row] = {}

    def append(self, records: Iterable[UsageRecord]) -> None:
        """Write records, and those that could not be written before.

        Raises:
            ConfigurationError: The file is no database of ours, or cannot be written. The records
                wait for the next call.
        """
        self._waiting.update({row[0]: row for row in map(self._row_of, records)})
        rows = [*self._waiting.values()]
        self._database.put(rows)  # what another thread writes, too, is there once
        for row in rows:
            self._waiting.pop(row[0], None)

    def read(self) -> pd.DataFrame:
        """Return what all kernels have written, in the order of the requests."""
        rows = self._database.rows()
        kept = [kept for row in rows if (kept := _kept(row))]
        if len(kept) < len(rows):
            warn(
                f"{len(rows) - len(kept)} records of {self._database.path} are not what nbagents "
                "writes, and are left out.",
                DamagedFileWarning,
            )
        kept.sort(key=lambda each: (each.record.time, each.identity))
        frame = frame_of([each.record for each in kept])
        frame.insert(0, "session", [each.session for each in kept])
        frame.insert(1, "notebook", [each.notebook for each in kept])
        return frame.astype({"session": "category", "notebook": "category"})

    def close(self) -> None:
        """Close the file."""
        if self._waiting:
            with suppress(ConfigurationError):
                self.append([])
        self._database.close()

    def _row_of(self, record: UsageRecord) -> Row:
        identity = f"{time.time_ns():x}-{uuid.uuid4().hex[:12]}"
        return (identity, _session, self._notebook, *_values(record))


def _values(record: UsageRecord) -> list[Any]:
    values = [getattr(record, name) for name in _NAMES]
    return [value.isoformat() if isinstance(value, datetime) else value for value in values]


@dataclass(frozen=True)
class _Kept:
    """A record as it is kept."""

    identity: str
    session: str | None
    notebook: str | None
    record: UsageRecord


def _kept(row: Row) -> _Kept | None:
    """What was kept in a row; None when it is not what we write."""
    record = dict(zip(_NAMES, row[3:], strict=True))
    record["estimated"] = bool(record["estimated"])
    try:
        names = ("identity", "session", "notebook", "record")
        kept = _adapter().validate_python(dict(zip(names, (*row[:3], record), strict=True)))
    except (ValidationError, TypeError):
        return None
    fits = all(abs(value) <= _MOST for value in record.values() if isinstance(value, int))
    return kept if fits and _FIRST <= kept.record.time.year <= _LAST else None


@cache
def _adapter() -> TypeAdapter[_Kept]:
    return TypeAdapter(_Kept)


def _notebook() -> str | None:
    """The notebook's file name, as Jupyter Server tells its kernels; None elsewhere."""
    name = os.environ.get("JPY_SESSION_NAME", "")
    return PurePath(name).name or None
