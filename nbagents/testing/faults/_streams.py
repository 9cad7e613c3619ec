"""Legal but unusual: forms of the stream, of its body and of its headers."""

from __future__ import annotations

import json
from collections.abc import Iterator

from nbagents.testing._script import ScriptedReply, chunk, completion, raw
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    DONE,
    END,
    EVENTS,
    HEAD,
    HELLO,
    START,
    STREAM,
    WHOLE,
    answer,
    data,
    gzipped,
    lines,
    plain,
    sent,
    usage,
)

__all__ = ["faults"]

_BODY = lines(*EVENTS)
_PACKETS = [lines(event) for event in EVENTS]
_KIND = b"content-type: text/event-stream\r\n"


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, reply in (*_line_ends(), *_cuts(), *_fields(), *_bodies(), *_heads()):
        yield Fault(name, "legal", what, [reply], WHOLE)
    yield from _ends()
    yield from _not_streamed()


def _line_ends() -> Iterator[tuple[str, str, ScriptedReply]]:
    mixed = b"".join(
        lines(event, end=end)
        for event, end in zip(EVENTS, (b"\n", b"\r\n", b"\r") * 2, strict=True)
    )
    yield "lines_end_with_lf", "lines end with LF, one packet for each event", plain(*EVENTS)
    yield "lines_end_with_crlf", "lines end with CRLF", sent(lines(*EVENTS, end=b"\r\n"))
    yield "lines_end_with_cr", "lines end with CR", sent(lines(*EVENTS, end=b"\r"))
    yield "lines_end_in_all_ways", "LF, CRLF and CR in one stream", sent(mixed)


def _cuts() -> Iterator[tuple[str, str, ScriptedReply]]:
    accent, smiley = _BODY.index("ö".encode()) + 1, _BODY.index("😀".encode()) + 2
    crlf = lines(*EVENTS, end=b"\r\n")
    cut = crlf.index(b"\n", 300)
    yield "byte_by_byte", "every byte is a chunk of its own", sent(*_cut(_BODY, 1))
    yield "three_bytes_each", "every three bytes are a chunk", sent(*_cut(_BODY, 3))
    yield "all_at_once", "the whole stream is one packet", sent(_BODY)
    yield (
        "cut_in_a_character",
        "packets end within an accent and within an emoji",
        sent(_BODY[:accent], 0.01, _BODY[accent:smiley], 0.01, _BODY[smiley:]),
    )
    yield "cut_in_a_crlf", "a packet ends between CR and LF", sent(crlf[:cut], 0.01, crlf[cut:])
    yield (
        "cut_in_a_blank_line",
        "the blank line comes later",
        sent(*_cut(_BODY, _BODY.index(b"\n") + 1)),
    )


def _fields() -> Iterator[tuple[str, str, ScriptedReply]]:
    pretty = b"".join(
        b"".join(b"data: %b\n" % line for line in _pretty(event)) + b"\n" for event in EVENTS
    )
    yield "bom", "a byte order mark stands before the first event", sent(b"\xef\xbb\xbf" + _BODY)
    yield "bom_in_pieces", "a byte order mark that is cut", sent(b"\xef", b"\xbb", b"\xbf", _BODY)
    yield "comment_first", "a comment stands before the first event", sent(b": hi\n\n" + _BODY)
    yield (
        "comments_between",
        "comments between and within events",
        sent(b"".join(b": x\n:\ndata: %b\n: data: y\n\n" % data(event) for event in EVENTS)),
    )
    yield (
        "keep_alives",
        "keep-alive comments while the model thinks",
        sent(*(step for each in _PACKETS for step in (b": ping\n\n", 0.01, each))),
    )
    yield "events_without_data", "pings that have a name and no data", _among(b"event: ping\n\n")
    yield (
        "ids_and_retries",
        "events with id and retry, some with nothing else",
        sent(
            b"".join(b"id: 7\nretry: 10\n\nid: 8\ndata: %b\n\n" % data(event) for event in EVENTS)
        ),
    )
    yield "bare_data", "lines with the word data and no colon", _among(b"data\n\n")
    yield "empty_data", "events whose data is empty", _among(b"data:\n\ndata: \n\n")
    yield "blank_lines", "many blank lines between events", _among(b"\n\n\n\n")
    yield "unknown_fields", "fields that no standard knows", _among(b"foo: bar\nfoo\nDATA: x\n\n")
    yield "data_on_many_lines", "pretty-printed JSON, each of its lines a data line", sent(pretty)
    yield "data_without_space", "no space after data:", sent(_BODY.replace(b"data: ", b"data:"))
    yield (
        "data_with_spaces",
        "three spaces after data:",
        sent(_BODY.replace(b"data: ", b"data:   ")),
    )
    yield (
        "named_message",
        "every event is named message",
        sent(_BODY.replace(b"data: ", b"event: message\ndata: ")),
    )
    yield (
        "named_otherwise",
        "every event is named completion.chunk",
        sent(_BODY.replace(b"data: ", b"event: completion.chunk\ndata: ")),
    )


