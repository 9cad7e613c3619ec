"""The ledger in a file: kept by several kernels, through kills, and read as a DataFrame."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nbagents._sqlite import Database
from nbagents.errors import ConfigurationError, DamagedFileWarning, NotKeptWarning
from nbagents.models import SQLiteStore
from nbagents.usage import UsageLedger, UsageRecord
from nbagents.usage._file import _TABLE

FULL = UsageRecord(
    time=datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
    cell=3,
    source="tutor",
    model="gpt-4.1-mini",
    prompt_tokens=10,
    cached_tokens=0,
    completion_tokens=5,
    reasoning_tokens=1,
    cost=0.001,
    seconds=1.5,
    time_to_first_token=0.25,
    finish_reason="stop",
    status="complete",
    estimated=True,
)
BARE = UsageRecord(time=datetime(2026, 3, 2, tzinfo=UTC), model="unknown")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept" / "usage.sqlite"


def test_what_is_read_is_what_was_kept_with_the_same_types(path: Path) -> None:
    ledger = UsageLedger([FULL])
    ledger.persist(path, notebook="tour.ipynb")
    ledger.add(BARE)
    frame = UsageLedger.read(path)
    assert list(frame.columns[:2]) == ["session", "notebook"]
    assert frame["notebook"].tolist() == ["tour.ipynb"] * 2
    kept = frame.drop(columns=["session", "notebook"])
    assert kept.equals(ledger.to_frame())
    assert kept.dtypes.astype(str).to_dict() == ledger.to_frame().dtypes.astype(str).to_dict()


def test_persisting_twice_keeps_each_record_once_and_ends_on_demand(path: Path) -> None:
    ledger = UsageLedger([FULL])
    ledger.persist(path)
    end = ledger.persist(path)
    ledger.add(BARE)
    end()
    ledger.add(BARE)
    assert len(UsageLedger.read(path)) == 2


def test_the_notebook_is_what_jupyter_says_it_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/notes/analysis.ipynb")
    UsageLedger([FULL]).persist(path)
    monkeypatch.delenv("JPY_SESSION_NAME")
    UsageLedger([BARE]).persist(path)
    frame = UsageLedger.read(path)
    assert frame["notebook"].tolist()[0] == "analysis.ipynb"
    assert frame["notebook"].isna().tolist() == [False, True]


WRITER = """
import sys
from nbagents.usage import UsageRecord, ledger
ledger.persist(sys.argv[1], notebook=sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    ledger.add(UsageRecord(model="m", cost=0.5))
    if number == 20:
        print("some", flush=True)
"""


def _writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_several_kernels_append_at_once_and_one_may_be_killed(path: Path) -> None:
    writers = {name: _writer(path, name, 50) for name in ("a", "b")}
    killed = _writer(path, "killed", 1_000_000)
    for writer in (*writers.values(), killed):
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert killed.stdout is not None
    assert killed.stdout.readline() == "some\n"
    os.kill(killed.pid, signal.SIGKILL)
    for writer in (*writers.values(), killed):
        writer.communicate(timeout=300)
    frame = UsageLedger.read(path)
    counts = frame.groupby("notebook", observed=True)["cost"].agg(["size", "sum"])
    assert counts.loc[["a", "b"]].to_numpy().tolist() == [[50, 25.0], [50, 25.0]]
    assert counts.loc["killed", "size"] > 20
    assert frame["session"].nunique() == 3


def test_a_record_that_cannot_be_written_waits_and_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ConfigurationError("No room.")

    ledger = UsageLedger()
    end = ledger.persist(path)
    monkeypatch.setattr(Database, "put", full)
    with pytest.warns(NotKeptWarning, match=r"^No room\. .* waits to be kept\.$"):
        ledger.add(FULL)
    assert ledger.records == (FULL,)
    monkeypatch.undo()
    ledger.add(BARE)
    end()
    assert len(UsageLedger.read(path)) == 2


def test_a_file_that_is_missing_or_no_database_is_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no .*persist"):
        UsageLedger.read(path)
    notes = tmp_path / "notes.txt"
    notes.write_text("no database " * 100, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        UsageLedger().persist(notes)


def test_other_programs_can_read_it(path: Path) -> None:
    UsageLedger([FULL]).persist(path)
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT time, model, cost FROM requests").fetchall()
    finally:
        connection.close()
    assert rows == [("2026-03-01T12:00:00.123456+00:00", "gpt-4.1-mini", 0.001)]


def test_a_folder_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no folder \S+nope to keep the ledger in"):
        UsageLedger([FULL]).persist(tmp_path / "nope" / "usage.sqlite")
    assert not (tmp_path / "nope").exists()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"time": "yesterday"}, {"time": None}, {"time": "2026-01-01"},
        {"time": "0001-01-01T00:00:00+00:00"}, {"cost": "much"}, {"prompt_tokens": "many"},
        {"prompt_tokens": 10**30}, {"model": ["m"]}, {"model": None}, {"session": {"a": 1}},
        {"status": "odd"}, {"seconds": [1]},
    ],
)  # fmt: skip
def test_a_record_that_no_kernel_can_have_written_is_left_out_and_told(
    path: Path, spoilt: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    UsageLedger([FULL]).persist(path)()
    database = Database(path, _TABLE)
    row = dict(zip(("id", *_TABLE.columns), database.rows()[0], strict=True))
    monkeypatch.setattr("nbagents._sqlite._records._LARGEST", 10**40)
    database.put([tuple({**row, "id": "another", **spoilt}.values())])
    database.close()
    with pytest.warns(DamagedFileWarning, match="1 records of .* are left out"):
        frame = UsageLedger.read(path)
    assert frame["source"].tolist() == ["tutor"]


def test_a_cache_is_no_ledger_and_stays_what_it_is(path: Path) -> None:
    store = SQLiteStore[str](path)
    store.set("key", "value")
    store.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="something other than the table requests"):
        UsageLedger([FULL]).persist(path)
    assert [(one, one.read_bytes()) for one in path.parent.iterdir()] == [(path, before)]


@pytest.mark.parametrize("name", ["x" * 300, "nul\0", "none"])
def test_a_name_that_no_file_can_have_is_told(path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="There is no"):
        UsageLedger.read(path.with_name(name))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_child_forked_while_a_thread_keeps_records_can_keep_its_own(path: Path) -> None:
    forks = (
        "import os, sys, threading\n"
        "from datetime import UTC, datetime\n"
        "from nbagents.usage import UsageRecord\n"
        "from nbagents.usage._file import LedgerFile\n"
        "records = [UsageRecord(time=datetime.now(UTC), model='m')]\n"
        "file = LedgerFile(sys.argv[1])\n"
        "ended, kept = threading.Event(), []\n"
        "def spend():\n"
        "    while not ended.is_set():\n"
        "        file.append(records)\n"
        "        kept.extend(records)\n"
        "thread = threading.Thread(target=spend)\n"
        "thread.start()\n"
        "for _ in range(5):\n"
        "    if not os.fork():\n"
        "        file.append(records)\n"
        "        os._exit(0)\n"
        "    assert os.wait()[1] == 0\n"
        "ended.set()\n"
        "thread.join()\n"
        "assert len(file.read()) == len(kept) + 5\n"
    )
    assert subprocess.run([sys.executable, "-c", forks, str(path)], timeout=120).returncode == 0
