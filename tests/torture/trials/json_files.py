"""Hostile JSON, as what a server streams and as the arguments of a model's calls."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

from nbagents.errors import ProtocolError, RequestError
from nbagents.messages import FunctionCall
from nbagents.models._wire.reader import ReplyReader, read_completion
from nbagents.models._wire.reply import ReplyBuilder
from nbagents.tools import execute_call
from tests.torture.figures import Figure, Scale
from tests.torture.hostile_json import INVALID, LENIENT, VALID

_END = b'data: {"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}\n\n'
_CALLED: list[Any] = []


def trial(scale: Scale) -> Iterator[Figure]:
    """How many texts there are, and how many ended otherwise than they should."""
    yield Figure("texts", len(VALID) + len(INVALID) + len(LENIENT), 300, at_least=True)
    kinds = (
        ("valid", VALID, _taken),
        ("invalid", INVALID, _refused),
        ("doubtful", LENIENT, _typed),
    )
    dice = random.Random(scale.seed)
    for kind, texts, is_right in kinds:
        some = dice.sample(texts, scale.of(len(texts)))
        for place, read in _PLACES.items():
            wrong = [text for text in some if not is_right(_ending(read, text), place, text)]
            shown = f" {wrong[0][:40]!r}" if wrong else ""
            yield Figure(f"{len(some)} {kind} texts as {place}: wrong{shown}", len(wrong), 0)


def _taken(ending: str, place: str, text: bytes) -> bool:
    # Arguments are an object, with the names that the tool knows.
    if place == "a tool's arguments" and not text.strip().startswith((b'{"a"', b'{"\\u', b"{}")):
        return ending == "refused"
    return ending == "taken"


def _refused(ending: str, place: str, text: bytes) -> bool:
    return ending == "refused"


def _typed(ending: str, place: str, text: bytes) -> bool:
    return ending in ("taken", "refused")


def _ending(read: Callable[[bytes], bool], text: bytes) -> str:
    try:
        return "taken" if read(text) else "refused"
    except (ProtocolError, RequestError):
        return "refused"
    except BaseException as error:  # RecursionError, MemoryError: whatever comes is wrong
        return repr(error)[:200]


def _in_a_stream(text: bytes) -> bool:
    """A field of a chunk, each line of it a data line."""
    chunk = b'{"choices": [], "x": %b}' % text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    event = b"".join(b"data: %b\n" % line for line in chunk.split(b"\n"))
    builder = ReplyBuilder()
    reader = ReplyReader(builder)
    said = [*reader.feed(event + b"\n" + _END), *reader.close()]
    return builder.result().text == "ok" == "".join(said)


def _as_a_body(text: bytes) -> bool:
    """A field of a reply that is not streamed."""
    message = b'{"message": {"content": "ok"}, "finish_reason": "stop"}'
    builder = ReplyBuilder()
    read_completion(builder, b'{"x": %b, "choices": [%b]}' % (text, message))
    return builder.result().text == "ok"


def _as_arguments(text: bytes) -> bool:
    """What a model wants a tool to be called with."""
    _CALLED.clear()
    call = FunctionCall("c1", text.decode("utf-8", "replace"), "take")
    result = asyncio.run(execute_call(call, [take]))
    assert bool(_CALLED) is not result.is_error
    assert result.content.isprintable()
    assert len(result.content) < 2_000
    return not result.is_error


def take(a: Any = None, b: Any = None) -> str:
    """Take anything."""
    _CALLED.append((a, b))
    return "taken"


_PLACES: dict[str, Callable[[bytes], bool]] = {
    "a field of a chunk": _in_a_stream,
    "a field of a whole reply": _as_a_body,
    "a tool's arguments": _as_arguments,
}
