"""Broken streams: those that end too early, and what is no HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Literal

from nbagents.testing._script import ScriptedReply, chunk, raw
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    BEGUN,
    HEAD,
    HELLO,
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

_KIND = b"content-type: text/event-stream\r\n"
_CHUNKED = HEAD + _KIND + b"transfer-encoding: chunked\r\n\r\n"
_CUT = failed("IncompleteReplyError", HELLO, retryable=True)
_NOTHING = failed("IncompleteReplyError", retryable=True)
_GONE = failed("APIConnectionError", retryable=True)


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, reply, wanted in (*_early_ends(), *_no_answers(), *_no_http()):
        yield Fault(name, "broken", what, [reply], wanted)


_Case = tuple[str, str, ScriptedReply, Outcome]


def _early_ends() -> Iterator[_Case]:
    event = lines(chunk("never"))
    accent = lines(chunk("ö"))
    half = accent.index("ö".encode()) + 1
    yield "ends_at_once", "an event stream without any event", sent(), _NOTHING
    yield "ends_after_the_role", "the end comes before any text", plain(START[0]), _NOTHING
    yield "ends_after_text", "the body ends properly, the reply does not", sent(BEGUN), _CUT
    yield (
        "ends_after_usage",
        "usage, but no finish reason and no [DONE]",
        plain(*START, usage()),
        _CUT,
    )
    yield (
        "ends_in_an_event",
        "the body ends within an event",
        sent(BEGUN, event[:-20]),
        _CUT,
    )
    yield (
        "ends_in_a_character",
        "the body ends within a letter",
        sent(BEGUN, accent[:half]),
        _CUT,
    )
    yield "ends_in_a_field", "the body ends within the word data", sent(BEGUN, b"dat"), _CUT
    yield (
        "ends_in_reasoning",
        "the body ends while the model thinks",
        plain(chunk(reasoning="Hm.")),
        _NOTHING,
    )
    yield (
        "ends_in_a_call",
        "the body ends within a function call",
        plain(chunk(tool_calls=[call(name="add", arguments='{"a"')])),
        _NOTHING,
    )
    yield (
        "ends_after_a_call",
        "the body ends after a whole function call",
        plain(chunk(tool_calls=[call(name="add", arguments="{}")])),
        _NOTHING,
    )
    cuts: tuple[tuple[Literal["close", "reset"], str], ...]
    cuts = ("close", "closed"), ("reset", "reset")
    for ending, how in cuts:
        yield (
            f"{ending}_after_headers",
            f"the connection is {how} after the headers",
            sent(0.02, ending=ending),
            _NOTHING,
        )
        yield (
            f"{ending}_after_text",
            f"the connection is {how} after some text",
            sent(BEGUN, 0.02, ending=ending),
            _CUT,
        )
        yield (
            f"{ending}_in_an_event",
            f"the connection is {how} within an event",
            sent(BEGUN, event[:-20], 0.02, ending=ending),
            _CUT,
        )
        yield (
            f"{ending}_in_a_chunk",
            f"the connection is {how} within a chunk of the body",
            raw(_CHUNKED, b"%x\r\n%b" % (len(BEGUN) + 99, BEGUN), 0.02, ending=ending),
            _CUT,
        )
    yield (
        "shorter_than_told",
        "fewer bytes than content-length says",
        ScriptedReply(
            [BEGUN], headers={**STREAM, "content-length": "9000"}, framing="length", ending="close"
        ),
        _CUT,
    )
    yield (
        "gzip_cut",
        "a gzipped body that is cut",
        ScriptedReply(gzipped([BEGUN])[:1], headers={**STREAM, "content-encoding": "gzip"}),
        _CUT,
    )
    yield (
        "gzip_damaged",
        "a gzipped body with wrong bytes in it",
        ScriptedReply(
            [gzipped([BEGUN])[0], b"\xff" * 99], headers={**STREAM, "content-encoding": "gzip"}
        ),
        failed("ProtocolError", HELLO),
    )
    yield (
        "gzip_not",
        "a body that only says it is gzipped",
        ScriptedReply([BEGUN], headers={**STREAM, "content-encoding": "gzip"}),
        failed("ProtocolError"),
    )


def _no_answers() -> Iterator[_Case]:
    yield "closed_at_once", "the connection is closed without an answer", raw(), _GONE
    yield "reset_at_once", "the connection is reset without an answer", raw(ending="reset"), _GONE
    yield (
        "closed_in_the_status",
        "the connection is closed within the status line",
        raw(b"HTTP/1.1 2"),
        _GONE,
    )
    yield (
        "closed_in_the_headers",
        "the connection is closed within the headers",
        raw(HEAD + b"content-ty"),
        _GONE,
    )
    yield (
        "reset_in_the_headers",
        "the connection is reset within the headers",
        raw(HEAD + b"content-ty", 0.02, ending="reset"),
        _GONE,
    )


def _no_http() -> Iterator[_Case]:
    yield "no_http", "an answer that is not HTTP", raw(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), _GONE
    yield "binary", "an answer of random bytes", raw(bytes(range(256)) * 4), _GONE
    yield (
        "endless_header",
        "a header of megabytes",
        raw(*chain([HEAD, b"x: "], repeat(b"x" * 65_536, 64))),
        _GONE,
    )
    yield "header_folded_wrong", "a header without a colon", raw(HEAD + b"rubbish\r\n\r\n"), _GONE
    yield (
        "two_lengths",
        "two lengths that contradict each other",
        raw(HEAD + b"content-length: 5\r\ncontent-length: 9\r\n\r\n"),
        _GONE,
    )
    yield (
        "chunk_of_no_size",
        "a chunk whose size is no number",
        raw(_CHUNKED, b"%x\r\n%b\r\nzz\r\n" % (len(BEGUN), BEGUN)),
        _CUT,
    )
    yield (
        "no_content",
        "204 without a body",
        ScriptedReply(status=204, framing="close"),
        failed("IncompleteReplyError", retryable=True),
    )
    yield (
        "switching_protocols",
        "101 and another protocol",
        raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"),
        _GONE,
    )
