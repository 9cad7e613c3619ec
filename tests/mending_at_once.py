"""Processes that find the same file damaged at the same moment: run by ``test_sqlite.py``."""

from __future__ import annotations

import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nbagents._sqlite import Database, Table
from nbagents._sqlite._schema import PAGE

ROUNDS, KERNELS, THREADS, RECORDS = 12, 4, 2, 300
TABLE = Table("things", ("word",))


def damaged(folder: Path, number: int) -> Path:
    """A file with records whose first page of them is spoilt."""
    path = folder / f"{number}.sqlite"
    database = Database(path, TABLE)
    database.put([(f"{turn}", "x" * 100) for turn in range(RECORDS)])
    database.close()
    with path.open("r+b") as file:
        file.seek((number % 3) * PAGE)
        file.write(b"\xff" * 8)
    return path


def work(path: Path, kernel: int, start: int) -> None:
    """Wait for the start; then write from several threads, and read what the others wrote."""
    os.read(start, 1)

    def write(thread: int) -> None:
        database = Database(path, TABLE)
        for turn in range(5):
            database.put([(f"{kernel}-{thread}-{turn}", "y")])
        assert len(database) >= RECORDS
        database.close()

    with ThreadPoolExecutor(THREADS) as pool:
        for written in [pool.submit(write, thread) for thread in range(THREADS)]:
            written.result()


def main() -> None:
    """All rounds."""
    warnings.simplefilter("ignore")
    for number in range(ROUNDS):
        path = damaged(Path(sys.argv[1]), number)
        start, go = os.pipe()
        children = []
        for kernel in range(KERNELS):
            if not (child := os.fork()):
                work(path, kernel, start)
                os._exit(0)
            children.append(child)
        os.write(go, b"x" * KERNELS)
        assert not any(os.waitpid(child, 0)[1] for child in children)
        database = Database(path, TABLE)
        there = {row[0] for row in database.rows()}
        database.close()
        expected = {f"{turn}" for turn in range(RECORDS)}
        expected |= {
            f"{kernel}-{thread}-{turn}"
            for kernel in range(KERNELS)
            for thread in range(THREADS)
            for turn in range(5)
        }
        assert expected == there, expected - there
        # Of two that close it at the same moment, neither puts the log away.
        kept = {one.name.removesuffix("-wal") for one in path.parent.glob(f"{path.name}.*")}
        assert kept == {f"{path.name}.damaged"}, kept
    sys.stdout.write(f"{ROUNDS} rounds, none lost\n")


if __name__ == "__main__":
    main()
