"""Legal but unusual: forms of the stream, of its body and of its headers."""

from __future__ import annotations

import json
from collections.abc import Iterator

from nbagents.testing._script import ScriptedReply, raw
from nbagents.testing.faults._fault import Fault
from nbagents.testing.faults._parts import (
    EVENTS,
    GZIP,
    HEAD,
    STREAM,
    STREAM_HEADER,
    WHOLE,
    cut,
    data,
    gzipped,
    lines,
    plain,
    sent,
)

__all__ = ["faults"]

_Case = tuple[str, str, ScriptedReply]

_BODY = lines(*EVENTS)
_PACKETS = [lines(event) for event in EVENTS]

_AMONG = (
    ("events_without_data", "pings that have a name and no data", b"event: ping\n\n"),
    ("bare_data", "lines with the word data and no colon", b"data\n\n"),
    ("empty_data", "events whose data is empty", b"data:\n\ndata: \n\n"),
    ("blank_lines", "many blank lines between events", b"\n\n\n\n"),
    ("unknown_fields", "fields that no standard knows", b"foo: bar\nfoo\nDATA: x\n\n"),
)
"""What stands before each event, and behind the last."""

_FIELDS = (
    ("data_without_space", "no space after data:", b"data:"),
    ("data_with_spaces", "three spaces after data:", b"data:   "),
    ("named_message", "every event is named message", b"event: message\ndata: "),
    (
        "named_otherwise",
        "every event is named completion.chunk",
        b"event: completion.chunk\ndata: ",
    ),
)
"""What stands in place of ``data: ``."""

_TYPES = (
    ("wrong_content_type", "a stream that calls itself JSON", "application/json"),
    (
        "odd_content_type",
        "the content type has parameters and capitals",
        'Text/Event-Stream; charset="UTF-8"; x=y',
    ),
)


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, reply in (*_line_ends(), *_cuts(), *_fields(), *_bodies(), *_heads()):
        yield Fault(name, "legal", what, [reply], WHOLE)


def _line_ends() -> Iterator[_Case]:
    mixed = b"".join(
        lines(event, end=end)
        for event, end in zip(EVENTS, (b"\n", b"\r\n", b"\r") * 2, strict=True)
    )
    yield "lines_end_with_lf", "lines end with LF, one packet for each event", plain(*EVENTS)
    yield "lines_end_with_crlf", "lines end with CRLF", sent(lines(*EVENTS, end=b"\r\n"))
    yield "lines_end_with_cr", "lines end with CR", sent(lines(*EVENTS, end=b"\r"))
    yield "lines_end_in_all_ways", "LF, CRLF and CR in one stream", sent(mixed)


def _cuts() -> Iterator[_Case]:
    accent, smiley = _BODY.index("ö".encode()) + 1, _BODY.index("😀".encode()) + 2
    letters = _BODY[:accent], 0.01, _BODY[accent:smiley], 0.01, _BODY[smiley:]
    crlf = lines(*EVENTS, end=b"\r\n")
    middle = crlf.index(b"\n", 300)
    line = _BODY.index(b"\n") + 1
    yield "byte_by_byte", "every byte is a chunk of its own", sent(*cut(_BODY, 1))
    yield "three_bytes_each", "every three bytes are a chunk", sent(*cut(_BODY, 3))
    yield "all_at_once", "the whole stream is one packet", sent(_BODY)
    yield "cut_in_a_character", "packets end within an accent and within an emoji", sent(*letters)
    yield (
        "cut_in_a_crlf",
        "a packet ends between CR and LF",
        sent(crlf[:middle], 0.01, crlf[middle:]),
    )
    yield "cut_in_a_blank_line", "the blank line comes later", sent(*cut(_BODY, line))