def _bodies() -> Iterator[tuple[str, str, ScriptedReply]]:
    length = len(_BODY)
    gzip = {**STREAM, "content-encoding": "gzip"}
    yield (
        "gzip",
        "the body is gzipped, each event flushed",
        ScriptedReply(gzipped(_PACKETS), headers=gzip),
    )
    yield (
        "gzip_byte_by_byte",
        "a gzipped body, byte by byte",
        ScriptedReply(_cut(b"".join(gzipped(_PACKETS)), 1), headers=gzip),
    )
    yield (
        "deflate",
        "the body is deflated",
        ScriptedReply(
            gzipped(_PACKETS, "deflate"), headers={**STREAM, "content-encoding": "deflate"}
        ),
    )
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
        raw(
            HEAD + _KIND + b"transfer-encoding: chunked\r\n\r\n",
            b"%x;name=value\r\n%b\r\n0\r\nx-checksum: 1\r\n\r\n" % (length, _BODY),
        ),
    )


def _heads() -> Iterator[tuple[str, str, ScriptedReply]]:
    closed = b"connection: close\r\n\r\n"
    yield (
        "early_hints",
        "a 103 comes before the answer",
        raw(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + HEAD + _KIND + closed, _BODY),
    )
    yield (
        "head_in_pieces",
        "status line and headers come byte by byte",
        raw(*_cut(HEAD + _KIND + closed, 1), _BODY),
    )
    yield (
        "no_reason_phrase",
        "a status line without words",
        raw(b"HTTP/1.1 200 \r\n" + _KIND + closed, _BODY),
    )
    yield "no_content_type", "no header says what the body is", raw(HEAD + closed, _BODY)
    yield (
        "wrong_content_type",
        "a stream that calls itself JSON",
        ScriptedReply(_PACKETS, headers={"content-type": "application/json"}),
    )
    yield (
        "odd_content_type",
        "the content type has parameters and capitals",
        ScriptedReply(
            _PACKETS, headers={"content-type": 'Text/Event-Stream; charset="UTF-8"; x=y'}
        ),
    )
    yield "status_201", "the answer is 201 instead of 200", plain(*EVENTS, status=201)
    yield (
        "many_headers",
        "a hundred headers, some with bytes beyond ASCII",
        ScriptedReply(
            _PACKETS, headers={**STREAM, **{f"x-{number}": "ü" * 40 for number in range(90)}}
        ),
    )


