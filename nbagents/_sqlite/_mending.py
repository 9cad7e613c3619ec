"""Making a damaged file whole again; the damaged one stays beside it, under another name."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterable
from contextlib import closing
from itertools import chain, count
from pathlib import Path

from nbagents._sqlite._alone import alone_with
from nbagents._sqlite._records import Record, Table, newest, records_in
from nbagents._sqlite._schema import PAGE, insert, make

__all__ = ["beside", "bytes_of", "mend", "missing", "torn"]

# The beginning of the log and of each page in it: https://sqlite.org/fileformat2.html#walformat
_LOG_HEADER, _PAGE = 32, 24 + PAGE


def beside(path: Path, ending: str) -> Path:
    """The file with this ending after the other's name."""
    return path.with_name(path.name + ending)


def bytes_of(path: Path) -> bytes:
    """What a file holds; nothing where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:  # which another kernel may just have put away
        return b""


def torn(log: bytes, pages: int) -> tuple[bytes, bool]:
    """What stands in the log behind the ``pages`` that SQLite believes.

    Returns:
        The pages that stand there, and whether a transaction ends with one of them: if none does,
        a killed process had not finished writing, and nobody has been told that it is kept.
    """
    whole = range(_LOG_HEADER, len(log) - _PAGE + 1, _PAGE)
    begun = log[16:24] if _is_sound(log[:_LOG_HEADER]) else log[_LOG_HEADER + 8 :][:8]
    # What was there before the log was begun anew bears two other numbers. It stands in the
    # database by now, or was deleted there.
    ours = [
        start
        for start in whole[pages:]
        if log[start + 8 : start + 12] == begun[:4] or log[start + 12 : start + 16] == begun[4:]
    ]
    ends = any(any(log[start + 4 : start + 8]) for start in ours)
    return b"".join(log[start : start + _PAGE] for start in ours), ends


def _is_sound(header: bytes) -> bool:
    """Whether the checksum of the log's beginning agrees."""
    if len(header) < _LOG_HEADER:
        return False
    [magic] = struct.unpack(">I", header[:4])
    one = other = 0
    for first, second in struct.iter_unpack(">2I" if magic & 1 else "<2I", header[:24]):
        one = (one + first + other) % 2**32
        other = (other + second + one) % 2**32
    return header[24:] == struct.pack(">2I", one, other)


def missing(connection: sqlite3.Connection, data: bytes) -> list[Record]:
    """The records in ``data`` of which the database has none, or an older one."""
    found = newest(records_in(data))
    return [
        record
        for digest, record in found.items()
        if not connection.execute(
            "SELECT 1 FROM parts WHERE digest = ? AND text >= ?", (digest, record.parts[0][:33])
        ).fetchone()
    ]


def mend(path: Path, table: Table, seen: os.stat_result | None) -> tuple[int, Path] | None:
    """Put a file with all that can be read of a damaged one in its place.

    Each step leaves files in which everything is found again when the process ends there.

    Args:
        path: The file.
        table: What it holds.
        seen: Which file it was that was damaged; None for whichever, if mending it was stopped.

    Returns:
        How many records there are, and where the damaged file is; None when there are none, or
        somebody else has it open.

    Raises:
        OSError: There is no room for it, for example. The file is as it was.
    """
    fresh, log = beside(path, ".mended"), beside(path, "-wal")
    with alone_with(path, seen) as file:
        if file is None or (seen is None and not fresh.exists()):  # somebody else has just done it
            return None
        database = _read(file)
        records = newest(
            [*records_in(bytes_of(fresh)), *records_in(database), *records_in(bytes_of(log))]
        )
        if not records:
            return None
        mode = os.fstat(file).st_mode & 0o777
        _make(fresh, table, records.values(), mode)
        kept = _unused(path)
        try:
            _make_empty(kept, mode)
            kept.write_bytes(database)
        except OSError:
            kept.unlink(missing_ok=True)
            raise
        if log.exists():  # before the new file is there, to which SQLite would apply it
            log.replace(beside(kept, "-wal"))
        beside(path, "-shm").unlink(missing_ok=True)
        fresh.replace(path)
    return len(records), kept


def _make(path: Path, table: Table, records: Iterable[Record], mode: int) -> None:
    draft = beside(path, f".{os.urandom(8).hex()}")
    try:
        _make_empty(draft, mode)
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute(f"PRAGMA page_size={PAGE}")
            with connection:
                connection.execute("BEGIN")
                make(connection, table)
                insert(connection, records)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _make_empty(path: Path, mode: int) -> None:
    """A file where nothing is yet, not even a link to elsewhere; and who may read it."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))


def _unused(path: Path) -> Path:
    """Another name for the file, which no file has yet."""
    endings = chain([".damaged"], (f".damaged-{number}" for number in count(2)))
    return next(name for end in endings if not os.path.lexists(name := beside(path, end)))


def _read(file: int) -> bytes:
    with open(file, "rb", closefd=False) as stream:
        stream.seek(0)
        return stream.read()
