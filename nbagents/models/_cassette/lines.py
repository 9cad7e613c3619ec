"""A cassette's lines as records, read with suspicion. Pure.

People edit the file, git merges it, disks fill up, bytes flip. Whatever is not as it should be is
told, by its line, and costs no more than its own record.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = [
    "CHECKSUM",
    "LAST",
    "Line",
    "Piece",
    "Record",
    "UnreadableLineError",
    "check_group",
    "checksum_of",
    "default_in",
    "groups_in",
    "is_as_written",
    "line_in",
    "lines_in",
    "record_in",
]

CHECKSUM = "crc"
"""Where the checksum of a record stands, beside its ending."""

_PARTS = ("message", "tool", "text", "reasoning")
_ENDINGS = ("result", "error", "left")
_BEGINNINGS = ("request", "default", "nbagents_cassette")
_KINDS = (*_BEGINNINGS, *_PARTS, *_ENDINGS)
LAST = (*_ENDINGS, "default", "nbagents_cassette")
"""What the last line of something whole can be."""
_OF_A_DEFAULT = ("asked", "provider", "model", "reason")
_CONFLICT = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_DEEPEST = 100
_FOR_EVER = 1e9  # seconds


class UnreadableLineError(ValueError):
    """A line is not as it should be.

    Attributes:
        number: Which line; the first is 1.
        why: What is wrong with it.
    """

    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number
        self.why = why


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
        """What was said last, in words; an image is ``[image]``."""
        messages = self.request.get("messages") or [{}]
        said = messages[-1].get("content") or ""
        parts = said if isinstance(said, list) else [said]
        return " ".join(map(_words_of, parts))

    @property
    def reply(self) -> str:
        """What came, as text: words, calls, or the failure."""
        text = "".join(piece.text for piece in self.pieces if piece.kind == "text")
        if text or self.ending == "left":
            return text
        said = self.details.get("content") or self.details.get("message") or ""
        return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


def _words_of(part: Any) -> str:
    """What a part of a message says, as far as it says anything."""
    if isinstance(part, dict):
        kind = str(part.get("type", "part")).removesuffix("_url")
        part = part.get("text", f"[{kind}]")
    return str(part)


class Line(NamedTuple):
    """A line of the file.

    Attributes:
        number: Which one.
        kind: What it says it is, ``"request"`` for example; empty for one that cannot be read.
        content: The whole object.
        wrong: Why it cannot be read.
    """

    number: int
    kind: str
    content: Mapping[str, Any]
    wrong: str = ""


def lines_in(data: bytes) -> Iterator[Line]:
    """The lines that are not empty."""
    # Not splitlines(): U+2028 within JSON is content.
    for number, text in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if text.strip():
            yield line_in(number, text.strip())


def line_in(number: int, text: bytes) -> Line:
    """One line."""
    try:
        return _line(number, text)
    except UnreadableLineError as error:
        return Line(number, "", {}, error.why)


def groups_in(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines of each record and each ``default``, and those that are left of others."""
    group: list[Line] = []
    for line in lines:
        if line.kind in _BEGINNINGS and group:
            yield group
            group = []
        group.append(line)
        if line.kind in LAST:
            yield group
            group = []
    if group:
        yield group


def check_group(group: Sequence[Line]) -> None:
    """See that the lines are those of a record, or of a default.

    Raises:
        UnreadableLineError: One cannot be read, or the first or the last is missing.
    """
    for line in group:
        _expect(line, bool(line.kind), line.wrong)
    first = group[0]
    _expect(first, first.kind in _BEGINNINGS, f"there is no request to its {first.kind!r}")
    unfinished = "the record that begins there has no end, as if what wrote it had been stopped"
    _expect(first, group[-1].kind in LAST, unfinished)


def checksum_of(contents: Sequence[Mapping[str, Any]]) -> str:
    """Of what the lines of a record mean: how they are spaced and ended makes no difference."""
    return f"{zlib.crc32(json.dumps(contents, sort_keys=True).encode()):08x}"


