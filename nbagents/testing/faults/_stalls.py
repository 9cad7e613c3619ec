"""Broken streams: those that stall, and those that never end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

from nbagents.testing._script import ScriptedReply, chunk, raw
from nbagents.testing.faults._fault import Deadline, Fault, Outcome
from nbagents.testing.faults._parts import (
    BEGUN,
    DONE,
    HEAD,
    HELLO,
    SAID,
    START,
    STREAM,
    call,
    failed,
    gzipped,
    lines,
    plain,
    sent,
    usage,
)

__all__ = ["faults"]

_STOP = chunk(None, "stop")
_MIB = 1024 * 1024
_LETTERS = "ab cd ef\n" * 1_000  # 9 KB


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, reply, wanted, deadline in _stalls():
        yield Fault(name, "broken", what, [reply], wanted, deadline=deadline)
    for name, what, reply, wanted in _floods():
        yield Fault(name, "broken", what, [reply], wanted)


_Case = tuple[str, str, ScriptedReply, Outcome]


def _stalls() -> Iterator[tuple[str, str, ScriptedReply, Outcome, Deadline]]:
    late = failed("RequestTimeoutError", retryable=True)
    later = failed("RequestTimeoutError", HELLO, retryable=True)
    ping, role = b": keep-alive\n\n", lines(START[0])
    whole = Outcome(HELLO)

    def for_ever(step: bytes, *before: bytes) -> ScriptedReply:
        return sent(*before, *((step, 0.02) * 3_000), ending="stall")

    yield "silent", "no answer at all", raw(ending="stall"), late, "first_byte"
    yield (
        "silent_after_status",
        "a status line and nothing else",
        raw(HEAD, ending="stall"),
        late,
        "first_byte",
    )
    yield (
        "headers_for_ever",
        "a header byte now and then",
        raw(HEAD, *((b"x", 0.05) * 1_200), ending="stall"),
        late,
        "first_byte",
    )
    yield "silent_after_headers", "headers and nothing else", sent(ending="stall"), late, "silence"
    yield (
        "silent_after_role",
        "a role and nothing else",
        sent(role, ending="stall"),
        late,
        "silence",
    )
    yield (
        "silent_after_text",
        "some text and nothing else",
        sent(BEGUN, ending="stall"),
        later,
        "silence",
    )
    yield (
        "silent_in_an_event",
        "silence within an event",
        sent(BEGUN, b"data: {", ending="stall"),
        later,
        "silence",
    )
    yield "keep_alives_for_ever", "keep-alives and no text", for_ever(ping), late, "silence"
    yield (
        "keep_alives_after_text",
        "keep-alives behind some text",
        for_ever(ping, BEGUN),
        later,
        "silence",
    )
    yield (
        "empty_deltas_for_ever",
        "empty deltas behind some text",
        for_ever(lines(chunk("")), BEGUN),
        later,
        "silence",
    )
    yield "roles_for_ever", "role after role and no text", for_ever(role), late, "silence"
    yield (
        "usage_for_ever",
        "usage after usage and no text",
        for_ever(lines(usage())),
        late,
        "silence",
    )
    yield (
        "drops_for_ever",
        "an event that comes byte by byte and never ends",
        for_ever(b"x", BEGUN, b"data: "),
        later,
        "silence",
    )
    yield "spaces_for_ever", "white space that announces JSON", for_ever(b" "), late, "silence"
    yield (
        "words_for_ever",
        "a word now and then, for ever",
        for_ever(lines(chunk(""), usage()), BEGUN),
        later,
        "silence",
    )
    yield (
        "silent_after_the_end",
        "a finish reason, then silence",
        sent(BEGUN, lines(_STOP), ending="stall"),
        whole,
        "silence",
    )
    yield (
        "keep_alives_after_the_end",
        "a finish reason, then keep-alives for ever",
        for_ever(ping, BEGUN, lines(_STOP)),
        whole,
        "silence",
    )
    yield (
        "silent_in_an_error",
        "500 with a body that never comes",
        ScriptedReply(
            status=500, headers={"content-length": "99"}, framing="length", ending="stall"
        ),
        failed("ServerError", retryable=True, status_code=500),
        "silence",
    )


def _floods() -> Iterator[_Case]:
    long = failed("ProtocolError")
    bomb = _bomb()
    yield (
        "endless_line",
        "a line without end",
        sent(BEGUN, b"data: ", *repeat(b"x" * 65_536, 4_000), ending="stall"),
        failed("ProtocolError", HELLO),
    )
    yield (
        "endless_event",
        "data lines without end",
        sent(BEGUN, *repeat(b"data: x\n" * 8_192, 4_000), ending="stall"),
        failed("ProtocolError", HELLO),
    )
    yield (
        "endless_reasoning",
        "reasoning beyond every limit",
        sent(*repeat(lines(chunk(reasoning=_LETTERS)), 2_000)),
        long,
    )
    yield (
        "endless_arguments",
        "arguments beyond every limit",
        sent(*repeat(lines(chunk(tool_calls=[call(name="add", arguments=_LETTERS)])), 2_000)),
        long,
    )
    yield (
        "endless_calls",
        "thousands of function calls",
        plain(
            *(
                chunk(tool_calls=[call(n, f"c{n}", name="add", arguments="{}")])
                for n in range(1_200)
            ),
            DONE,
        ),
        long,
    )
    yield (
        "endless_spaces",
        "white space without end",
        sent(*repeat(b" " * 65_536, 4_000), ending="stall"),
        long,
    )
    yield (
        "endless_page",
        "a web page without end",
        sent(b"<html>", *repeat(b"<p>x</p>" * 8_192, 4_000), ending="stall"),
        long,
    )
    yield (
        "gzip_bomb",
        "a megabyte that unpacks to a gigabyte",
        ScriptedReply(bomb, headers={**STREAM, "content-encoding": "gzip"}, ending="stall"),
        long,
    )
    yield (
        "gzip_bomb_in_an_error",
        "500 whose body unpacks to a gigabyte",
        ScriptedReply(bomb, 500, {"content-encoding": "gzip"}, ending="stall"),
        failed("ServerError", retryable=True, status_code=500),
    )
    yield (
        "flood_of_comments",
        "200,000 comments, then the reply",
        sent(*repeat(b": x\n\n" * 2_000, 100), BEGUN, lines(_STOP, DONE)),
        SAID,
    )
    yield (
        "flood_of_pieces",
        "20,000 pieces of one character",
        sent(*repeat(lines(_bare("x")) * 100, 200), lines(_STOP, DONE)),
        Outcome("x" * 20_000),
    )


def _bomb() -> list[bytes]:
    """A stream of spaces in which each further packet of a kilobyte stands for a megabyte."""
    first, *_ = gzipped([b"data: "])
    packed = gzipped([b" " * _MIB, b" " * _MIB, b" " * _MIB])
    return [first, *repeat(packed[2], 1_024)]


def _bare(content: str) -> Any:
    return {"choices": [{"delta": {"content": content}}]}
