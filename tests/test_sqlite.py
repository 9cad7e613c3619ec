"""Rows that several processes write, and that are found again in what is left of a file."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagents._sqlite import Database, Row, Table, _connecting, _database, _forking
from nbagents._sqlite._records import digest_of, newest, recorded, records_in
from nbagents._sqlite._schema import PAGE
from nbagents.errors import ConfigurationError, DamagedFileWarning

TABLE = Table("things", ("word", "count", "weight"))
ROWS: list[Row] = [(f"{n:04}", f"word {n}", n, n / 2) for n in range(200)]
LONG: Row = ("long", "ä" * 20_000, 1, None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "things.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path, TABLE)
    database.put([*ROWS, LONG])
    yield database
    database.close()


def rows_in(*paths: Path) -> list[Row]:
    """The rows whose bytes stand in the files."""
    records = newest(record for path in paths for record in records_in(path.read_bytes()))
    return sorted(record.row(TABLE) for record in records.values())


def spoil(path: Path, place: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)


def test_rows_are_there_once_in_the_order_of_their_ids(database: Database) -> None:
    database.put([ROWS[3], ("0005", "other", None, None)])
    assert database.rows() == [*ROWS[:5], ("0005", "other", None, None), *ROWS[6:], LONG]
    assert database.get("long") == LONG
    assert database.get("none") is None
    assert len(database) == 201


@given(st.text() | st.none(), st.integers() | st.booleans() | st.none(), st.floats() | st.none())
@settings(deadline=None, max_examples=50)
def test_whatever_is_put_comes_back_intact_from_sqlite_and_from_its_bytes(
    tmp_path_factory: pytest.TempPathFactory, word: str, count: int, weight: float
) -> None:
    path = tmp_path_factory.mktemp("x") / "things.sqlite"
    database = Database(path, TABLE)
    row = ("x", word, count, weight)
    database.put([row])
    there = database.rows()
    database.close()
    assert there == [recorded(row, TABLE).row(TABLE)] == rows_in(path)


def test_a_record_that_was_changed_in_any_place_is_none() -> None:
    text = recorded(ROWS[7], TABLE).parts[0].encode()
    assert [record.row(TABLE) for record in records_in(b"?" + text + b"?")] == [ROWS[7]]
    for place in range(len(text)):
        assert records_in(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]) == []


def test_of_two_records_with_an_id_the_one_written_later_is_the_newest() -> None:
    older, newer = recorded(("x", "old", 1, None), TABLE), recorded(("x", "new", 1, None), TABLE)
    assert [*newest([newer, older]).values()] == [newer]


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
    database.put([("new", "", 0, 0.0)])
    assert len(database) == 202


def test_a_row_that_cannot_be_read_costs_no_other(database: Database, path: Path) -> None:
    database.close()
    spoil(path, path.read_bytes().index(b"word 77") + 5, b"\xff")
    with pytest.warns(DamagedFileWarning, match="200 records were found again"):
        assert database.rows() == [*ROWS[:77], *ROWS[78:], LONG]


@pytest.mark.parametrize("text", ["nbagents:", digest_of("0180")])
def test_damage_is_told_before_somebody_comes_across_it(
    database: Database, path: Path, text: str
) -> None:
    database.close()
    last_page = path.read_bytes().rindex(text.encode()) // PAGE * PAGE
    spoil(path, last_page, b"\x07")  # what kind of page it is
    with pytest.warns(DamagedFileWarning, match="records were found again"):
        assert database.get("0001") == ROWS[1]


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
        connection.execute("UPDATE parts SET text = replace(text, 'word 3\"', 'word 5\"')")
        connection.commit()
    with pytest.warns(DamagedFileWarning, match="a record is left out"):
        assert database.rows() == [*ROWS[:3], *ROWS[4:], LONG]
    with pytest.warns(DamagedFileWarning, match="a record is left out"):
        assert database.get(ROWS[3][0]) is None
    other.close()


def test_a_failure_that_passes_is_not_told_as_damage(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, failures = Database._tried, [sqlite3.OperationalError("disk I/O error")]

    def tried(self: Database, work: Any) -> Any:
        if failures:
            raise failures.pop()
        return usual(self, work)

    monkeypatch.setattr(Database, "_tried", tried)
    assert database.rows() == [*ROWS, LONG]


@pytest.mark.parametrize("endings", [[""], ["", "-wal", "-shm"]])
def test_what_is_written_after_somebody_deleted_the_file_stands_in_a_new_one(
    database: Database, path: Path, endings: list[str]
) -> None:
    for ending in endings:
        path.with_name(f"{path.name}{ending}").unlink()
    database.put(ROWS[:2])
    with closing(Database(path, TABLE)) as other:
        other.put(ROWS[2:3])
        assert other.rows() == database.rows() == ROWS[:3]


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
        database.put([(f"{number % 50}", f"old {number} " * 500, number, None)])
    assert database._open is not None
    database._open[-1].execute("PRAGMA wal_checkpoint(RESTART)")
    for number in range(20):
        database.put([(f"{number}", f"new {number} " * 500, number, None)])
    assert rows_in(path, path.with_name(f"{path.name}-wal")) == database.rows()
    database.close()


def test_what_was_cleared_does_not_come_back(database: Database, path: Path) -> None:
    database.clear()
    database.close()
    assert b"word 77" not in path.read_bytes()
    assert rows_in(path) == []


@pytest.mark.parametrize("is_new", [False, True])
def test_who_opens_a_file_that_is_being_cleared_brings_nothing_back(
    path: Path, is_new: bool
) -> None:
    database = Database(path, TABLE)
    database.put(ROWS)
    assert database._open is not None
    if is_new:  # the log is begun anew, and the end of the older one stands behind
        database._open[-1].execute("PRAGMA wal_checkpoint(RESTART)")
    with database._open[-1] as connection:
        connection.execute("DELETE FROM parts")
    with closing(Database(path, TABLE)) as other:
        assert other.rows() == []
    assert rows_in(path.with_name(f"{path.name}-wal")) != []  # where it still stands
    database.close()


def test_a_log_whose_beginning_is_damaged_is_put_back_whole(database: Database, path: Path) -> None:
    left = left_by_a_killed_process(database, path)
    log = left.with_name(f"{left.name}-wal")
    for place in range(0, 32, 8):
        again = Database(left.with_name(f"{place}"), TABLE)
        shutil.copy(left, again.path)
        spoilt = again.path.with_name(f"{place}-wal")
        shutil.copy(log, spoilt)
        spoil(spoilt, place, b"\x55" * 8)
        with pytest.warns(DamagedFileWarning, match=r"its log was torn; \d+ records were found"):
            assert again.get("new") == ("new", "in the log", 0, 0.0)
        again.close()
    database.close()


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
        "from nbagents._sqlite import Database, Table\n"
        "database = Database(sys.argv[1], Table('things', ()))\n"
        "database.put([('parent',)])\n"
        "child = os.fork()\n"
        "database.put([('again' if child else 'child',)])\n"
        "if child:\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    assert len(database) == 3\n"
        "os._exit(0)\n"
    )
    assert subprocess.run([sys.executable, "-c", forks, str(path)]).returncode == 0


def test_what_a_child_writes_when_its_parent_has_closed_the_file_is_kept(path: Path) -> None:
    forks = (
        "import os, sys\n"
        "from nbagents._sqlite import Database, Table\n"
        "database = Database(sys.argv[1], Table('things', ()))\n"
        "database.put([('parent',)])\n"
        "writes, closes = os.pipe(), os.pipe()\n"
        "if not os.fork():\n"
        "    database.put([('child',)])\n"
        "    os.write(writes[1], b'x')\n"
        "    os.read(closes[0], 1)\n"
        "    database.put([('child, later',)])\n"
        "    os._exit(0)\n"
        "os.read(writes[0], 1)\n"
        "database.close()\n"
        "database.put([('parent, later',)])\n"
        "database.close()\n"
        "os.write(closes[1], b'x')\n"
        "assert os.wait()[1] == 0\n"
        "assert len(database) == 4, database.rows()\n"
    )
    assert subprocess.run([sys.executable, "-c", forks, str(path)]).returncode == 0


def test_a_file_is_opened_while_another_one_is_waited_for(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, goes_on = threading.Event(), threading.Event()
    connect = _database.connect

    def connected(there: Path, *rest: Any) -> sqlite3.Connection:
        if there.name == path.name:
            waits.set()
            goes_on.wait()
        return connect(there, *rest)

    monkeypatch.setattr(_database, "connect", connected)
    one, other = Database(path, TABLE), Database(tmp_path / "others.sqlite", TABLE)
    with ThreadPoolExecutor() as pool, closing(one), closing(other):
        try:
            waiting = pool.submit(one.put, ROWS)
            assert waits.wait(60)
            pool.submit(other.put, ROWS).result(60)
        finally:
            goes_on.set()
        waiting.result(60)


def test_a_process_that_forks_waits_for_its_threads_to_have_written(path: Path) -> None:
    forks = (
        "import os, sys, threading\n"
        "from nbagents._sqlite import Database, Table\n"
        "database = Database(sys.argv[1], Table('things', ()))\n"
        "def write(name):\n"
        "    for number in range(200):\n"
        "        database.put([(f'{name} {number}',)])\n"
        "threads = [threading.Thread(target=write, args=(name,)) for name in 'ab']\n"
        "for thread in threads:\n"
        "    thread.start()\n"
        "for number in range(20):\n"
        "    if not os.fork():\n"
        "        database.put([(f'child {number}',)])\n"
        "        os._exit(0)\n"
        "    assert os.wait()[1] == 0\n"
        "for thread in threads:\n"
        "    thread.join()\n"
        "assert len(database) == 420\n"
    )
    assert subprocess.run([sys.executable, "-c", forks, str(path)], timeout=120).returncode == 0


def test_what_an_interrupt_kept_from_being_held_at_a_fork_is_not_let_go_of() -> None:
    class Busy:
        let_go_of = 0

        def hold(self) -> None:
            raise KeyboardInterrupt

        def let_go(self) -> None:
            self.let_go_of += 1

    busy = Busy()
    _forking.hold_at_forks(busy)
    try:
        with pytest.raises(KeyboardInterrupt):
            _forking._hold_all()
        _forking._let_all_go()
    finally:
        _forking._all.discard(busy)
    assert not busy.let_go_of


def test_a_file_of_a_newer_nbagents_is_refused_and_left_as_it_is(
    database: Database, path: Path
) -> None:
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=2")
        connection.execute("ALTER TABLE parts ADD COLUMN more")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"newer nbagents .*nothing was changed\. U"):
        database.put([ROWS[0]])
    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == {path.name: before}


def test_a_file_of_the_first_format_is_brought_to_this_one(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE things (id TEXT PRIMARY KEY, word TEXT, count INTEGER, weight REAL, "
            "crc INTEGER) WITHOUT ROWID"
        )
        for row in ROWS:
            values = f"nbagents:{row[0]}", *row[1:3], int(row[3]) if row[3] % 1 == 0 else row[3]
            crc = zlib.crc32(json.dumps(values).encode())
            connection.execute("INSERT INTO things VALUES (?, ?, ?, ?, ?)", (*values, crc))
        connection.commit()
    database = Database(path, TABLE)
    assert database.rows() == ROWS
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchall() == [(1,)]
        connection.execute("DROP VIEW things")
        connection.execute("PRAGMA user_version=0")


def test_each_damaged_file_is_kept_under_a_name_of_its_own(database: Database, path: Path) -> None:
    damaged = []
    for place in (PAGE, 2 * PAGE):
        database.close()
        spoil(path, place, b"\xff" * 8)
        damaged.append(path.read_bytes())
        with pytest.warns(DamagedFileWarning, match="201 records"):
            assert len(database.rows()) == 201
    names = ("things.sqlite.damaged", "things.sqlite.damaged-2")
    assert [path.with_name(name).read_bytes() for name in names] == damaged


def test_mending_lets_nobody_else_read_it_and_writes_through_no_link(
    database: Database, path: Path, tmp_path: Path
) -> None:
    database.close()
    path.chmod(0o600)
    spoil(path, PAGE, b"\xff" * 8)
    elsewhere = tmp_path / "elsewhere"
    path.with_name(f"{path.name}.damaged").symlink_to(elsewhere)
    path.with_name(f"{path.name}.{os.getpid()}").symlink_to(elsewhere)
    with pytest.warns(DamagedFileWarning, match="201 records"):
        database.rows()
    assert not elsewhere.exists()
    for name in (path.name, f"{path.name}.damaged-2"):
        assert path.with_name(name).stat().st_mode & 0o777 == 0o600


def left_by_a_killed_process(database: Database, path: Path) -> Path:
    """The file as a process leaves it that is killed with its newest record in the log."""
    database.close()
    database.put([("new", "in the log", 0, 0.0)])
    left = path.parent / "left" / path.name
    left.parent.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(f"{path}{ending}", f"{left}{ending}")
    return left


@pytest.mark.parametrize("step", ["unlink", "write_bytes", "replace"])
def test_mending_that_is_stopped_loses_nothing(
    database: Database, path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_by_a_killed_process(database, path)
    spoil(left, PAGE, b"\xff" * 8)
    usual = getattr(Path, step)

    def stopped(self: Path, *arguments: object, **named: object) -> object:
        if self.suffix in (".mended", ".damaged", ".sqlite-shm"):
            raise KeyboardInterrupt
        return usual(self, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, stopped)
        with pytest.raises(KeyboardInterrupt):
            Database(left, TABLE).rows()
    with pytest.warns(DamagedFileWarning, match="202 records"):
        assert Database(left, TABLE).get("new") == ("new", "in the log", 0, 0.0)


def test_many_that_make_a_file_at_the_same_moment_all_write_to_it(tmp_path: Path) -> None:
    rows = ROWS[:4]
    for number in range(60):
        together = threading.Barrier(len(rows))

        def begin(row: Row, path: Path, together: threading.Barrier) -> None:
            with closing(Database(path, TABLE)) as database:
                together.wait()
                database.put([row])

        path = tmp_path / f"{number}.sqlite"
        with ThreadPoolExecutor(len(rows)) as pool:
            for written in [pool.submit(begin, row, path, together) for row in rows]:
                written.result()
        with closing(Database(path, TABLE)) as database:
            assert database.rows() == rows


def test_a_log_that_another_kernel_takes_over_is_not_taken_for_torn(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking_over = (  # which it does with this byte locked: https://sqlite.org/walformat.html
        "import fcntl, sys\n"
        "with open(sys.argv[1], 'r+b') as file:\n"
        "    fcntl.lockf(file, fcntl.LOCK_EX, 1, 121)\n"
        "    print(flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", taking_over, f"{path}-shm"]
    waited = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            other.communicate()

        monkeypatch.setattr(_connecting.time, "sleep", sleep)
        again = Database(path, TABLE)
        assert len(again) == 201
        assert len(waited) == 1
    again.close()


def test_who_has_opened_a_file_that_is_mended_meanwhile_writes_nothing_to_the_new_ones_log(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.close()
    spoil(path, 3 * PAGE, b"\xff" * 8)
    mending = (
        "import sys, warnings\n"
        "from nbagents._sqlite import Database, Table\n"
        "warnings.simplefilter('ignore')\n"
        "database = Database(sys.argv[1], Table('things', ('word', 'count', 'weight')))\n"
        "for number in range(350):\n"
        "    database.put([(f'more {number}', 'x' * 800, 0, 0.0)])\n"
        "database._open[-1].execute('PRAGMA wal_checkpoint(RESTART)')\n"
        "database.put([('last', '', 0, 0.0)])\n"
        "print(flush=True)\n"
        "sys.stdin.read()\n"
        "database.close()\n"
    )
    others: list[subprocess.Popen[bytes]] = []
    usual = sqlite3.connect

    def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = usual(*arguments, **named)
        if not others:
            command = [sys.executable, "-c", mending, str(path)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            others.append(subprocess.Popen(command, **pipes))
            assert others[0].stdout is not None
            others[0].stdout.readline()
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect)
    assert len(database) == 201 + 351
    others[0].communicate()
    database.close()
    assert database.get("last") == ("last", "", 0, 0.0)


def test_what_another_kernel_has_just_mended_is_not_mended_again(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.close()
    mended = path.with_name(f"{path.name}.mended")
    mended.touch()
    usual = _database.mend

    def mend(*arguments: Any) -> tuple[int, Path] | None:
        mended.unlink()  # it is in its place now
        return usual(*arguments)

    monkeypatch.setattr(_database, "mend", mend)
    assert len(database) == 201
    database.close()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_kernels_that_mend_at_the_same_moment_lose_no_record(tmp_path: Path) -> None:
    script = Path(__file__).with_name("mending_at_once.py")
    ended = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True)
    assert ended.stderr == ""
    assert ended.stdout == "12 rounds, none lost\n"


def test_what_a_killed_process_left_in_the_log_is_read_where_nothing_may_be_written(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_by_a_killed_process(database, path)
    before = sorted((one.name, one.read_bytes()) for one in left.parent.iterdir())
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    again = Database(left, TABLE)
    assert again.get("new") == ("new", "in the log", 0, 0.0)
    assert len(again.rows()) == 202
    with pytest.raises(ConfigurationError, match=r"readonly database\. Give another path"):
        again.put([ROWS[0]])
    again.close()
    spoil(left, left.read_bytes().index(b"word 77") + 5, b"\xff")
    with pytest.warns(DamagedFileWarning, match="201 records can be read"):
        assert again.get("0077") is None
    spoil(left, left.read_bytes().index(b"word \xff7") + 5, b"7")
    assert sorted((one.name, one.read_bytes()) for one in left.parent.iterdir()) == before
    database.close()


def test_what_others_are_writing_is_not_taken_for_damage_where_nothing_may_be_written(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.close()
    whole, half = path.read_bytes(), bytearray(path.read_bytes())
    half[PAGE : PAGE + 8] = bytes(8)
    path.write_bytes(half)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    usual = _connecting._check

    def check(*arguments: Any) -> None:
        try:
            usual(*arguments)
        finally:
            path.write_bytes(whole)  # they have

    monkeypatch.setattr(_connecting, "_check", check)
    assert database.rows() == [*ROWS, LONG]


def test_what_is_no_file_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        with pytest.raises(ConfigurationError, match=r"it is not a file\. Give another path"):
            Database(path, TABLE).rows()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("loop", "nul\0", "x" * 300):
        with pytest.raises(ConfigurationError, match=r"cannot be used: .*Give another path"):
            Database(tmp_path / name, TABLE).rows()


def test_through_a_link_the_same_file_is_used_and_mended(database: Database, path: Path) -> None:
    link = path.parent / "elsewhere" / "link.sqlite"
    link.parent.mkdir()
    link.symlink_to(path)
    linked = Database(link, TABLE)
    linked.put([("new", "", 0, 0.0)])
    assert len(database) == 202
    linked.close()
    database.close()
    spoil(path, PAGE, b"\xff" * 8)
    with pytest.warns(DamagedFileWarning, match="202 records"):
        assert len(linked.rows()) == 202
    linked.close()
    assert link.is_symlink()
    assert [one.name for one in link.parent.iterdir()] == [link.name]


def test_mending_that_was_stopped_at_its_last_step_is_ended(database: Database, path: Path) -> None:
    database.put([("new", "in the log, which is under its other name by now", 0, 0.0)])
    database.close()
    path.replace(path.with_name(f"{path.name}.mended"))
    older = Database(path, TABLE)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=0")
        connection.executescript("CREATE TABLE x (y); DROP TABLE x;")
    with pytest.warns(DamagedFileWarning, match="202 records"):
        assert len(older.rows()) == 202
    assert not path.with_name(f"{path.name}.mended").exists()


@pytest.mark.parametrize("ends", [0, 1])
def test_what_a_killed_process_had_not_finished_writing_is_no_damage(
    database: Database, path: Path, ends: int
) -> None:
    left = path.parent / "left" / path.name
    left.parent.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(f"{path}{ending}", f"{left}{ending}")
    log = left.with_name(f"{left.name}-wal")
    numbers = struct.pack(">2I8s2I", 2, ends, log.read_bytes()[16:24], 0, 0)
    with log.open("ab") as file:
        file.write(numbers + bytes(PAGE))
    again = Database(left, TABLE)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert again.rows() == [*ROWS, LONG]
    assert len(told) == ends  # a transaction was ended, and is lost
    again.close()


def test_a_full_disk_leaves_a_damaged_file_as_it_is(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.close()
    spoil(path, PAGE, b"\xff" * 8)
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> None:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(ConfigurationError, match=r"No space left on device\. Make room"):
            database.rows()
        assert path.read_bytes() == before
        assert not path.with_name(f"{path.name}.damaged").exists()
    with pytest.warns(DamagedFileWarning, match="201 records"):
        assert len(database.rows()) == 201


def test_no_flipped_bit_of_version_or_kind_is_taken_for_another_one(path: Path) -> None:
    database = Database(path, TABLE)
    database.put(ROWS[:3])
    database.close()
    whole = path.read_bytes()
    for place in (*range(60, 64), *range(68, 72)):
        for bit in range(0, 8, 3):
            spoil(path, place, bytes([whole[place] ^ 1 << bit]))
            with pytest.warns(DamagedFileWarning, match="3 records were found again"):
                assert database.rows() == ROWS[:3]
            database.close()
            path.with_name(f"{path.name}.damaged").unlink()
            path.write_bytes(whole)