def is_as_written(group: Sequence[Line]) -> bool:
    """Whether a record is what it was when it was written; one without a checksum may be."""
    last = dict(group[-1].content)
    written = last.pop(CHECKSUM, None)
    return written in (None, checksum_of([*(line.content for line in group[:-1]), last]))


def record_in(group: Sequence[Line]) -> Record:
    """The record that these lines are.

    Raises:
        UnreadableLineError: One of them does not hold what it should.
    """
    first, *parts, last = group
    request = _checked(first, dict, "an object")
    for listed in ("messages", "tools"):
        _expect(first, listed not in request, f"its {listed!r} belong into lines of their own")
    pieces: list[Piece] = []
    for line in parts:
        if line.kind in ("text", "reasoning"):
            pieces += _pieces_in(line)
        else:
            part = _checked(line, dict, "an object")
            _check_message(line, part)
            request = {**request, f"{line.kind}s": [*request.get(f"{line.kind}s", ()), part]}
    details = _checked(last, dict, "an object")
    return Record(request, tuple(pieces), last.kind, details, first.number)


def default_in(line: Line) -> tuple[str, Mapping[str, str]]:
    """Which model answered, by the name that was asked for.

    Raises:
        UnreadableLineError: The line does not say.
    """
    found = dict(_checked(line, dict, "an object"))
    known = all(isinstance(found.get(name), str) for name in _OF_A_DEFAULT)
    _expect(line, known, f"{', '.join(_OF_A_DEFAULT)} have to be texts")
    return found.pop("asked"), found


def _line(number: int, text: bytes) -> Line:
    try:
        content = json.loads(text.decode())
    except UnicodeDecodeError as error:
        raise UnreadableLineError(number, "it is not UTF-8") from error
    except RecursionError as error:
        raise UnreadableLineError(number, "it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise UnreadableLineError(number, _why_not_json(error)) from error
    except ValueError as error:  # a number of thousands of digits
        raise UnreadableLineError(number, str(error)) from error
    if not isinstance(content, dict) or _depth(content) > _DEEPEST:
        why = "it is nested too deeply" if isinstance(content, dict) else "it is not a JSON object"
        raise UnreadableLineError(number, why)
    kinds = [kind for kind in _KINDS if kind in content]
    if len(kinds) != 1:
        raise UnreadableLineError(number, f"it has to have one of {', '.join(sorted(_KINDS))}")
    return Line(number, kinds[0], content)


def _why_not_json(error: json.JSONDecodeError) -> str:
    if error.doc.startswith(_CONFLICT):
        return "git left the mark of a merge conflict there; keep both sides, without the marks"
    return f"it is not a JSON object ({error.msg})"


def _depth(value: Any) -> int:
    """How deeply a value is nested; without recursion, for it may be deep."""
    depth, layer = 0, [value]
    while layer and depth <= _DEEPEST:
        depth += 1
        layer = [
            part
            for each in layer
            if isinstance(each, dict | list)
            for part in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


def _pieces_in(line: Line) -> Iterator[Piece]:
    texts = _checked(line, list, "a list of texts")
    after = line.content.get("after", [])
    _expect(line, all(isinstance(text, str) for text in texts), "it has to be a list of texts")
    _expect(
        line,
        isinstance(after, list) and all(_is_duration(seconds) for seconds in after),
        "its 'after' has to be a list of seconds",
    )
    for text, seconds in zip(texts, [*after, *[0.0] * len(texts)], strict=False):
        yield Piece(text, line.kind, seconds)


def _is_duration(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < _FOR_EVER


def _check_message(line: Line, part: Mapping[str, Any]) -> None:
    calls = part.get("tool_calls") or []
    _expect(
        line,
        isinstance(calls, list) and all(isinstance(call, dict) for call in calls),
        "its 'tool_calls' have to be a list of objects",
    )


def _checked(line: Line, kind: type[Any], said: str) -> Any:
    value = line.content[line.kind]
    _expect(line, isinstance(value, kind), f"its {line.kind!r} has to be {said}")
    return value


def _expect(line: Line, holds: bool, why: str) -> None:
    if not holds:
        raise UnreadableLineError(line.number, why)
