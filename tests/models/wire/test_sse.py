from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagents.errors import ProtocolError
from nbagents.models._wire.sse import EventStreamDecoder, NamedEvent

# What the standard's rules make of each stream; the last few differ from it on purpose.
VECTORS: dict[str, tuple[bytes, list[bytes]]] = {
    "one event": (b"data: a\n\n", [b"a"]),
    "lines end with CR": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "lines end with CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "line ends are mixed": (b"data: a\r\n\ndata: b\n\rdata: c\r\r\n", [b"a", b"b", b"c"]),
    "data lines are joined": (b"data: YHOO\ndata: +2\ndata: 10\n\n", [b"YHOO\n+2\n10"]),
    "data lines end with CRLF": (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
    "comments are skipped": (b": hi\n\n:\n:data: x\ndata: a\n: x\ndata: b\n\n", [b"a\nb"]),
    "fields without a value": (b"data\n\ndata\ndata\n\ndata:\n\n", [b"", b"\n", b""]),
    "one space is removed": (b"data:a\n\ndata: b\n\ndata:  c \n\n", [b"a", b"b", b" c "]),
    "a tab is not a space": (b"data:\ta\n\n", [b"\ta"]),
    "an event without data is none": (b"event: ping\n\nid: 1\n\nretry: 9\n\n\n\n", []),
    "id and retry are skipped": (b"id: 1\nretry: 10\ndata: a\nid\n\n", [b"a"]),
    "unknown fields are skipped": (b"datum: x\ndata : x\n data: x\nData: x\ndata: a\n\n", [b"a"]),
    "a colon in the data stays": (b"data: a: b: c\n\n", [b"a: b: c"]),
    "a BOM at the start is skipped": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "a BOM alone": (b"\xef\xbb\xbf", []),
    "a second BOM is part of a field's name": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    "a BOM later is part of a field's name": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
    "other line separators are content": (
        "data: a\u2028b\u0085c\x0bd\x0ce\x1cf\n\n".encode(),
        ["a\u2028b\u0085c\x0bd\x0ce\x1cf".encode()],
    ),
    "characters of several bytes": ("data: déjà 😀\n\n".encode(), ["déjà 😀".encode()]),
    "bytes that are not UTF-8": (b"data: \xff\xfe\n\n", [b"\xff\xfe"]),
    "NUL is content": (b"data: a\0b\n\n", [b"a\0b"]),
    "an empty body": (b"", []),
    "the last event without a blank line": (b"data: a\n\ndata: [DONE]\n", [b"a", b"[DONE]"]),
    "the last event without a line end": (b"data: a\n\ndata: [DONE]", [b"a", b"[DONE]"]),
    "the last event ends with CR": (b"data: a\r\n\r\ndata: b\r", [b"a", b"b"]),
    "a name at the end without data": (b"data: a\n\nevent: done", [b"a"]),
}

pieces = st.lists(
    st.sampled_from(
        b"data|data:|data: |: |event: e|id|\r|\n|\r\n| |{}|\xef\xbb\xbf|\xc3|\xa9|x|\0".split(b"|")
    ),
    max_size=40,
).map(b"".join)


def decode(*chunks: bytes, max_line: int = 1 << 20) -> list[bytes]:
    decoder = EventStreamDecoder(max_line)
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.close()


def outcome(*chunks: bytes, max_line: int) -> tuple[list[bytes], bool]:
    """The events, and whether the decoder gave up after them."""
    decoder = EventStreamDecoder(max_line)
    events: list[bytes] = []
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        events += decoder.close()
    except ProtocolError:
        pass
    return events, decoder.failure is not None


@pytest.mark.parametrize(("stream", "events"), VECTORS.values(), ids=VECTORS)
def test_a_stream_gives_the_events_of_the_standard(stream: bytes, events: list[bytes]) -> None:
    assert decode(stream) == events


@pytest.mark.parametrize(("stream", "events"), VECTORS.values(), ids=VECTORS)
def test_every_cut_gives_the_same_events(stream: bytes, events: list[bytes]) -> None:
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            assert decode(stream[:first], stream[first:second], stream[second:]) == events


@pytest.mark.parametrize(("stream", "events"), VECTORS.values(), ids=VECTORS)
def test_byte_by_byte_gives_the_same_events(stream: bytes, events: list[bytes]) -> None:
    assert decode(*(bytes([byte]) for byte in stream)) == events


@given(pieces, st.lists(st.integers(0, 200), max_size=8), st.integers(1, 60))
def test_any_chunking_of_any_bytes_gives_the_same(
    stream: bytes, cuts: list[int], max_line: int
) -> None:
    marks = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(marks)]
    assert outcome(*chunks, max_line=max_line) == outcome(stream, max_line=max_line)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_random_bytes_give_the_same_events_cut_anywhere(stream: bytes, cut: int) -> None:
    assert decode(stream[:cut], stream[cut:]) == decode(stream)


def test_an_event_is_handed_out_with_the_byte_that_ends_it() -> None:
    decoder = EventStreamDecoder()
    assert [decoder.feed(b"data: a\r\n"), decoder.feed(b"\r"), decoder.feed(b"\n")] == [
        [],
        [b"a"],
        [],
    ]


def test_an_event_with_a_name_brings_it() -> None:
    stream = b"event: error\ndata: a\n\nevent: message\ndata: b\n\ndata: c\nevent:x\n\ndata: d\n\n"
    names = [event.name if isinstance(event, NamedEvent) else None for event in decode(stream)]
    assert names == ["error", None, "x", None]


def test_a_name_does_not_outlive_its_event() -> None:
    assert [type(event) for event in decode(b"event: x\n\ndata: a\n\n")] == [bytes]


def test_a_line_of_the_longest_length_passes() -> None:
    assert decode(b"data: abcd\n\n", max_line=10) == [b"abcd"]


@pytest.mark.parametrize(
    "stream",
    [
        b"data: abcde\n\n",
        b"data: abcde",
        b": a long comment",
        b"data: abcd\ndata: efgh\ndata: ijkl\n\n",
        b"data\n" * 12,
    ],
)
def test_a_line_or_event_that_is_too_long_is_a_protocol_error(stream: bytes) -> None:
    with pytest.raises(ProtocolError, match="more than 10 bytes"):
        decode(*(bytes([byte]) for byte in stream), max_line=10)


def test_events_before_an_endless_line_are_handed_out_first() -> None:
    decoder = EventStreamDecoder(max_line=20)
    assert decoder.feed(b"data: a\n\ndata: b\n\n" + b"x" * 100) == [b"a", b"b"]
    assert decoder.failure is not None
    with pytest.raises(ProtocolError, match="Check that the base URL"):
        decoder.feed(b"data: c\n\n")


def test_a_line_in_many_small_pieces_takes_linear_time() -> None:
    # It would be minutes if each piece copied what came before.
    decoder = EventStreamDecoder()
    decoder.feed(b"data: ")
    for _ in range(200_000):
        decoder.feed(b"abcdefgh")
    assert [len(event) for event in decoder.feed(b"\n\n")] == [1_600_000]
