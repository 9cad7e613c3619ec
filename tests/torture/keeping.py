"""Trying to make kept records go away: ``python -m tests.torture.keeping SHARE SEED FOLDER``.

A process of its own, because it forks at every turn: a child that is to be killed must cost next
to nothing, and a process with threads must not be forked. Each figure is a line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from nbagents.errors import DamagedFileWarning
from tests.torture import refusing
from tests.torture.figures import Figure, Scale
from tests.torture.stores import KINDS, Kind

KILLS, WRITERS, RECORDS, FLIPS = 1_000, 4, 10_000, 2_000
KILLS_PER_FILE = 20
LATEST = 0.012  # seconds until a kill, and a little more: a child needs some 3 ms to begin
SIZES = (100, 100, 100, 5_000, 5_000, 700_000)


def figures(scale: Scale, folder: Path) -> Iterator[Figure]:
    """All of them, for each kind of file."""
    for kind in KINDS:
        chance = random.Random(scale.seed)
        yield from killed(kind, scale, folder, chance)
        yield from crowded(kind, scale, folder)
        yield from flipped(kind, scale, folder, chance)
    yield from torn(scale, folder, random.Random(scale.seed))
    yield from refusing.figures(folder)


def killed(kind: Kind, scale: Scale, folder: Path, chance: random.Random) -> Iterator[Figure]:
    """``kill -9`` at random moments, some of them on a file that the one before left torn."""
    kills, acknowledged, lost, unreadable, told = scale.of(KILLS), 0, 0, 0, 0
    for number in range(kills):
        if number % KILLS_PER_FILE == 0:
            path, known = _place(folder, kind), set[str]()
        known |= _killed_writer(kind, path, number, chance)
        acknowledged += sum(name.startswith(f"{number}-") for name in known)
        try:
            there, tells = kind.read(path) if path.exists() else ({}, [])
        except Exception as error:
            print(f"{kind.name}: {error!r}", file=sys.stderr)
            unreadable += 1
            continue
        told += bool(tells)
        lost += len(known - there.keys())
        known &= there.keys()
    what = f"{kills:,} writers of {kind.name} killed at random moments"
    yield Figure(f"{what}: files that cannot be read", unreadable, 0)
    yield Figure(f"{what}, {told} torn tails told: lost of {acknowledged:,} records", lost, 0)


def _killed_writer(kind: Kind, path: Path, number: int, chance: random.Random) -> set[str]:
    """The names that a writer acknowledged before it was killed."""
    texts = ["x" * chance.choice(SIZES) for _ in range(50)]
    listener, speaker = os.pipe()

    def work() -> None:
        write = kind.writer(path)
        for turn in range(1_000_000):
            write(f"{number}-{turn}", texts[turn % len(texts)])
            os.write(speaker, f"{number}-{turn}\n".encode())

    child = _forked(work)
    os.close(speaker)
    time.sleep(chance.uniform(0, LATEST))
    if chance.random() < 0.7:  # at a moment of the writing, however long it took to begin
        select.select([listener], [], [], 1)
        time.sleep(chance.uniform(0, LATEST / 4))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(listener, "rb") as said:
        return set(said.read().decode().split())


def crowded(kind: Kind, scale: Scale, folder: Path) -> Iterator[Figure]:
    """Several processes that write to one file at once."""
    path, count = _place(folder, kind), scale.of(RECORDS)

    def work(writer: int) -> Callable[[], None]:
        def write_all() -> None:
            write = kind.writer(path)
            for turn in range(count):
                write(f"{writer}-{turn}", "x" * 50)

        return write_all

    started = time.monotonic()
    children = [_forked(work(writer)) for writer in range(WRITERS)]
    failed = sum(os.waitpid(child, 0)[1] != 0 for child in children)
    took = time.monotonic() - started
    there, _ = kind.read(path)
    expected = {f"{writer}-{turn}" for writer in range(WRITERS) for turn in range(count)}
    what = f"{WRITERS} processes with {count:,} records each for one of the {kind.name}"
    yield Figure(f"{what} ({took:.0f} s): processes that failed", failed, 0)
    yield Figure(f"{what}: lost", len(expected - there.keys()), 0)


def flipped(kind: Kind, scale: Scale, folder: Path, chance: random.Random) -> Iterator[Figure]:
    """A bit flipped in a file, and for a database in the log that a killed process left."""
    path = _place(folder, kind)
    write = kind.writer(path)
    for turn in range(40):
        write(f"flip-{turn}", f"{turn}" * (40 if turn % 10 else 700))
    logged = path.with_name(f"{path.name}-wal")
    if logged.exists():
        copy = _place(folder, kind)
        for one in (path, logged):
            shutil.copy(one, copy.with_name(one.name))
        del write
        yield from _flips(kind, copy, copy.with_name(logged.name), scale, chance)
    write = None
    whole, _ = kind.read(path)
    assert len(whole) == 40
    yield from _flips(kind, path, path, scale, chance)


def _flips(
    kind: Kind, path: Path, hit: Path, scale: Scale, chance: random.Random
) -> Iterator[Figure]:
    files = {one: one.read_bytes() for one in path.parent.iterdir()}
    data = files[hit]
    whole = _read_copy(kind, path, files)[0]
    count = min(len(data), scale.of(FLIPS))
    silent = unreadable = most = 0
    for place in chance.sample(range(len(data)), count):
        spoilt = bytearray(data)
        spoilt[place] ^= 1 << chance.randrange(8)
        try:
            there, told = _read_copy(kind, path, files | {hit: bytes(spoilt)})
        except Exception as error:
            print(f"{kind.name}: byte {place} of {hit.name}: {error!r}", file=sys.stderr)
            unreadable += 1
            continue
        same = {name for name, text in whole.items() if there.get(name) == text}
        most = max(most, len(whole) - len(same))
        if there != whole and not told:
            print(f"{kind.name}: byte {place} of {hit.name} is not told", file=sys.stderr)
            silent += 1
    which = "logs of killed writers of " if hit != path else ""
    what = f"a bit flipped at {count:,} of the {len(data):,} bytes of {which}{kind.name}"
    yield Figure(f"{what}: not told, and the records not the same", silent, 0)
    yield Figure(f"{what}: files that cannot be read", unreadable, 0)
    yield Figure(f"{what}: most records lost by one", most, 2)


def _read_copy(
    kind: Kind, path: Path, files: dict[Path, bytes]
) -> tuple[dict[str, str], list[str]]:
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    for one, content in files.items():
        if not one.name.endswith("-shm"):
            one.write_bytes(content)
    return kind.read(path)


def torn(scale: Scale, folder: Path, chance: random.Random) -> Iterator[Figure]:
    """A cassette cut anywhere; then somebody records into it again."""
    kind = KINDS[0]
    path = _place(folder, kind)
    write = kind.writer(path)
    ends = [0]
    for turn in range(20):
        write(f"{turn}", "x" * 300)
        ends.append(path.stat().st_size)
    data = path.read_bytes()
    count = min(len(data), scale.of(FLIPS))
    lost = still_torn = 0
    for place in chance.sample(range(len(data)), count):
        path.write_bytes(data[:place])
        known = {f"{turn}" for turn in range(20) if ends[turn + 1] <= place}
        with _quiet():
            kind.writer(path)("new", "x")
        there, told = kind.read(path)
        lost += len((known | {"new"}) - there.keys())
        still_torn += bool(told)
    what = f"a cassette cut at {count:,} places, and recorded into again"
    yield Figure(f"{what}: whole records lost", lost, 0)
    yield Figure(f"{what}: still torn", still_torn, 0)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedFileWarning)
        yield


_count = 0


def _place(folder: Path, kind: Kind) -> Path:
    """Where a new file may be, in a folder of its own."""
    global _count
    _count += 1
    path = folder / f"{_count}" / kind.file
    path.parent.mkdir()
    return path


def _forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        with _quiet():
            work()
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)


def main() -> None:
    """Print a line for each figure."""
    share, seed, folder = sys.argv[1:]
    for figure in figures(Scale(float(share), int(seed)), Path(folder)):
        print(json.dumps(asdict(figure)), flush=True)


if __name__ == "__main__":
    main()
