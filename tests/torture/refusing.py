"""Places that refuse to keep anything: a full disk, and a folder that may not be written."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nbagents.errors import ConfigurationError, NotKeptWarning
from nbagents.messages import UserMessage
from nbagents.models import ChatCompletionCache, RecordingChatCompletionClient, SQLiteStore
from nbagents.usage import UsageLedger, UsageRecord
from tests.scripted import ScriptedClient
from tests.torture.figures import Figure

__all__ = ["figures"]

ROOM = 640 * 2**10
LONG = "x" * 20_000
TURNS = 60
NOBODY = 65_534


def figures(folder: Path) -> Iterator[Figure]:
    """All of them."""
    for name, make in (("cassette", _recording), ("cache", _caching)):
        yield from _full(name, make, folder)
    yield from _full_ledger(folder)
    yield from _read_only(folder)


def _recording(path: Path, *replies: str) -> Any:
    return RecordingChatCompletionClient(ScriptedClient(*replies), path, mode="auto")


def _caching(path: Path, *replies: str) -> Any:
    return ChatCompletionCache(ScriptedClient(*replies), SQLiteStore(path))


def _full(name: str, make: Callable[..., Any], folder: Path) -> Iterator[Figure]:
    replies = [f"{turn} {LONG}" for turn in range(TURNS)]
    lost, told = 0, _Told()
    with _small_disk(folder / f"full-{name}") as (disk, make_room):
        client = make(disk / "kept", *replies)
        for turn, reply in enumerate(replies):
            if turn == TURNS - 1:
                make_room()
            with told:
                lost += asyncio.run(client.create(_asked(turn))).content != reply
        again = make(disk / "kept", *replies)
        kept = sum(_is_known(again, turn) for turn in range(TURNS))
        owed = TURNS if name == "cassette" else TURNS - len(told.said)
        _close(client, again)
    what = f"a {name} on a full disk, {TURNS} replies"
    yield Figure(f"{what}: lost", lost, 0)
    yield Figure(f"{what}: told of in one line with what to do", told.well, 1, at_least=True)
    yield Figure(f"{what}: told of otherwise", told.badly, 0)
    yield Figure(f"{what}: kept once there was room", kept, owed, at_least=True)


def _full_ledger(folder: Path) -> Iterator[Figure]:
    told, ledger = _Told(), UsageLedger()
    with _small_disk(folder / "full-ledger") as (disk, make_room):
        end = ledger.persist(disk / "kept")
        for turn in range(TURNS):
            if turn == TURNS - 1:
                make_room()
            with told:
                ledger.add(UsageRecord(model="m", source=f"{turn} {LONG}"))
        end()
        kept = len(UsageLedger.read(disk / "kept"))
    what = f"a ledger on a full disk, {TURNS} records"
    yield Figure(f"{what}: told of in one line with what to do", told.well, 1, at_least=True)
    yield Figure(f"{what}: told of otherwise", told.badly, 0)
    yield Figure(f"{what}: kept once there was room", kept, TURNS, at_least=True)


def _read_only(folder: Path) -> Iterator[Figure]:
    """What is there is read; what is new is told, before it is paid for where that can be."""
    place = folder / "read-only"
    place.mkdir()
    clients = {"cassette": _recording, "cache": _caching}
    for name, make in clients.items():
        client = make(place / name, "known")
        asyncio.run(client.create(_asked(0)))
        _close(client)
    UsageLedger([UsageRecord(model="m")]).persist(place / "ledger")()
    told = _Told()
    with _unwritable(place):
        read = sum(_is_known(make(place / name), 0) for name, make in clients.items())
        read += len(UsageLedger.read(place / "ledger"))
        recording = _recording(place / "cassette", "new")
        with told:
            asyncio.run(recording.create(_asked(1)))
        with told:
            UsageLedger([UsageRecord(model="m")]).persist(place / "ledger")
        caching = _caching(place / "cache", "new")
        with told:
            given = asyncio.run(caching.create(_asked(1))).content == "new"
        _close(caching)
    paid = 1 - len(recording._direct._client.replies)
    what = "a folder that may not be written"
    yield Figure(f"{what}: kinds of file that are read there", read, 3, at_least=True)
    yield Figure(f"{what}: told of in one line with what to do", told.well, 3, at_least=True)
    yield Figure(f"{what}: requests sent whose replies could not be recorded", paid, 0)
    yield Figure(f"{what}: replies lost that could not be cached", not given, 0)


class _Told:
    """What is said of a failure, as an error or as a warning."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.badly = 0

    @property
    def well(self) -> int:
        return len(self.said)

    def __enter__(self) -> None:
        self._catching = warnings.catch_warnings(record=True)
        self._caught = self._catching.__enter__()
        warnings.simplefilter("always")

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> bool:
        self._catching.__exit__()
        for one in (error, *(warning.message for warning in self._caught or ())):
            if one is None:
                continue
            text = str(one)
            good = isinstance(one, NotKeptWarning | ConfigurationError) and "\n" not in text
            if good and any(word in text for word in ("another path", "another file", "room")):
                self.said.append(text)
            else:
                self.badly += 1
        return isinstance(error, ConfigurationError)


def _asked(turn: int) -> list[UserMessage]:
    return [UserMessage(content=f"{turn}", source="user")]


def _is_known(client: Any, turn: int) -> bool:
    inner = client._direct._client
    before = len(inner.requests)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotKeptWarning)
        try:
            asyncio.run(client.create(_asked(turn)))
        except (IndexError, ConfigurationError):
            return False
    return len(inner.requests) == before


def _close(*clients: Any) -> None:
    for client in clients:
        if isinstance(client, ChatCompletionCache):
            client.store.close()  # type: ignore[attr-defined]


@contextmanager
def _small_disk(folder: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder with room for some replies, and what makes room for all of them.

    A small file system where one may be mounted; else no file can be longer than so much.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
        more = ["mount", "-o", f"remount,size={100 * ROOM}", str(folder)]
        try:
            yield folder, lambda: subprocess.run(more, check=True)
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, most))
    try:
        yield folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


@contextmanager
def _unwritable(folder: Path) -> Iterator[None]:
    """The folder without the right to write there; who may do everything gives that up."""
    user = os.geteuid()
    folder.parent.chmod(0o755)
    folder.chmod(0o555)
    for file in folder.iterdir():
        file.chmod(0o444)
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)
