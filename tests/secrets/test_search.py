"""The search finds a credential in every form and in every kind of file."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.secrets.canaries import CANARIES, marker, search, traces

PASSWORD = CANARIES["password"]
HALF = len(PASSWORD) // 2


@pytest.mark.parametrize(
    "form",
    [
        PASSWORD,
        PASSWORD.upper(),
        PASSWORD[::-1],
        PASSWORD[HALF:],
        PASSWORD[HALF:] + PASSWORD[:HALF],
        PASSWORD[HALF:][::-1],
        quote(PASSWORD),
        quote(PASSWORD, safe=""),
        quote(PASSWORD, safe="").lower(),
        quote_plus(PASSWORD),
        json.dumps(PASSWORD),
        PASSWORD.encode().hex(),
        *(base64.b64encode(b"~" * n + PASSWORD.encode() + b"~").decode() for n in range(4)),
        *(base64.urlsafe_b64encode(b"\xff" * n + PASSWORD.encode()).decode() for n in range(4)),
    ],
)
def test_every_form_is_found(form: str) -> None:
    assert any(trace.startswith("password ") for trace in traces(f"<p>{form}</p>".encode()))


@pytest.mark.parametrize("name", CANARIES)
def test_every_credential_is_found(name: str) -> None:
    assert {trace.split(" ")[0] for trace in traces(f"x{CANARIES[name]}x".encode())} == {
        name.split(" ")[0]
    }


def test_nothing_is_found_where_nothing_is() -> None:
    assert traces(b"sk-proj-other0key9 *** " + marker("logs").encode()) == set()


def _database(path: Path, data: str) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE kept (text TEXT)")
    database.execute("INSERT INTO kept VALUES (?)", [data])
    database.commit()
    return database


def _zip(path: Path, data: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", data)


WRITERS: dict[str, Callable[[Path, str], object]] = {
    "text": lambda path, data: path.write_text(data),
    "notebook": lambda path, data: path.write_text(json.dumps({"cells": [{"source": [data]}]})),
    "JSON lines": lambda path, data: path.write_text(
        "{}\n" + json.dumps([data]).replace("/", "\\u002f").replace("7", "\\u0037") + "\n"
    ),
    "gzip": lambda path, data: path.write_bytes(gzip.compress(data.encode() * 3)),
    "zip": _zip,
    "pickle": lambda path, data: path.write_bytes(pickle.dumps({"a": [data]})),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_it_is_found_in_every_kind_of_file(
    write: Callable[[Path, str], object], tmp_path: Path
) -> None:
    folder = tmp_path / "somewhere" / "deep"
    folder.mkdir(parents=True)
    write(folder / "file", "nothing")
    assert search(tmp_path) == {"somewhere": set()}
    write(folder / "file", f"said: {CANARIES['openai key']}")
    assert search(tmp_path)["somewhere"]


def test_it_is_found_in_a_database_whose_log_is_not_merged_yet(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    path = tmp_path / "kept" / "x.sqlite"
    with closing(_database(path, CANARIES["openai key"])):
        assert any("x.sqlite)" in trace for trace in search(tmp_path)["kept"])
