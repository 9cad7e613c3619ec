"""Broken streams: those that stall, and those that never end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

from nbagents.testing._script import ScriptedReply, chunk, raw
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    BEGUN,
    DONE,
    GZIP,
    HEAD,
    HELLO,
    SAID,
    START,
    STOP,
    call,
    failed,
    gzipped,
    lines,
    plain,
    sent,
    usage,
)

__all__ = ["faults"]

_Case = tuple[str, str, ScriptedReply, Outcome]
_Steps = tuple[bytes | float, ...]

_MIB = 1024 * 1024
_LETTERS = "ab cd ef\n" * 1_000  # 9 KB

_LATE = failed("RequestTimeoutError", retryable=True)
_LATER = failed("RequestTimeoutError", HELLO, retryable=True)
_TOO_MUCH = failed("ProtocolError")
_SERVER = failed("ServerError", retryable=True, status_code=500)

_PING, _ROLE, _ENDED = b": keep-alive\n\n", lines(START[0]), lines(STOP)


def _for_ever(step: bytes, seconds: float = 0.02) -> _Steps:
    return (step, seconds) * round(60 / seconds)


_NO_HEAD: tuple[tuple[str, str, _Steps], ...] = (
    ("silent", "no answer at all", ()),
    ("silent_after_status", "a status line and nothing else", (HEAD,)),
    ("headers_for_ever", "a header byte now and then", (HEAD, *_for_ever(b"x", 0.05))),
)
"""What comes of the answer's head."""

_NO_TEXT: tuple[tuple[str, str, _Steps], ...] = (
    ("silent_after_headers", "headers and nothing else", ()),
    ("silent_after_role", "a role and nothing else", (_ROLE,)),
    ("keep_alives_for_ever", "keep-alives and no text", _for_ever(_PING)),
    ("roles_for_ever", "role after role and no text", _for_ever(_ROLE)),
    ("usage_for_ever", "usage after usage and no text", _for_ever(lines(usage()))),
    ("spaces_for_ever", "white space that announces JSON", _for_ever(b" ")),
)
"""What comes of the stream."""

_NO_MORE_TEXT: tuple[tuple[str, str, _Steps], ...] = (
    ("silent_after_text", "some text and nothing else", ()),
    ("silent_in_an_event", "silence within an event", (b"data: {",)),
    ("keep_alives_after_text", "keep-alives behind some text", _for_ever(_PING)),
    ("empty_deltas_for_ever", "empty deltas behind some text", _for_ever(lines(chunk("")))),
    (
        "drops_for_ever",
        "an event that comes byte by byte and never ends",
        (b"data: ", *_for_ever(b"x")),
    ),
    ("words_for_ever", "a word now and then, for ever", _for_ever(lines(chunk(""), usage()))),
)
"""What comes behind some text."""

_NO_END: tuple[tuple[str, str, _Steps], ...] = (
    ("silent_after_the_end", "a finish reason, then silence", ()),
    ("keep_alives_after_the_end", "a finish reason, then keep-alives for ever", _for_ever(_PING)),
)
"""What comes behind the finish reason."""


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, steps in _NO_HEAD:
        silent = [raw(*steps, ending="stall")]
        yield Fault(name, "broken", what, silent, _LATE, deadline="first_byte")
    for name, what, reply, wanted in _stalls():
        yield Fault(name, "broken", what, [reply], wanted, deadline="silence")
    for name, what, reply, wanted in _floods():
        yield Fault(name, "broken", what, [reply], wanted)


def _stalls() -> Iterator[_Case]:
    for name, what, steps in _NO_TEXT:
        yield name, what, sent(*steps, ending="stall"), _LATE
    for name, what, steps in _NO_MORE_TEXT:
        yield name, what, sent(BEGUN, *steps, ending="stall"), _LATER
    for name, what, steps in _NO_END:
        yield name, what, sent(BEGUN, _ENDED, *steps, ending="stall"), SAID
    yield (
        "silent_in_an_error",
        "500 with a body that never comes",
        ScriptedReply(
            status=500, headers={"content-length": "99"}, framing="length", ending="stall"
        ),
        _SERVER,
    )


def _floods() -> Iterator[_Case]:
    thought = lines(chunk(reasoning=_LETTERS))
    arguments = lines(chunk(tool_calls=[call(name="add", arguments=_LETTERS)]))
    numbered = [call(n, f"c{n}", name="add", arguments="{}") for n in range(1_200)]
    bomb = _bomb()
    for name, what, begun, step, wanted in (
        (
            "endless_line",
            "a line without end",
            (BEGUN, b"data: "),
            b"x" * 65_536,
            failed("ProtocolError", HELLO),
        ),
        (
            "endless_event",
            "data lines without end",
            (BEGUN,),
            b"data: x\n" * 8_192,
            failed("ProtocolError", HELLO),
        ),
        ("endless_spaces", "white space without end", (), b" " * 65_536, _TOO_MUCH),
        ("endless_page", "a web page without end", (b"<html>",), b"<p>x</p>" * 8_192, _TOO_MUCH),
    ):
        yield name, what, sent(*begun, *repeat(step, 4_000), ending="stall"), wanted
    yield "endless_reasoning", "reasoning beyond every limit", _often(thought), _TOO_MUCH
    yield "endless_arguments", "arguments beyond every limit", _often(arguments), _TOO_MUCH
    yield (
        "endless_calls",
        "thousands of function calls",
        plain(*(chunk(tool_calls=[each]) for each in numbered), DONE),
        _TOO_MUCH,
    )
    yield (
        "gzip_bomb",
        "a megabyte that unpacks to a gigabyte",
        ScriptedReply(bomb, headers=GZIP, ending="stall"),
        _TOO_MUCH,
    )
    yield (
        "gzip_bomb_in_an_error",
        "500 whose body unpacks to a gigabyte",
        ScriptedReply(bomb, 500, {"content-encoding": "gzip"}, ending="stall"),
        _SERVER,
    )
    yield (
        "flood_of_comments",
        "200,000 comments, then the reply",
        sent(*repeat(b": x\n\n" * 2_000, 100), BEGUN, lines(STOP, DONE)),
        SAID,
    )
    yield (
        "flood_of_pieces",
        "20,000 pieces of one character",
        sent(*repeat(lines(_bare("x")) * 100, 200), lines(STOP, DONE)),
        Outcome("x" * 20_000),
    )


def _often(event: bytes) -> ScriptedReply:
    return sent(*repeat(event, 2_000))


def _bomb() -> list[bytes]:
    """A stream of spaces in which each further packet of a kilobyte stands for a megabyte."""
    first, *_ = gzipped([b"data: "])
    packed = gzipped([b" " * _MIB, b" " * _MIB, b" " * _MIB])
    return [first, *repeat(packed[2], 1_024)]


def _bare(content: str) -> Any:
    return {"choices": [{"delta": {"content": content}}]}
