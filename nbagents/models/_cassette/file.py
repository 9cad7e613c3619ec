"""Adding to a cassette's file: whole records, from several kernels, whatever ends them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from secrets import token_hex

from nbagents._warnings import warn
from nbagents.errors import ConfigurationError, DamagedFileWarning
from nbagents.models._cassette.lines import LAST, line_in
from nbagents.models._cassette.locks import lock
from nbagents.models._cassette.tape import shown

__all__ = ["append", "begin_anew", "check_writable"]

_CHUNK = 4_096
_EFFECTIVE = os.access in os.supports_effective_ids


def append(path: Path, records: bytes, header: bytes) -> None:
    """Add whole records at the end of the file, which begins with ``header`` if it is new.

    Who writes at the same time waits. What a process that was stopped has left unfinished at the
    end is cut off, and told. When it fails, the file is as it was.

    Raises:
        ConfigurationError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _held(path) as (file, locked):
            size = os.fstat(file).st_size
            whole = _length_of_whole(file, size)
            is_cut = whole < size and locked
            if is_cut:
                os.ftruncate(file, whole)
                size = whole
            _write(file, size, _before(file, size, header) + records)
    except OSError as error:
        raise _unwritable(path, error) from error
    if is_cut:
        _tell_cut(path)


def begin_anew(path: Path, content: bytes) -> None:
    """Put a file with this content in the place of the one that is there.

    Raises:
        ConfigurationError: It cannot be written; what was there still is.
    """
    real = Path(os.path.realpath(path))  # not the link to it
    # A name that nobody foresees, and never an existing file: a link may lie in wait there.
    fresh = real.with_name(f"{real.name}.{token_hex(8)}.new")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        mode = real.stat().st_mode & 0o777 if real.exists() else 0o666
        with open(fresh, "xb", opener=partial(os.open, mode=mode)) as file:
            file.write(content)
        fresh.replace(real)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise _unwritable(path, error) from error


def check_writable(path: Path) -> None:
    """See that there can be something to write to, before a reply is paid for; nothing is made.

    Raises:
        ConfigurationError: There cannot.
    """
    try:
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
    except OSError as error:  # a folder that may not be looked into
        raise _unwritable(path, error) from error
    what = ("file", there.is_file()) if there == path else ("folder", there.is_dir())
    if not what[1]:
        raise _unwritable(path, OSError(0, f"{shown(there)} is not a {what[0]}"))
    if not os.access(there, os.W_OK, effective_ids=_EFFECTIVE):
        raise _unwritable(path, OSError(0, f"the {what[0]} {shown(there)} may not be written"))


@contextmanager
def _held(path: Path) -> Iterator[tuple[int, bool]]:
    """The open file that bears the name, and whether it is ours alone."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0))
        try:
            locked = lock(file)
            # While we waited, another one may have begun the file anew.
            if not locked or _is_at(path, file):
                yield file, locked
                return
        finally:
            os.close(file)


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _length_of_whole(file: int, size: int) -> int:
    """Where the unfinished record at the end begins; ``size`` where there is none."""
    if not size or _ends_record(_last_line(file, size)):
        return size
    end = size
    for line in reversed(_read(file, 0, size).splitlines(keepends=True)):
        # A line that is finished, but cannot be read, was not torn by a process that stopped.
        if line.endswith(b"\n") and (_ends_record(line) or not line_in(0, line.strip()).kind):
            break
        end -= len(line)
    return end


def _ends_record(line: bytes) -> bool:
    return line_in(0, line.strip()).kind in LAST


def _last_line(file: int, size: int) -> bytes:
    start = max(0, size - _CHUNK)
    while True:
        data = _read(file, start, size).removesuffix(b"\n")
        if b"\n" in data or not start:
            return data.rpartition(b"\n")[2]
        start = max(0, size - 4 * (size - start))


def _read(file: int, start: int, end: int) -> bytes:
    os.lseek(file, start, os.SEEK_SET)
    data = b""
    while len(data) < end - start and (more := os.read(file, end - start - len(data))):
        data += more
    return data


def _before(file: int, size: int, header: bytes) -> bytes:
    """What has to stand before a new record."""
    if not size:
        return header
    return b"" if _read(file, size - 1, size) == b"\n" else b"\n"


def _write(file: int, size: int, data: bytes) -> None:
    """Write all of it behind the first ``size`` bytes, or nothing."""
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise


def _tell_cut(path: Path) -> None:
    warn(
        f"The last record of the cassette {shown(path)} was unfinished, as the process that wrote "
        "it was stopped; it has been cut off.",
        DamagedFileWarning,
    )


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The cassette {shown(path)} cannot be written: {error.strerror}. Choose another file, or "
        "take the cassette out."
    )
