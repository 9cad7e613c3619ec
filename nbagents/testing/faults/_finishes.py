"""Legal but unusual: how a stream says that the reply has come to its end, and why."""

from __future__ import annotations

from collections.abc import Iterator

from nbagents.testing._script import ScriptedReply, chunk
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    DONE,
    END,
    EVENTS,
    HELLO,
    START,
    STOP,
    WHOLE,
    lines,
    plain,
    sent,
    usage,
)

__all__ = ["faults"]

_Case = tuple[str, str, ScriptedReply, Outcome]

_BODY = lines(*EVENTS)
_UNKNOWN = Outcome(HELLO, finish_reason="unknown", usage=(7, 3))

_REASONS = (
    ("other_word_for_stop", "the finish reason is end_turn", "end_turn", WHOLE),
    ("unknown_word", "the finish reason is a word that nobody knows", "enough", _UNKNOWN),
    (
        "length",
        "the reply ends at the length limit",
        "length",
        Outcome(HELLO, finish_reason="length", usage=(7, 3)),
    ),
    (
        "filtered",
        "the reply ends at a content filter",
        "content_filter",
        Outcome(HELLO, "filtered", "content_filter", usage=(7, 3)),
    ),
)


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, reply, wanted in (*_marks(), *_behind(), *_reasons()):
        yield Fault(name, "legal", what, [reply], wanted)


def _marks() -> Iterator[_Case]:
    spaced = plain(*EVENTS[:-1], "  [DONE]  ")
    close = _BODY.replace(b" [DONE]", b"[DONE]")
    yield "no_done", "a finish reason, and no [DONE]", plain(*START, STOP, usage()), WHOLE
    yield "done_alone", "[DONE] without a finish reason", plain(*START, usage(), DONE), _UNKNOWN
    yield "done_at_once", "[DONE] and nothing else", plain(DONE), Outcome(finish_reason="unknown")
    yield "done_unended", "the line with [DONE] has no end", sent(_BODY.rstrip()), WHOLE
    yield "done_without_space", "data:[DONE]", sent(close), WHOLE
    yield "done_with_spaces", "[DONE] with spaces around it", spaced, WHOLE


def _behind() -> Iterator[_Case]:
    more = chunk("never"), {"error": "never"}, "rubbish", DONE
    packets = [lines(event) for event in EVENTS]
    for name, what, reply in (
        (
            "more_after_done",
            "text, an error and rubbish after [DONE]",
            plain(*EVENTS, *more),
        ),
        (
            "open_after_done",
            "the connection stays open after [DONE]",
            plain(*EVENTS, ending="stall"),
        ),
        (
            "cut_after_done",
            "the connection is cut after [DONE]",
            plain(*EVENTS, ending="close"),
        ),
        (
            "reset_after_done",
            "the connection is reset after [DONE]",
            sent(*packets, 0.05, ending="reset"),
        ),
    ):
        yield name, what, reply, WHOLE


def _reasons() -> Iterator[_Case]:
    together = plain(chunk("Hello "), chunk("wörld 😀.", "stop"), usage(), DONE)
    twice = plain(*START, STOP, STOP, usage(), DONE)
    refusal = plain(chunk(refusal="I will "), chunk(refusal="not."), *END)
    refused = Outcome("", "refused", refusal="I will not.", usage=(7, 3))
    yield "text_with_the_end", "text and finish reason in one chunk", together, WHOLE
    yield "end_said_twice", "the finish reason comes twice", twice, WHOLE
    for name, what, reason, wanted in _REASONS:
        yield name, what, plain(*START, chunk(None, reason), usage(), DONE), wanted
    yield "refused", "the model refuses, in pieces", refusal, refused
    yield (
        "says_nothing",
        "a reply without any text",
        plain(*EVENTS[:1], *END),
        Outcome("", usage=(7, 3)),
    )
