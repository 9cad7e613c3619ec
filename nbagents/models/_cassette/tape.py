"""A cassette as a file: JSON Lines that people can read, compare and correct.

The first line is the header, ``{"nbagents_cassette": 1, "rules": [...]}``. Then, for each
request, what was asked and what came::

    {"request": {"model": "gpt-4.1-mini", "temperature": 0}}
    {"message": {"role": "user", "content": "Say hello"}}
    {"text": ["Hel", "lo"], "after": [0.31, 0.02]}
    {"result": {"finish_reason": "stop", "usage": {...}, ...}}

A tool that was offered is a line ``tool``, reasoning a line ``reasoning``. Instead of a
``result`` stands an ``error``, or ``left`` when the reader went before the end. The reply's text
stands in its pieces alone. A line ``default`` says which model answered when none was named.

An image is kept as its digest. A record is written in one piece, at the end of the file; what a
killed process left unfinished is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from nbagents.errors import ConfigurationError
from nbagents.models._cassette.rules import DEFAULT_RULES, Rule
from nbagents.models._wire.unicode import mended

__all__ = [
    "Piece",
    "Record",
    "Tape",
    "read_tape",
    "shown",
    "write_default",
    "write_header",
    "write_record",
]

VERSION = 1
_BEGINNINGS = ("request", "default")
_ENDINGS = ("result", "error", "left")


class Piece(NamedTuple):
    """A chunk of a reply.

    Attributes:
        text: What came.
        kind: ``"text"`` or ``"reasoning"``.
        after: Seconds since the chunk before, or since the request was sent.
    """

    text: str
    kind: str = "text"
    after: float = 0.0


@dataclass(frozen=True)
class Record:
    """One request and how it was answered.

    Attributes:
        request: The canonical request.
        pieces: The chunks that came, in their order.
        ending: ``"result"``, ``"error"`` or ``"left"``.
        details: What is known of the ending.
        line: Where in the file it begins; 0 when it was not read from one.
    """

    request: Mapping[str, Any]
    pieces: tuple[Piece, ...]
    ending: str
    details: Mapping[str, Any]
    line: int = 0

    @property
    def prompt(self) -> str:
        """What was said last, as text."""
        messages = self.request.get("messages") or [{}]
        said = messages[-1].get("content") or ""
        return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)

    @property
    def reply(self) -> str:
        """What came, as text: words, calls, or the failure."""
        text = "".join(piece.text for piece in self.pieces if piece.kind == "text")
        if text or self.ending == "left":
            return text
        said = self.details.get("content") or self.details.get("message") or ""
        return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


@dataclass
class Tape:
    """What a cassette's file holds.

    Attributes:
        rules: What is not compared.
        records: The recorded requests, in the order of the file.
        defaults: Which model answered, by the name that was asked for ("" for none).
    """

    rules: Sequence[Rule] = DEFAULT_RULES
    records: list[Record] = field(default_factory=list)
    defaults: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def read_tape(path: Path) -> Tape:
    """Read a cassette; one that does not exist is empty.

    Raises:
        ConfigurationError: The file is no cassette, or a line of it is not as it should be.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Tape()
    except OSError as error:
        raise ConfigurationError(
            f"The cassette {shown(path)} cannot be read: {error.strerror}."
        ) from error
    lines = list(_lines(data))
    if not lines:
        return Tape()
    first = lines[0].content
    if first is None or first.get("nbagents_cassette") != VERSION:
        raise ConfigurationError(
            f"{shown(path)} is no cassette that this nbagents reads: its first line is not "
            f'{{"nbagents_cassette": {VERSION}}}.'
        )
    tape = Tape(rules=first.get("rules", DEFAULT_RULES))
    for group in _groups(lines[1:], path):
        _read_group(group, tape, path)
    return tape


