"""Event streams: the standard's own cases, cut everywhere, and random ones."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import combinations, pairwise

from nbagents.errors import RequestError
from nbagents.messages import CreateResult
from nbagents.models._wire.reader import ReplyReader
from nbagents.models._wire.reply import ReplyBuilder
from nbagents.models._wire.sse import EventStreamDecoder, NamedEvent
from tests.torture.figures import Figure, Scale

_BOM = b"\xef\xbb\xbf"
_LONG = b"x" * 2_000
_Events = list[tuple[str, bytes]]

# What the web platform's tests of EventSource try, in words of our own. One thing differs on
# purpose: an event that the end of the body cuts off is handed out, for servers end so.
_CASES: dict[str, tuple[bytes, _Events]] = {
    "a byte order mark": (_BOM + b"data:1\n\ndata:2\n\n", [("", b"1"), ("", b"2")]),
    "a second byte order mark": (_BOM * 2 + b"data:1\n\ndata:2\n\n", [("", b"2")]),
    "a byte order mark later": (
        b"data:1\n\n" + _BOM + b"data:2\n\ndata:3\n\n",
        [("", b"1"), ("", b"3")],
    ),
    "comments": (
        b"data:1\r:\0\n:\r\ndata:2\n:%b\rdata:3\n:data:no\r:%b\ndata:4\n\n" % (_LONG, _LONG),
        [("", b"1\n2\n3\n4")],
    ),
    "the last event without its end": (b"retry:9\ndata:1\n\ndata:2", [("", b"1"), ("", b"2")]),
    "empty data": (b"data:\n\ndata\ndata\n\ndata:3\n\n", [("", b""), ("", b"\n"), ("", b"3")]),
    "no data": (b"event: x\nid: 1\nretry: 1\n\n:\n\n\n\n", []),
    "a name": (b"event:x\ndata:1\n\ndata:2\n\n", [("x", b"1"), ("", b"2")]),
    "an empty name": (b"event: \ndata:1\n\n", [("", b"1")]),
    "a name without data is forgotten": (b"event:x\n\ndata:1\n\n", [("", b"1")]),
    "the last name counts": (b"event:x\nevent:y\ndata:1\n\n", [("y", b"1")]),
    "ids": (
        b"id: 1\ndata:1\n\nid\ndata:2\n\nid:\0\ndata:3\n\n",
        [("", b"1"), ("", b"2"), ("", b"3")],
    ),
    "field names": (
        b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n"
        b" data:32\ndata:4\n\n",
        [("", b"\0\n 2\n1\n3\n\n4")],
    ),
    "retries, well and badly": (b"retry:7\nretry:x\nretry\nretry:1e3\ndata:1\n\n", [("", b"1")]),
    "unknown fields": (b"data:1\n data\ndata\nfoo:x\nwords\n:no\ndata:2\n\n", [("", b"1\n\n2")]),
    "one space is taken": (b"data:\tx\rdata: \ndata:  y \n\n", [("", b"\tx\n\n y ")]),
    "line ends": (b"data:x\r\ndata\ndata:x\r\n\r", [("", b"x\n\nx")]),
    "blank lines in all ways": (
        b"data:1\n\rdata:2\r\ndata:3\r\rdata:4\r\n\n",
        [("", b"1"), ("", b"2\n3"), ("", b"4")],
    ),
    "NUL": (b"data:\0\n\n\n\n", [("", b"\0")]),
    "letters of several bytes": ("data:ö€😀\n\n".encode(), [("", "ö€😀".encode())]),
    "other separators are letters": (
        "data:a\u2028b\u0085c\vd\f\n\n".encode(),
        [("", "a\u2028b\u0085c\vd\f".encode())],
    ),
    "bytes that are no text": (b"data:\xff\xc3(\n\n", [("", b"\xff\xc3(")]),
    "colons": (b"data::\n\ndata:a:b\n\n", [("", b":"), ("", b"a:b")]),
    "nothing": (b"", []),
    "line ends alone": (b"\r\n\r\n\n\r\r", []),
    "a field cut off": (b"data:1\n\ndat", [("", b"1")]),
    "CR at the end": (b"data:1\r\rdata:2\r", [("", b"1"), ("", b"2")]),
}
_SHORT = 48

_PARTS = (
    b"data: ",
    b"data:",
    b"data",
    b": ping",
    b"event: error",
    b"event: x",
    b"id: 1",
    b"\n",
    b"\n\n",
    b"\r\n\r\n",
    b"\r",
    b"\n",
    b"[DONE]",
    b"{}",
    b"null",
    b"7",
    b"[",
    b"}",
    b'"',
    b"\xff",
    b"\0",
    _BOM,
    b'{"choices": [{"delta": {"content": "x"}}]}',
    b'{"choices": [{"finish_reason": "stop"}]}',
    b'{"choices": [{"delta": {"content": "\\ud83d"}}]}',
    b'{"error": {"message": "no"}}',
    b'{"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}}]}',
    b'{"choices": "x"}',
    b'{"usage": {"prompt_tokens": 1, "completion_tokens": 1e400}}',
    b"<html>",
)


def trial(scale: Scale) -> Iterator[Figure]:
    """Cuts that change the events, random streams that end in no typed result, and time."""
    cuts = wrong = 0
    for stream, events in _CASES.values():
        for pieces in _cut(stream, scale):
            cuts += 1
            wrong += _decoded(pieces) != events
    yield Figure(f"{len(_CASES)} cases of the standard, cut in {cuts:,} ways: wrong", wrong, 0)
    count = scale.of(100_000)
    dice = random.Random(scale.seed)
    odd = [end for end in (_ending(_random(dice), dice) for _ in range(count)) if end]
    yield Figure(f"{count:,} random streams: no typed result {odd[:1] or ''}".strip(), len(odd), 0)
    for what, unit in _GROWING.items():
        yield Figure(f"{what}: time for twice the length", _ratio(unit, scale), 3, "x", timed=True)


def _cut(stream: bytes, scale: Scale) -> Iterator[list[bytes]]:
    yield [stream]
    yield [stream[at : at + 1] for at in range(len(stream))]
    dice = random.Random(scale.seed)
    ones = [(at,) for at in range(1, len(stream))]
    twos = list(combinations(range(1, len(stream)), 2)) if len(stream) <= _SHORT else []
    for cut in dice.sample([*ones, *twos], scale.of(len(ones) + len(twos), least=0)):
        ends = (0, *cut, len(stream))
        yield [stream[start:end] for start, end in pairwise(ends)]


def _decoded(pieces: list[bytes]) -> _Events:
    decoder = EventStreamDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()
    return [(event.name if isinstance(event, NamedEvent) else "", bytes(event)) for event in events]


def _random(dice: random.Random) -> bytes:
    return b"".join(dice.choice(_PARTS) for _ in range(dice.randrange(1, 40)))


def _ending(stream: bytes, dice: random.Random) -> str:
    """What it ended in; nothing for a result or an error of ours."""
    builder = ReplyBuilder(max_reply=1_000)
    reader = ReplyReader(builder, max_line=1_000)
    cut = dice.randrange(len(stream) + 1)
    try:
        for piece in (stream[:cut], stream[cut:]):
            for _ in reader.feed(piece):
                pass
        for _ in reader.close():
            pass
        return "" if isinstance(builder.result(), CreateResult) else "no result"
    except RequestError:
        return ""
    except Exception as error:  # whatever it is, it is one too many
        return f"{error!r} for {stream!r}"[:300]


_GROWING = {
    "small events": b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n',
    "comments": b": x\n",
    "data lines of one event": b"data: 1\n",
    "one long line, in small packets": b"data",
}


def _ratio(unit: bytes, scale: Scale) -> float:
    """Time for 2 n over time for n, the best of three."""
    count = scale.of(200_000) // len(unit) * 8
    return min(_seconds(unit * (2 * count)) / _seconds(unit * count) for _ in range(3))


def _seconds(stream: bytes) -> float:
    started = time.process_time()
    decoder = EventStreamDecoder()
    for at in range(0, len(stream), 200):
        decoder.feed(stream[at : at + 200])
    decoder.close()
    return max(time.process_time() - started, 1e-3)
