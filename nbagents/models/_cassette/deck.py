"""A cassette that is in use: what is known, what has been replayed, what is recorded."""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from nbagents._warnings import warn
from nbagents.errors import CassetteMissError, ConfigurationError, DamagedFileWarning
from nbagents.models._cassette.file import append, begin_anew, check_writable
from nbagents.models._cassette.lines import Record
from nbagents.models._cassette.misses import miss
from nbagents.models._cassette.request import canonical, fingerprint
from nbagents.models._cassette.rules import DEFAULT_RULES, Rule, normaliser
from nbagents.models._cassette.secrets import holds_secret, secrets_here
from nbagents.models._cassette.tape import (
    encode_default,
    encode_header,
    encode_record,
    read_tape,
    shown,
)

__all__ = ["REPORT", "Deck", "Mode"]

REPORT = "NBAGENTS_CASSETTE_REPORT"
"""A file to write down in which records were used: pytest reads what its kernels did."""

Mode: TypeAlias = Literal["live", "record", "replay", "auto"]
"""``live`` lets requests through, ``record`` records them anew, ``replay`` sends none, ``auto``
replays what is known and records what is new."""


class Deck:
    """Plays and records one cassette; any thread may use it.

    Args:
        path: The file; it is made with the first record.
        mode: What to do with a request.
        real_time: Whether replies come as slowly as they once did.
        rules: What varies and is not compared; the file's own when left out.

    Raises:
        ConfigurationError: The file is no cassette, or the mode is none.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: Mode = "auto",
        *,
        real_time: bool = False,
        rules: Sequence[Rule] | None = None,
    ) -> None:
        if mode not in get_args(Mode):
            raise ConfigurationError(
                f"A cassette's mode is {mode!r}; it can be {', '.join(get_args(Mode))}."
            )
        self.path = Path(path)
        self.mode = mode
        self.real_time = real_time
        self.recorded: list[Record] = []
        self._tape = read_tape(self.path)
        self._rules = self._tape.rules if rules is None else rules
        try:
            self._normalised = normaliser(self._rules)
        except ConfigurationError as error:
            if rules is not None:
                raise
            self._tape.damage.insert(0, (1, f"{error} The usual rules are taken"))
            self._rules = DEFAULT_RULES
            self._normalised = normaliser(self._rules)
        self._tell_damage()
        self._lock = threading.Lock()
        self._by_key: dict[str, list[int]] = defaultdict(list)
        self._asked: dict[str, int] = defaultdict(int)
        self._played: set[int] = set()
        self._begun = self._anew = False
        self._unwritten: list[bytes] = []
        for number, record in enumerate(self._tape.records):
            self._by_key[self._key(record.request)].append(number)

    @property
    def replays(self) -> bool:
        """Whether a request may be answered without being sent."""
        return self.mode in ("replay", "auto")

    @property
    def records(self) -> tuple[Record, ...]:
        """What the cassette holds."""
        return tuple(self._tape.records)

    @property
    def unused(self) -> tuple[Record, ...]:
        """What has not been replayed, nor recorded, since the cassette was put in."""
        records = enumerate(self._tape.records)
        return tuple(record for number, record in records if number not in self._played)

    def rewind(self) -> None:
        """Begin again with the first reply to each request."""
        with self._lock:
            self._asked.clear()
            self._played.clear()

    def asked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A request as it is compared and recorded."""
        request: dict[str, Any] = self._normalised(canonical(arguments))
        return request

    def next(self, request: Mapping[str, Any]) -> Record | None:
        """The reply to ``request`` whose turn it is; None where there is none.

        Asked again, a request gets its next reply. After the last the first comes again when
        only replaying; ``auto`` records a further one.
        """
        key = self._key(request)
        with self._lock:
            numbers, turn = self._by_key.get(key, ()), self._asked[key]
            if self.mode in ("live", "record") or not numbers:
                return None
            if turn >= len(numbers) and self.mode == "auto":
                return None
            self._asked[key] += 1
            number = numbers[turn % len(numbers)]
            self._note(number)
            return self._tape.records[number]

    def miss(self, request: Mapping[str, Any]) -> CassetteMissError:
        """The error for a request that is not there."""
        return miss(request, [record.request for record in self._tape.records], self.path)

    def check_writable(self) -> None:
        """See that a record can be added, before its reply is asked and paid for.

        Raises:
            ConfigurationError: It cannot.
        """
        if self.mode in ("record", "auto"):
            check_writable(self.path)

    def add(self, record: Record, keys: Sequence[str] = ()) -> None:
        """Record a request and its answer.

        What cannot be written is known here all the same, and written with the next record.

        Args:
            record: What to write.
            keys: What must not be in it.

        Raises:
            ConfigurationError: It holds what looks like a key, and nothing is written; or the
                file cannot be written.
        """
        self.check(record, keys)
        with self._lock:
            self._forget_old()
            number = len(self._tape.records)
            self._tape.records.append(record)
            self.recorded.append(record)
            key = self._key(record.request)
            self._by_key[key].append(number)
            self._asked[key] += 1
            self._write(encode_record(record))
            self._note(number, recorded=True)

    def check(self, value: Any, keys: Sequence[str] = ()) -> None:
        """Refuse what must not be written down: keys, and ``keys`` in particular.

        Raises:
            ConfigurationError: A text in ``value`` holds what looks like a key.
        """
        if holds_secret(value, secrets_here(keys)):
            raise ConfigurationError(
                f"This is not written to the cassette {shown(self.path)}: a text of it holds "
                "what looks like a key. Take it out of the prompt or the tool's result, or "
                'add {"replace": pattern, "with": text} to the rules in the cassette\'s header.'
            )

    def default_for(self, asked: str) -> Mapping[str, Any] | None:
        """Which model answered when ``asked`` was asked for; None when that is not recorded."""
        return self._tape.defaults.get(asked) if self.replays else None

    def note_default(self, asked: str, found: Mapping[str, Any]) -> None:
        """Record which model answers where ``asked`` is asked for."""
        if self.mode in ("live", "replay"):
            return
        with self._lock:
            self._forget_old()
            if self._tape.defaults.get(asked) != found:
                self._tape.defaults[asked] = found
                self._write(encode_default(asked, found))

    def _note(self, number: int, *, recorded: bool = False) -> None:
        """Note that a record was used, for who waits outside the kernel too."""
        self._played.add(number)
        if report := os.environ.get(REPORT):
            line = {"cassette": str(self.path), "number": number, "recorded": recorded}
            with Path(report).open("ab") as file:
                file.write(json.dumps(line).encode() + b"\n")

    def _forget_old(self) -> None:
        """Forget what the file held, when recording anew."""
        if self.mode == "record" and not self._begun:
            self._tape.records.clear()
            self._tape.defaults.clear()
            self._by_key.clear()
            self._begun = self._anew = True

    def _write(self, content: bytes) -> None:
        self._unwritten.append(content)
        header, contents = encode_header(self._rules), b"".join(self._unwritten)
        if self._anew:
            begin_anew(self.path, header + contents)
        else:
            append(self.path, contents, header)
        self._anew = False
        self._unwritten.clear()

    def _tell_damage(self) -> None:
        # Under pytest the plugin tells it: in a cell it would be an output that was not saved.
        if not self._tape.damage or REPORT in os.environ:
            return
        (number, why), *others = self._tape.damage
        more = f" ({len(others)} more like it)" if others else ""
        warn(
            f"Line {number} of the cassette {shown(self.path)} cannot be trusted: {why}{more}. "
            "What else it holds is used. Correct it, or delete the record and record it again.",
            DamagedFileWarning,
        )

    def _key(self, request: Mapping[str, Any]) -> str:
        return fingerprint(self._normalised(dict(request)))
