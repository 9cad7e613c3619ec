"""Legal, but only on the second try, or at the second address."""

from __future__ import annotations

from collections.abc import Iterator

from nbagents.testing._script import ScriptedReply, completion, error
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    EVENTS,
    HELLO,
    WHOLE,
    lines,
    plain,
    sent,
)

__all__ = ["faults"]


def faults() -> Iterator[Fault]:
    """All of this module."""
    soon = {"retry-after-ms": "1"}
    good = plain(*EVENTS)
    for status in (408, 409, 429, 500, 503):
        busy = error(status, "Busy.", headers=soon)
        yield Fault(
            f"retry_after_{status}",
            "legal",
            f"{status} once, then the reply",
            [busy, good],
            WHOLE,
            retries=1,
        )
    cut = ScriptedReply(head=False, ending="reset")
    yield Fault(
        "retry_after_a_reset",
        "legal",
        "a reset before the answer, then the reply",
        [cut, good],
        WHOLE,
        retries=1,
    )
    whole = completion(HELLO)
    for status in (307, 308):
        there = ScriptedReply(
            status=status, headers={"location": "/v1/chat/completions?moved=1"}, framing="length"
        )
        yield Fault(
            f"moved_here_{status}",
            "legal",
            f"a {status} on the same server",
            [there, whole],
            Outcome(HELLO, usage=(3, 2)),
        )
    two = lines(*EVENTS)
    yield Fault(
        "followed_by_another",
        "legal",
        "bytes of another answer behind the end",
        [sent(two, lines(*EVENTS))],
        WHOLE,
    )
