"""Legal but unusual: replies that are not streamed, though they were asked to be."""

from __future__ import annotations

import json
from collections.abc import Iterator

from nbagents.testing._script import ScriptedReply, completion
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import HELLO, answer, cut, sent

__all__ = ["faults"]

_SAID = completion(HELLO)
_BODY = json.loads(b"".join(step for step in _SAID.steps if isinstance(step, bytes)))
_PRETTY = json.dumps(_BODY, indent=4).encode()
_WANTED = Outcome(HELLO, usage=(3, 2))

_CASES: tuple[tuple[str, str, ScriptedReply], ...] = (
    ("whole", "one JSON object, whatever was asked for", _SAID),
    (
        "whole_pretty",
        "one pretty-printed JSON object",
        answer(200, b"\r\n\n  " + _PRETTY + b"\n\n"),
    ),
    (
        "whole_with_bom",
        "one JSON object after a byte order mark",
        answer(200, b"\xef\xbb\xbf" + _PRETTY),
    ),
    (
        "whole_as_stream",
        "one JSON object that calls itself a stream",
        answer(200, _PRETTY, content_type="text/event-stream"),
    ),
    ("whole_byte_by_byte", "one JSON object, byte by byte", sent(*cut(_PRETTY, 1))),
    (
        "whole_after_spaces",
        "white space while the model thinks, then JSON",
        sent(b" ", 0.01, b"\n", 0.01, _PRETTY),
    ),
    (
        "whole_without_end",
        "one JSON object whose body ends with the connection",
        sent(_PRETTY, framing="close"),
    ),
    ("whole_latin_1", "one JSON object, its letters escaped", answer(200, _BODY)),
)


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, reply in _CASES:
        yield Fault(name, "legal", what, [reply], _WANTED)
