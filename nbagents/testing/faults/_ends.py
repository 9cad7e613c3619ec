"""Broken streams: those that end too early, and what is no HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Literal

from nbagents.testing._script import ScriptedReply, chunk, raw
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    BEGUN,
    GZIP,
    HEAD,
    HELLO,
    START,
    STREAM,
    STREAM_HEADER,
    call,
    failed,
    gzipped,
    lines,
    sent,
    usage,
)

__all__ = ["faults"]

_Case = tuple[str, str, ScriptedReply, Outcome]

_CUT = failed("IncompleteReplyError", HELLO, retryable=True)
_NOTHING = failed("IncompleteReplyError", retryable=True)
_GONE = failed("APIConnectionError", retryable=True)

_CHUNKED = HEAD + STREAM_HEADER + b"transfer-encoding: chunked\r\n\r\n"
_HALF = lines(chunk("never"))[:-20]
_ACCENT = lines(chunk("ö"))
_LETTER = _ACCENT[: _ACCENT.index("ö".encode()) + 1]

_CALL = chunk(tool_calls=[call(name="add", arguments="{}")])
_HALF_A_CALL = chunk(tool_calls=[call(name="add", arguments='{"a"')])

_ENDED: tuple[tuple[str, str, tuple[bytes, ...], Outcome], ...] = (
    ("at_once", "an event stream without any event", (), _NOTHING),
    ("after_the_role", "the end comes before any text", (lines(START[0]),), _NOTHING),
    ("after_text", "the body ends properly, the reply does not", (BEGUN,), _CUT),
    (
        "after_usage",
        "usage, but no finish reason and no [DONE]",
        (*map(lines, START), lines(usage())),
        _CUT,
    ),
    ("in_an_event", "the body ends within an event", (BEGUN, _HALF), _CUT),
    ("in_a_character", "the body ends within a letter", (BEGUN, _LETTER), _CUT),
    ("in_a_field", "the body ends within the word data", (BEGUN, b"dat"), _CUT),
    (
        "in_reasoning",
        "the body ends while the model thinks",
        (lines(chunk(reasoning="Hm.")),),
        _NOTHING,
    ),
    ("in_a_call", "the body ends within a function call", (lines(_HALF_A_CALL),), _NOTHING),
    ("after_a_call", "the body ends after a whole function call", (lines(_CALL),), _NOTHING),
)
"""Bodies that end as bodies do, before the reply has."""

_BROKEN_OFF: tuple[tuple[str, str, tuple[bytes, ...], Outcome], ...] = (
    ("after_headers", "after the headers", (), _NOTHING),
    ("after_text", "after some text", (BEGUN,), _CUT),
    ("in_an_event", "within an event", (BEGUN, _HALF), _CUT),
)
"""Where the connection is closed or reset."""

_NO_ANSWERS: tuple[tuple[str, str, tuple[bytes, ...]], ...] = (
    ("closed_in_the_status", "the connection is closed within the status line", (b"HTTP/1.1 2",)),
    (
        "closed_in_the_headers",
        "the connection is closed within the headers",
        (HEAD + b"content-ty",),
    ),
    ("no_http", "an answer that is not HTTP", (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",)),
    ("binary", "an answer of random bytes", (bytes(range(256)) * 4,)),
    ("endless_header", "a header of megabytes", (HEAD, b"x: ", *repeat(b"x" * 65_536, 64))),
    ("header_folded_wrong", "a header without a colon", (HEAD + b"rubbish\r\n\r\n",)),
    (
        "two_lengths",
        "two lengths that contradict each other",
        (HEAD + b"content-length: 5\r\ncontent-length: 9\r\n\r\n",),
    ),
    (
        "switching_protocols",
        "101 and another protocol",
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",),
    ),
)
"""All that is sent before the connection is closed."""


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, reply, wanted in (*_early_ends(), *_damaged(), *_no_answers()):
        yield Fault(name, "broken", what, [reply], wanted)


def _early_ends() -> Iterator[_Case]:
    for place, what, steps, wanted in _ENDED:
        yield f"ends_{place}", what, sent(*steps), wanted
    hows: tuple[tuple[Literal["close", "reset"], str], ...]
    hows = ("close", "the connection is closed"), ("reset", "the connection is reset")
    for ending, what in hows:
        for place, where, steps, wanted in _BROKEN_OFF:
            yield f"{ending}_{place}", f"{what} {where}", sent(*steps, 0.02, ending=ending), wanted
        yield (
            f"{ending}_in_a_chunk",
            f"{what} within a chunk of the body",
            raw(_CHUNKED, b"%x\r\n%b" % (len(BEGUN) + 99, BEGUN), 0.02, ending=ending),
            _CUT,
        )


def _damaged() -> Iterator[_Case]:
    packed = gzipped([BEGUN])[0]
    promised = {**STREAM, "content-length": "9000"}
    yield (
        "shorter_than_told",
        "fewer bytes than content-length says",
        ScriptedReply([BEGUN], headers=promised, framing="length", ending="close"),
        _CUT,
    )
    yield "gzip_cut", "a gzipped body that is cut", ScriptedReply([packed], headers=GZIP), _CUT
    yield (
        "gzip_damaged",
        "a gzipped body with wrong bytes in it",
        ScriptedReply([packed, b"\xff" * 99], headers=GZIP),
        failed("ProtocolError", HELLO),
    )
    yield (
        "gzip_not",
        "a body that only says it is gzipped",
        ScriptedReply([BEGUN], headers=GZIP),
        failed("ProtocolError"),
    )
    yield (
        "chunk_of_no_size",
        "a chunk whose size is no number",
        raw(_CHUNKED, b"%x\r\n%b\r\nzz\r\n" % (len(BEGUN), BEGUN)),
        _CUT,
    )
    yield "no_content", "204 without a body", ScriptedReply(status=204, framing="close"), _NOTHING


def _no_answers() -> Iterator[_Case]:
    yield "closed_at_once", "the connection is closed without an answer", raw(), _GONE
    yield "reset_at_once", "the connection is reset without an answer", raw(ending="reset"), _GONE
    yield (
        "reset_in_the_headers",
        "the connection is reset within the headers",
        raw(HEAD + b"content-ty", 0.02, ending="reset"),
        _GONE,
    )
    for name, what, steps in _NO_ANSWERS:
        yield name, what, raw(*steps), _GONE