def _fields() -> Iterator[_Case]:
    commented = [b": x\n:\ndata: %b\n: data: y\n\n" % data(event) for event in EVENTS]
    pings = [step for packet in _PACKETS for step in (b": ping\n\n", 0.01, packet)]
    numbered = [b"id: 7\nretry: 10\n\nid: 8\ndata: %b\n\n" % data(event) for event in EVENTS]
    pretty = [b"".join(b"data: %b\n" % line for line in _pretty(event)) + b"\n" for event in EVENTS]
    yield "bom", "a byte order mark stands before the first event", sent(b"\xef\xbb\xbf" + _BODY)
    yield "bom_in_pieces", "a byte order mark that is cut", sent(b"\xef", b"\xbb", b"\xbf", _BODY)
    yield "comment_first", "a comment stands before the first event", sent(b": hi\n\n" + _BODY)
    yield "comments_between", "comments between and within events", sent(b"".join(commented))
    yield "keep_alives", "keep-alive comments while the model thinks", sent(*pings)
    for name, what, between in _AMONG:
        yield name, what, sent(*(between + packet for packet in _PACKETS), between)
    yield (
        "ids_and_retries",
        "events with id and retry, some with nothing else",
        sent(b"".join(numbered)),
    )
    yield (
        "data_on_many_lines",
        "pretty-printed JSON, each of its lines a data line",
        sent(b"".join(pretty)),
    )
    for name, what, field in _FIELDS:
        yield name, what, sent(_BODY.replace(b"data: ", field))


def _bodies() -> Iterator[_Case]:
    packed, deflated = gzipped(_PACKETS), gzipped(_PACKETS, "deflate")
    drops = cut(b"".join(packed), 1)
    deflate = {**STREAM, "content-encoding": "deflate"}
    extended = b"%x;name=value\r\n%b\r\n0\r\nx-checksum: 1\r\n\r\n" % (len(_BODY), _BODY)
    yield "gzip", "the body is gzipped, each event flushed", ScriptedReply(packed, headers=GZIP)
    yield "gzip_byte_by_byte", "a gzipped body, byte by byte", ScriptedReply(drops, headers=GZIP)
    yield "deflate", "the body is deflated", ScriptedReply(deflated, headers=deflate)
    yield (
        "http_1_0",
        "HTTP/1.0, whose body ends with the connection",
        plain(*EVENTS, framing="close", version="1.0"),
    )
    yield "close_delimited", "HTTP/1.1 without length or chunks", plain(*EVENTS, framing="close")
    yield "content_length", "a stream whose length is told", plain(*EVENTS, framing="length")
    yield (
        "chunk_extensions",
        "chunks with extensions, and trailers behind them",
        raw(HEAD + STREAM_HEADER + b"transfer-encoding: chunked\r\n\r\n", extended),
    )


def _heads() -> Iterator[_Case]:
    closed = b"connection: close\r\n\r\n"
    rest = STREAM_HEADER + closed
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    many = {**STREAM, **{f"x-{number}": "ü" * 40 for number in range(90)}}
    yield "early_hints", "a 103 comes before the answer", raw(hints + HEAD + rest, _BODY)
    yield (
        "head_in_pieces",
        "status line and headers come byte by byte",
        raw(*cut(HEAD + rest, 1), _BODY),
    )
    yield "no_reason_phrase", "a status line without words", raw(b"HTTP/1.1 200 \r\n" + rest, _BODY)
    yield "no_content_type", "no header says what the body is", raw(HEAD + closed, _BODY)
    for name, what, kind in _TYPES:
        yield name, what, ScriptedReply(_PACKETS, headers={"content-type": kind})
    yield "status_201", "the answer is 201 instead of 200", plain(*EVENTS, status=201)
    yield (
        "many_headers",
        "a hundred headers, some with bytes beyond ASCII",
        ScriptedReply(_PACKETS, headers=many),
    )


def _pretty(event: object) -> list[bytes]:
    text = event if isinstance(event, str) else json.dumps(event, indent=1)
    return text.encode().split(b"\n")
