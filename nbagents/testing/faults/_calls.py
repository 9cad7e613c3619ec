"""Function calls in every shape, and those that are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nbagents.testing._script import chunk
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    DONE,
    END,
    call,
    calls,
    failed,
    plain,
)

__all__ = ["faults"]

_MORE = plain(chunk("There is no such tool."), chunk(None, "stop"), DONE)
_AFTER = Outcome("There is no such tool.")
_Case = tuple[str, str, list[Any], Outcome]


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, events, wanted in _legal():
        yield Fault(name, "legal", what, [plain(*events), _MORE], wanted, _AFTER)
    for name, what, function, wanted in _broken():
        yield Fault(
            name, "broken", what, [plain(*calls([call(**function)])), _MORE], wanted, _AFTER
        )
    again = plain(*calls([call(name="again", arguments="{}")]))
    yield Fault(
        "call_for_ever",
        "broken",
        "the same call again and again",
        [again] * 40,
        _called(("c1", "again", "{}")),
        failed("TurnLimitError"),
    )


def _legal() -> Iterator[_Case]:
    one = _called(("c1", "add", '{"a": 1}'))
    two = _called(("c1", "add", '{"a": 1}'), ("c2", "sub", '{"b": 2}'))
    yield (
        "call_whole",
        "a function call in one piece",
        calls([call(name="add", arguments='{"a": 1}')]),
        one,
    )
    yield (
        "call_in_pieces",
        "its arguments in pieces",
        calls(
            [call(name="add", arguments="")],
            [call(0, None, arguments='{"a"')],
            [call(0, None, arguments=": 1}")],
        ),
        one,
    )
    yield (
        "call_repeats_id",
        "id and name repeated in each piece",
        calls([call(name="add", arguments='{"a"')], [call(name="add", arguments=": 1}")]),
        one,
    )
    yield (
        "calls_on_one_index",
        "two calls with the same index",
        calls(
            [call(0, "c1", name="add", arguments='{"a": 1}')],
            [call(0, "c2", name="sub", arguments='{"b": 2}')],
        ),
        two,
    )
    yield (
        "calls_without_index",
        "two calls without any index",
        calls(
            [
                call(None, "c1", name="add", arguments='{"a": 1}'),
                call(None, "c2", name="sub", arguments='{"b": 2}'),
            ]
        ),
        two,
    )
    yield (
        "calls_alternating",
        "pieces of two calls by turns",
        calls(
            [
                call(0, "c1", name="add", arguments='{"a"'),
                call(1, "c2", name="sub", arguments='{"b"'),
            ],
            [call(1, None, arguments=": 2}"), call(0, None, arguments=": 1}")],
        ),
        two,
    )
    yield (
        "call_as_object",
        "arguments that are an object already",
        calls([call(name="add", arguments={"a": 1})]),
        one,
    )
    yield (
        "call_with_stop",
        "finish reason stop though there is a call",
        calls([call(name="add", arguments='{"a": 1}')], finish="stop"),
        one,
    )
    yield (
        "call_without_arguments",
        "a call without arguments",
        calls([call(name="add")]),
        _called(("c1", "add", "{}")),
    )
    yield (
        "call_of_old",
        "the older API's function_call",
        [
            chunk(function_call={"name": "add", "arguments": '{"a": 1}'}),
            chunk(None, "function_call"),
            *END[1:],
        ],
        _called(("call_0", "add", '{"a": 1}')),
    )
    yield (
        "call_beside_text",
        "text and a call in one chunk",
        [chunk("I add.", tool_calls=[call(name="add", arguments='{"a": 1}')]), *calls()],
        _called(("c1", "add", '{"a": 1}'), thought="I add."),
    )
    yield (
        "call_with_bad_arguments",
        "arguments that are not JSON",
        calls([call(name="add", arguments="a=1")]),
        _called(("c1", "add", "a=1")),
    )
    yield (
        "call_with_odd_name",
        "a name that the API does not take",
        calls([call(name="add it!", arguments="{}")]),
        _called(("c1", "add_it_", "{}")),
    )
    yield (
        "call_cut_by_length",
        "the length limit cuts the arguments",
        calls([call(name="add", arguments='{"a"')], finish="length"),
        Outcome(finish_reason="length", calls=(("c1", "add", '{"a"'),), usage=(7, 3)),
    )


def _broken() -> Iterator[tuple[str, str, dict[str, Any], Outcome]]:
    yield (
        "call_without_name",
        "a function call without a name",
        {"arguments": "{}"},
        _called(("c1", "", "{}")),
    )
    yield (
        "call_unknown",
        "a function that nobody offered",
        {"name": "rm_rf", "arguments": "{}"},
        _called(("c1", "rm_rf", "{}")),
    )
    yield (
        "call_deep",
        "arguments a hundred thousand deep",
        {"name": "add", "arguments": "[" * 100_000},
        _called(("c1", "add", "[" * 100_000)),
    )
    yield (
        "call_cut",
        "arguments that are cut, and a finish reason",
        {"name": "add", "arguments": '{"a": '},
        _called(("c1", "add", '{"a": ')),
    )


def _called(*wanted: tuple[str, str, str], thought: str | None = None) -> Outcome:
    return Outcome(finish_reason="function_calls", thought=thought, calls=wanted, usage=(7, 3))