def write_header(path: Path, rules: Sequence[Rule]) -> None:
    """Begin the file anew with nothing but its header.

    Raises:
        ConfigurationError: It cannot be written.
    """
    header = _encoded([{"nbagents_cassette": VERSION, "rules": list(rules)}])
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(header)
        fresh.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_record(path: Path, record: Record) -> None:
    """Add a record at the end of the file."""
    request = dict(record.request)
    messages, tools = request.pop("messages", []), request.pop("tools", [])
    lines: list[Mapping[str, Any]] = [{"request": request}]
    lines += [{"tool": tool} for tool in tools]
    lines += [{"message": message} for message in messages]
    lines += _runs(record.pieces)
    lines.append({record.ending: record.details})
    _append(path, lines)


def write_default(path: Path, asked: str, found: Mapping[str, Any]) -> None:
    """Note which model answered where ``asked`` was asked for."""
    _append(path, [{"default": {"asked": asked, **found}}])


class _Line(NamedTuple):
    number: int
    content: dict[str, Any] | None


def _lines(data: bytes) -> Iterator[_Line]:
    # Not splitlines(): U+2028 within JSON is content.
    for number, text in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if not text.strip():
            continue
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            content = None
        yield _Line(number, content if isinstance(content, dict) else None)


def _groups(lines: Iterable[_Line], path: Path) -> Iterator[list[_Line]]:
    """The lines of each record; one that was not finished is left out.

    Raises:
        ConfigurationError: A line cannot be read, and the record goes on behind it.
    """
    group: list[_Line] = []
    for line in lines:
        begins = line.content is not None and not line.content.keys().isdisjoint(_BEGINNINGS)
        if begins:
            if _is_whole(group):
                yield group
            group = []
        elif group and group[-1].content is None:
            raise _wrong(path, group[-1].number, "it is not a JSON object")
        group.append(line)
    if _is_whole(group):
        yield group


def _is_whole(group: Sequence[_Line]) -> bool:
    last = group[-1].content if group else None
    return last is not None and not last.keys().isdisjoint((*_ENDINGS, "default"))


def _read_group(group: Sequence[_Line], tape: Tape, path: Path) -> None:
    contents = [line.content or {} for line in group]
    number = group[0].number
    try:
        if "default" in contents[0]:
            found = dict(contents[0]["default"])
            tape.defaults[found.pop("asked")] = found
            return
        tape.records.append(_record(contents, number))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"the record that begins there lacks something: {error!r}"
        raise _wrong(path, number, why) from error


def _record(contents: Sequence[dict[str, Any]], line: int) -> Record:
    request = dict(contents[0]["request"])
    pieces: list[Piece] = []
    for content in contents[1:-1]:
        for part in ("message", "tool"):
            if part in content:
                request.setdefault(f"{part}s", []).append(content[part])
        for kind in ("text", "reasoning"):
            if kind in content:
                after = [*content.get("after", ()), *[0.0] * len(content[kind])]
                pieces += map(Piece, content[kind], [kind] * len(content[kind]), after)
    [(ending, details)] = contents[-1].items()
    return Record(request, tuple(pieces), ending, dict(details), line)


def _runs(pieces: Iterable[Piece]) -> Iterator[dict[str, Any]]:
    """One line for each run of chunks of the same kind."""
    for kind, run in groupby(pieces, key=lambda piece: piece.kind):
        chunks = list(run)
        yield {
            kind: [piece.text for piece in chunks],
            "after": [round(piece.after, 3) for piece in chunks],
        }


def _append(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    try:
        with path.open("ab+") as file:
            torn = b""
            if file.tell():
                file.seek(-1, os.SEEK_END)
                torn = b"" if file.read(1) == b"\n" else b"\n"
            # One write: kernels that record into the same file do not mix their lines.
            file.write(torn + _encoded(lines))
    except OSError as error:
        raise _unwritable(path, error) from error


def _encoded(lines: Iterable[Mapping[str, Any]]) -> bytes:
    texts = [mended(json.dumps(line, ensure_ascii=False)) for line in lines]
    return "".join(f"{text}\n" for text in texts).encode()


def shown(path: Path) -> str:
    """The path as messages name it: from here, when it is below; the same on every machine."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The cassette {shown(path)} cannot be written: {error.strerror}. Choose another file, or "
        "take the cassette out."
    )


def _wrong(path: Path, number: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"Line {number} of the cassette {shown(path)} cannot be used: {why}. Correct it, or "
        "delete the record and record it again."
    )
