"""A conversation as units, and what is put right on the way."""

from __future__ import annotations

import pytest

from nbagents.messages import FunctionExecutionResultMessage, LLMMessage
from nbagents.model_context._units import messages_of, newest, units_of, without_head
from tests.model_context.api import calls, faults, replies, results, rule, says


def shape(messages: list[LLMMessage]) -> list[str]:
    """In short: ``u`` user, ``s`` system, ``a`` assistant, ``a:1`` its call, ``t:1`` the result."""
    letters = {"UserMessage": "u", "SystemMessage": "s", "AssistantMessage": "a"}
    shapes = []
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            shapes.append(f"t:{','.join(result.call_id for result in message.content)}")
        else:
            content = message.content
            ids = [] if isinstance(content, str) else [part.id for part in content]  # type: ignore[union-attr]
            shapes.append(letters[message.type] + (f":{','.join(ids)}" if ids else ""))
    return shapes


@pytest.mark.parametrize(
    ("history", "units"),
    [
        ([], []),
        ([rule(), says(), replies()], [["s"], ["u"], ["a"]]),
        ([says(), calls("1"), results("1")], [["u"], ["a:1", "t:1"]]),
        # parallel calls, answered by one message or several
        ([calls("1", "2"), results("1", "2")], [["a:1,2", "t:1,2"]]),
        ([calls("1", "2"), results("2"), results("1"), says()], [["a:1,2", "t:2", "t:1"], ["u"]]),
        # results whose call is nowhere
        ([results("0"), says()], [["u"]]),
        ([says(), calls("1"), results("0", "1")], [["u"], ["a:1", "t:1"]]),
        ([calls("1"), results("1"), results("1"), says()], [["a:1", "t:1"], ["u"]]),
        # calls that were never answered, and such that still may be
        ([calls("1"), says()], [["a:1", "t:1"], ["u"]]),
        ([calls("1", "2"), results("2"), says()], [["a:1,2", "t:2", "t:1"], ["u"]]),
        ([says(), calls("1")], [["u"], ["a:1"]]),
        # a result that comes late
        ([calls("1"), says(), results("1")], [["a:1", "t:1"], ["u"]]),
        # servers that count their calls anew in each reply
        (
            [calls("0"), results("0"), calls("0"), results("0"), says()],
            [["a:0", "t:0"], ["a:0", "t:0"], ["u"]],
        ),
        ([calls("0"), says(), calls("0"), results("0")], [["a:0", "t:0"], ["u"], ["a:0", "t:0"]]),
    ],
)
def test_calls_and_their_results_are_one_unit(
    history: list[LLMMessage], units: list[list[str]]
) -> None:
    found = units_of(history)
    assert [shape(unit) for unit in found] == units
    assert [fault for fault in faults(messages_of(found)) if units] == []


def test_a_call_that_was_interrupted_has_a_result_that_says_so() -> None:
    [[_, answer], _] = units_of([calls("1"), says()])
    assert isinstance(answer, FunctionExecutionResultMessage)
    [result] = answer.content
    assert (result.call_id, result.name, result.is_error) == ("1", "add", True)
    assert "interrupted" in result.content


def test_what_needs_no_repair_is_the_very_message_that_was_added() -> None:
    history: list[LLMMessage] = [rule(), says(), calls("1"), results("1"), replies()]
    shown = messages_of(units_of(history))
    assert all(one is other for one, other in zip(shown, history, strict=True))


def test_the_newest_units_fit_and_the_last_is_always_among_them() -> None:
    units = units_of([says(), calls("1", "2"), results("1"), results("2"), replies()])
    sizes = {size: [len(unit) for unit in newest(units, size)] for size in (-3, 0, 1, 3, 4, 5, 9)}
    short, middle, whole = [1], [3, 1], [1, 3, 1]
    assert sizes == {-3: short, 0: short, 1: short, 3: short, 4: middle, 5: whole, 9: whole}
    assert newest([], 5) == []


def test_the_head_is_what_system_messages_stand_at_the_beginning() -> None:
    head, rest = without_head(units_of([rule("a"), rule("b"), says(), rule("c")]))
    assert [message.content for message in head] == ["a", "b"]
    assert [shape(unit) for unit in rest] == [["u"], ["s"]]