def _ends() -> Iterator[Fault]:
    stop = chunk(None, "stop")
    cases = (
        ("no_done", "a finish reason, and no [DONE]", plain(*START, stop, usage()), WHOLE),
        (
            "done_alone",
            "[DONE] without a finish reason",
            plain(*START, usage(), DONE),
            Outcome(HELLO, finish_reason="unknown", usage=(7, 3)),
        ),
        ("done_at_once", "[DONE] and nothing else", plain(DONE), Outcome(finish_reason="unknown")),
        ("done_unended", "the line with [DONE] has no end", sent(_BODY.rstrip()), WHOLE),
        ("done_without_space", "data:[DONE]", sent(_BODY.replace(b" [DONE]", b"[DONE]")), WHOLE),
        (
            "done_with_spaces",
            "[DONE] with spaces around it",
            plain(*EVENTS[:-1], "  [DONE]  "),
            WHOLE,
        ),
        (
            "more_after_done",
            "text, an error and rubbish after [DONE]",
            plain(*EVENTS, chunk("never"), {"error": "never"}, "rubbish", DONE),
            WHOLE,
        ),
        (
            "open_after_done",
            "the connection stays open after [DONE]",
            plain(*EVENTS, ending="stall"),
            WHOLE,
        ),
        (
            "cut_after_done",
            "the connection is cut after [DONE]",
            plain(*EVENTS, ending="close"),
            WHOLE,
        ),
        (
            "reset_after_done",
            "the connection is reset after [DONE]",
            sent(*_PACKETS, 0.05, ending="reset"),
            WHOLE,
        ),
        (
            "text_with_the_end",
            "text and finish reason in one chunk",
            plain(chunk("Hello "), chunk("wörld 😀.", "stop"), usage(), DONE),
            WHOLE,
        ),
        (
            "end_said_twice",
            "the finish reason comes twice",
            plain(*START, stop, stop, usage(), DONE),
            WHOLE,
        ),
        (
            "other_word_for_stop",
            "the finish reason is end_turn",
            plain(*START, chunk(None, "end_turn"), usage(), DONE),
            WHOLE,
        ),
        (
            "unknown_word",
            "the finish reason is a word that nobody knows",
            plain(*START, chunk(None, "enough"), usage(), DONE),
            Outcome(HELLO, finish_reason="unknown", usage=(7, 3)),
        ),
        (
            "length",
            "the reply ends at the length limit",
            plain(*START, chunk(None, "length"), usage(), DONE),
            Outcome(HELLO, finish_reason="length", usage=(7, 3)),
        ),
        (
            "filtered",
            "the reply ends at a content filter",
            plain(*START, chunk(None, "content_filter"), usage(), DONE),
            Outcome(HELLO, "filtered", "content_filter", usage=(7, 3)),
        ),
        (
            "refused",
            "the model refuses, in pieces",
            plain(chunk(refusal="I will "), chunk(refusal="not."), *END),
            Outcome("", "refused", refusal="I will not.", usage=(7, 3)),
        ),
        (
            "says_nothing",
            "a reply without any text",
            plain(*EVENTS[:1], *END),
            Outcome("", usage=(7, 3)),
        ),
    )
    for name, what, reply, wanted in cases:
        yield Fault(name, "legal", what, [reply], wanted)


def _not_streamed() -> Iterator[Fault]:
    said = completion(HELLO)
    body = json.loads(b"".join(step for step in said.steps if isinstance(step, bytes)))
    pretty = json.dumps(body, indent=4).encode()
    wanted = Outcome(HELLO, usage=(3, 2))
    cases = (
        ("whole", "one JSON object, whatever was asked for", said),
        (
            "whole_pretty",
            "one pretty-printed JSON object",
            answer(200, b"\r\n\n  " + pretty + b"\n\n"),
        ),
        (
            "whole_with_bom",
            "one JSON object after a byte order mark",
            answer(200, b"\xef\xbb\xbf" + pretty),
        ),
        (
            "whole_as_stream",
            "one JSON object that calls itself a stream",
            answer(200, pretty, content_type="text/event-stream"),
        ),
        ("whole_byte_by_byte", "one JSON object, byte by byte", sent(*_cut(pretty, 1))),
        (
            "whole_after_spaces",
            "white space while the model thinks, then JSON",
            sent(b" ", 0.01, b"\n", 0.01, pretty),
        ),
        (
            "whole_without_end",
            "one JSON object whose body ends with the connection",
            sent(pretty, framing="close"),
        ),
    )
    for name, what, reply in cases:
        yield Fault(name, "legal", what, [reply], wanted)
    yield Fault(
        "whole_latin_1",
        "legal",
        "one JSON object, its letters escaped",
        [answer(200, body)],
        wanted,
    )


def _cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def _pretty(event: object) -> list[bytes]:
    text = event if isinstance(event, str) else json.dumps(event, indent=1)
    return text.encode().split(b"\n")


def _among(between: bytes) -> ScriptedReply:
    """The reply, with something between its events."""
    return sent(*(between + packet for packet in _PACKETS), between)
