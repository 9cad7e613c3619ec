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

An image is kept as its digest. Beside the ending stands a checksum of the record, ``"crc"``:
whoever changes a record by hand deletes it. What cannot be read is left out and told, and costs
no other record.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from nbagents._unicode import mended
from nbagents.errors import ConfigurationError
from nbagents.models._cassette.lines import (
    CHECKSUM,
    Line,
    Piece,
    Record,
    UnreadableLineError,
    check_group,
    checksum_of,
    default_in,
    groups_in,
    is_as_written,
    lines_in,
    record_in,
)
from nbagents.models._cassette.locks import whole
from nbagents.models._cassette.replies import can_be_played
from nbagents.models._cassette.rules import DEFAULT_RULES, Rule

__all__ = [
    "Tape",
    "encode_default",
    "encode_header",
    "encode_record",
    "read_tape",
    "shown",
]

VERSION = 1
_BEGINNING = b'{"nbagents_cassette": 1, "rules": '


@dataclass
class Tape:
    """What a cassette's file holds.

    Attributes:
        rules: What is not compared.
        records: The recorded requests, in the order of the file.
        defaults: Which model answered, by the name that was asked for ("" for none).
        damage: What is wrong with the file: a line's number, and what about it.
    """

    rules: Sequence[Rule] = DEFAULT_RULES
    records: list[Record] = field(default_factory=list)
    defaults: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    damage: list[tuple[int, str]] = field(default_factory=list)


def read_tape(path: Path) -> Tape:
    """Read a cassette; one that does not exist is empty.

    Raises:
        ConfigurationError: The file is no cassette.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would let us wait for ever
            raise _unreadable(path, "it is not a file")
        data = whole(path)
    except FileNotFoundError:
        return Tape()
    except (OSError, ValueError) as error:  # also NUL in its name
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error
    if data.startswith((BOM_UTF16_BE, BOM_UTF16_LE)):
        raise ConfigurationError(
            f"{shown(path)} is no cassette that nbagents reads: it is written in UTF-16; save it "
            "as UTF-8."
        )
    lines = list(lines_in(data))
    if not lines:
        return Tape()
    if lines[0].kind != "nbagents_cassette" and _is_header_cut(data):
        return Tape(damage=[(1, "the header was not finished, as what wrote it was stopped")])
    tape = _begun(lines, path)
    for group in groups_in(lines[1:]):
        _read_group(group, tape)
    return tape


def encode_header(rules: Sequence[Rule]) -> bytes:
    """The first line of a file."""
    return _encoded([{"nbagents_cassette": VERSION, "rules": list(rules)}])


def encode_record(record: Record) -> bytes:
    """The lines of a record."""
    request = dict(record.request)
    messages, tools = request.pop("messages", []), request.pop("tools", [])
    lines: list[dict[str, Any]] = [{"request": request}]
    lines += [{"tool": tool} for tool in tools]
    lines += [{"message": message} for message in messages]
    lines += _runs(record.pieces)
    lines.append({record.ending: record.details})
    return _encoded(_with_checksum(lines))


def encode_default(asked: str, found: Mapping[str, Any]) -> bytes:
    """The line that says which model answered where ``asked`` was asked for."""
    return _encoded(_with_checksum([{"default": {"asked": asked, **found}}]))


def shown(path: Path) -> str:
    """The path as messages name it: from here, when it is below; the same on every machine."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _is_header_cut(data: bytes) -> bool:
    return b"\n" not in data and (data.startswith(_BEGINNING) or _BEGINNING.startswith(data))


def _unreadable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(f"The cassette {shown(path)} cannot be read: {why}.")


def _begun(lines: Sequence[Line], path: Path) -> Tape:
    """A tape with what its header says.

    Raises:
        ConfigurationError: It has none, and the file does not look like a cassette either.
    """
    header, rules = lines[0], lines[0].content.get("rules")
    is_spoilt = header.kind != "nbagents_cassette" and any(
        CHECKSUM in line.content for line in lines
    )
    if header.content.get("nbagents_cassette") != VERSION and not is_spoilt:
        raise ConfigurationError(
            f"{shown(path)} is no cassette that this nbagents reads: its first line is not "
            f'{{"nbagents_cassette": {VERSION}}}.'
        )
    if header.content == {"nbagents_cassette": VERSION}:
        return Tape()
    if rules is None:
        return Tape(damage=[(1, "it is not the header; the usual rules are taken")])
    return Tape(rules=rules)


def _read_group(group: Sequence[Line], tape: Tape) -> None:
    try:
        check_group(group)
        if group[0].kind == "default":
            asked, found = default_in(group[0])
            tape.defaults[asked] = found
        elif group[0].kind == "request":
            record = record_in(group)
            if is_as_written(group) or can_be_played(record):
                tape.records.append(record)
    except UnreadableLineError as error:
        tape.damage.append((error.number, error.why))
        return
    if not is_as_written(group):
        why = f'it was changed since it was recorded (if by you, delete its "{CHECKSUM}")'
        tape.damage.append((group[0].number, why))


def _runs(pieces: Iterable[Piece]) -> Iterator[dict[str, Any]]:
    """One line for each run of chunks of the same kind."""
    for kind, run in groupby(pieces, key=lambda piece: piece.kind):
        chunks = list(run)
        yield {
            kind: [piece.text for piece in chunks],
            "after": [round(piece.after, 3) for piece in chunks],
        }


def _with_checksum(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    contents = [json.loads(_text(line)) for line in lines]
    contents[-1][CHECKSUM] = checksum_of(contents)
    return contents


def _encoded(lines: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(f"{_text(line)}\n" for line in lines).encode()


def _text(line: Mapping[str, Any]) -> str:
    return mended(json.dumps(line, ensure_ascii=False))
