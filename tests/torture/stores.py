"""The three things that are kept in files, each with one way to write and to read it."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from nbagents._sqlite import MARK, Database
from nbagents.errors import DamagedFileWarning
from nbagents.models import SQLiteStore
from nbagents.models._cassette.deck import Deck
from nbagents.models._cassette.lines import Piece, Record
from nbagents.models._cassette.tape import read_tape
from nbagents.usage import UsageLedger, UsageRecord
from nbagents.usage._file import LedgerFile

__all__ = ["KINDS", "Kind"]

USAGE = {"prompt_tokens": 1, "completion_tokens": 1}
RESULT = {"finish_reason": "stop", "usage": USAGE, "model": "m"}


class Kind(ABC):
    """One of them; a record is a name and a text."""

    name: str
    file: str

    @abstractmethod
    def writer(self, path: Path) -> Callable[[str, str], None]:
        """A function that writes a record; once it returns, the record is acknowledged."""

    @abstractmethod
    def found(self, path: Path) -> dict[str, str]:
        """The records that can be read, as often as that may be."""

    def read(self, path: Path) -> tuple[dict[str, str], list[str]]:
        """The records that can be read, and what is told about the others."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            records = self.found(path)
        return records, [
            str(one.message) for one in caught if issubclass(one.category, DamagedFileWarning)
        ]


class Cassettes(Kind):
    name, file = "cassettes", "tape.jsonl"

    def writer(self, path: Path) -> Callable[[str, str], None]:
        deck = Deck(path, "auto")

        def write(name: str, text: str) -> None:
            request = {"model": "m", "messages": [{"role": "user", "content": name}]}
            deck.add(Record(request, (Piece(text, "text", 0.25),), "result", RESULT))

        return write

    def found(self, path: Path) -> dict[str, str]:
        Deck(path, "replay")
        return {record.prompt: record.reply for record in read_tape(path).records}


class Caches(Kind):
    name, file = "caches", "cache.sqlite"

    def writer(self, path: Path) -> Callable[[str, str], None]:
        return SQLiteStore(path).set

    def found(self, path: Path) -> dict[str, str]:
        store: SQLiteStore[str] = SQLiteStore(path)
        database: Database = store._database
        try:
            names = [row[0].removeprefix(MARK) for row in database.rows()]
            return {name: text for name in names if (text := store.get(name)) is not None}
        finally:
            store.close()


class Ledgers(Kind):
    name, file = "ledgers", "usage.sqlite"

    def writer(self, path: Path) -> Callable[[str, str], None]:
        ledger = UsageLedger()
        ledger.persist(path)
        return lambda name, text: ledger.add(UsageRecord(model="m", source=name, cell=len(text)))

    def found(self, path: Path) -> dict[str, str]:
        file = LedgerFile(path)
        try:
            frame = file.read()
        finally:
            file.close()
        return dict(zip(frame["source"], frame["cell"].astype(str), strict=True))


KINDS: tuple[Kind, ...] = (Cassettes(), Caches(), Ledgers())
