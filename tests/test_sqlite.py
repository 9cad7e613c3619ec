"""Rows that several processes write, and that are found again in what is left of a file."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagents._sqlite import MARK, Database, Row, Table
from nbagents._sqlite._log import PAGE
from nbagents._sqlite._rows import is_intact, sealed, unsealed
from nbagents._sqlite._salvage import rows_left_in
from nbagents.errors import ConfigurationError, DamagedFileWarning

TABLE = Table("things", {"word": "TEXT", "count": "INTEGER", "weight": "REAL"})
ROWS: list[Row] = [(f"{MARK}{n:04}", f"word {n}", n, n / 2) for n in range(200)]
LONG: Row = (f"{MARK}long", "ä" * 20_000, 1, None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "things.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path, TABLE)
    database.put([*ROWS, LONG])
    yield database
    database.close()


def spoil(path: Path, place: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)


def test_rows_are_there_once_in_the_order_of_their_ids(database: Database) -> None:
    database.put([ROWS[3], (f"{MARK}0005", "other", None, None)])
    assert database.rows() == [*ROWS[:5], (f"{MARK}0005", "other", None, None), *ROWS[6:], LONG]
    assert database.get(f"{MARK}long") == LONG
    assert database.get(f"{MARK}none") is None
    assert len(database) == 201


@given(st.text() | st.none(), st.integers() | st.booleans() | st.none(), st.floats() | st.none())
@settings(deadline=None, max_examples=50)
def test_whatever_is_put_comes_back_intact_from_sqlite_and_from_its_bytes(
    tmp_path_factory: pytest.TempPathFactory, word: str, count: int, weight: float
) -> None:
    path = tmp_path_factory.mktemp("x") / "things.sqlite"
    database = Database(path, TABLE)
    row = (f"{MARK}x", word, count, weight)
    database.put([row])
    there = database.rows()
    database.close()
    assert there == [unsealed(sealed(row))]
    assert rows_left_in(path.read_bytes(), b"", TABLE.width) == {f"{MARK}x": there[0]}


def test_a_row_that_was_changed_is_not_intact() -> None:
    stored = sealed(ROWS[7])
    assert is_intact(stored)
    assert not any(is_intact((*stored[:n], "x", *stored[n + 1 :])) for n in range(len(stored)))


@pytest.mark.parametrize(
    ("place", "content"),
    [
        (0, b"XXXX"),  # the file's name for itself
        (100, b"\x00"),  # the schema's page
        (PAGE, b"\xff" * 8),  # a page's header
        (2 * PAGE, b"\x00" * 8),
    ],
)
def test_a_damaged_file_is_mended_and_told_and_the_old_one_kept(
    database: Database, path: Path, place: int, content: bytes
) -> None:
    database.close()
    spoil(path, place, content)
    damaged = path.read_bytes()
    with pytest.warns(DamagedFileWarning, match=r"201 records were found again; the old file is"):
        assert database.rows() == [*ROWS, LONG]
    assert path.with_name("things.sqlite.damaged").read_bytes() == damaged
    database.put([(f"{MARK}new", "", 0, 0.0)])
    assert len(database) == 202


def test_a_row_that_cannot_be_read_costs_no_other(database: Database, path: Path) -> None:
    database.close()
    spoil(path, path.read_bytes().index(b"word 77") + 5, b"\xff")
    with pytest.warns(DamagedFileWarning, match="200 records were found again"):
        assert database.rows() == [*ROWS[:77], *ROWS[78:], LONG]


@pytest.mark.parametrize(("found", "instead"), [(b"\x0a", b"\x0d"), (b"0180", b"0000")])
def test_damage_is_told_before_somebody_comes_across_it(
    database: Database, path: Path, found: bytes, instead: bytes
) -> None:
    database.close()
    last_page = path.read_bytes().index(f"{MARK}0180".encode()) // PAGE * PAGE
    spoil(path, path.read_bytes().index(found, last_page), instead)
    with pytest.warns(DamagedFileWarning, match="records were found again"):
        assert database.get(f"{MARK}0001") == ROWS[1]


def test_a_file_that_somebody_else_uses_is_not_mended(database: Database, path: Path) -> None:
    other = Database(path, TABLE)
    assert len(other) == 201
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spoil(path, PAGE, b"\xff" * 8)
    with pytest.raises(ConfigurationError, match=r"end the other kernels that use it"):
        database.rows()
    other.close()
    with pytest.warns(DamagedFileWarning, match="201 records"):
        assert len(database.rows()) == 201


def test_a_damaged_row_is_left_out_and_told_while_somebody_else_uses_the_file(
    database: Database, path: Path
) -> None:
    other = Database(path, TABLE)
    assert len(other) == 201
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE things SET count = 5 WHERE id = ?", (ROWS[3][0],))
        connection.commit()
    with pytest.warns(DamagedFileWarning, match="a record is left out"):
        assert database.rows() == [*ROWS[:3], *ROWS[4:], LONG]
    with pytest.warns(DamagedFileWarning, match="a record is left out"):
        assert database.get(ROWS[3][0]) is None
    other.close()


def test_what_stands_behind_a_damaged_place_of_the_log_is_put_back(
    tmp_path: Path, path: Path
) -> None:
    database, left = Database(path, TABLE), tmp_path / "left" / path.name
    left.parent.mkdir()
    for row in ROWS:
        database.put([row])
    for ending in ("", "-wal"):  # as a killed process leaves them
        shutil.copy(f"{path}{ending}", f"{left}{ending}")
    database.close()
    spoil(left.with_name(f"{left.name}-wal"), 20 * PAGE, b"\xff\xff\xff\xff")
    again = Database(left, TABLE)
    with pytest.warns(DamagedFileWarning, match=r"its log was torn; \d+ records were found again"):
        assert again.rows() == ROWS
    again.close()


def test_what_the_log_still_holds_of_older_rows_is_not_taken_for_the_newest(path: Path) -> None:
    database = Database(path, TABLE)
    for number in range(200):
        database.put([(f"{MARK}{number % 50}", f"old {number} " * 500, number, None)])
    assert database._open is not None
    database._open[1].execute("PRAGMA wal_checkpoint(RESTART)")
    for number in range(20):
        database.put([(f"{MARK}{number}", f"new {number} " * 500, number, None)])
    log = path.with_name(f"{path.name}-wal").read_bytes()
    left = rows_left_in(path.read_bytes(), log, TABLE.width)
    assert [left[row[0]] for row in database.rows()] == database.rows()
    database.close()


def test_what_was_cleared_does_not_come_back(database: Database, path: Path) -> None:
    database.clear()
    database.close()
    assert rows_left_in(path.read_bytes(), b"", TABLE.width) == {}


def test_a_file_of_somebody_else_is_left_alone(path: Path) -> None:
    path.write_bytes(b"no database " * 1_000)
    with pytest.raises(ConfigurationError, match=r"cannot be used.*give another path"):
        Database(path, TABLE).rows()
    assert path.read_bytes() == b"no database " * 1_000


def test_what_somebody_put_beside_the_table_stays(database: Database, path: Path) -> None:
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIEW heavy AS SELECT word FROM things WHERE weight > 50")
    with pytest.raises(ConfigurationError, match=r"something other than the table.*another path"):
        database.rows()
    with closing(sqlite3.connect(path)) as connection:
        assert len(connection.execute("SELECT * FROM heavy").fetchall()) == 99


def test_nothing_is_made_in_a_database_of_somebody_else(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE notes (text); CREATE TABLE more (text);")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="something other than the table"):
        Database(path, TABLE).rows()
    assert path.read_bytes() == before


def test_a_table_that_other_programs_read(database: Database, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT count, weight FROM things WHERE word = 'word 9'")
        assert found.fetchall() == [(9, 4.5)]


def test_a_child_has_a_connection_of_its_own(path: Path) -> None:
    forks = (
        "import os, sys\n"
        "from nbagents._sqlite import MARK, Database, Table\n"
        "database = Database(sys.argv[1], Table('things', {}))\n"
        "database.put([(MARK + 'parent',)])\n"
        "child = os.fork()\n"
        "database.put([(MARK + ('again' if child else 'child'),)])\n"
        "if child:\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    assert len(database) == 3\n"
        "os._exit(0)\n"
    )
    assert subprocess.run([sys.executable, "-c", forks, str(path)]).returncode == 0
