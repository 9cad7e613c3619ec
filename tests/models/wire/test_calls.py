from __future__ import annotations

from typing import Any

import pytest

from nbagents.errors import IncompleteReplyError
from nbagents.messages import FunctionCall
from nbagents.models._wire.reply import ReplyBuilder
from tests.models.wire.replies import call, chunk, failure, reply


def calls(*pieces: Any, finish: str = "tool_calls") -> list[tuple[str, str, str]]:
    """The calls that the pieces make, each piece in a chunk of its own."""
    chunks = [chunk(tool_calls=piece if isinstance(piece, list) else [piece]) for piece in pieces]
    content = reply(*chunks, chunk(finish)).content
    assert isinstance(content, list)
    return [(each.id, each.name, each.arguments) for each in content]


def test_arguments_in_pieces_are_joined() -> None:
    pieces = [
        call(0, "c1", name="f", arguments=""),
        call(0, arguments='{"a":'),
        call(0, arguments="1}"),
    ]
    assert calls(*pieces) == [("c1", "f", '{"a":1}')]


def test_calls_side_by_side_are_told_apart_by_index() -> None:
    pieces = [
        call(0, "c1", name="f", arguments="{"),
        call(1, "c2", name="g", arguments="["),
        call(0, arguments="}"),
        call(1, arguments="]"),
    ]
    assert calls(*pieces) == [("c1", "f", "{}"), ("c2", "g", "[]")]


def test_an_id_and_a_name_in_every_piece_are_not_glued() -> None:
    pieces = [call(0, "c1", name="f", arguments=part) for part in ('{"a"', ":1", "}")]
    assert calls(*pieces) == [("c1", "f", '{"a":1}')]


def test_a_name_in_pieces_is_glued() -> None:
    pieces = [call(0, "c1", name="get_"), call(0, name="weather", arguments="{}")]
    assert calls(*pieces) == [("c1", "get_weather", "{}")]


def test_a_new_id_on_the_same_index_is_another_call() -> None:
    pieces = [
        call(0, "c1", name="f", arguments='{"a":1}'),
        call(0, "c2", name="f", arguments='{"a":2}'),
        call(0, "c3", name="g"),
        call(0, arguments="{}"),
    ]
    assert calls(*pieces) == [("c1", "f", '{"a":1}'), ("c2", "f", '{"a":2}'), ("c3", "g", "{}")]
    assert calls(pieces[:2], pieces[2:]) == calls(*pieces)


def test_a_new_id_is_another_call_though_the_first_has_no_arguments() -> None:
    pieces = [call(0, "c1", name="f"), call(0, "c2", name="f", arguments="{}")]
    assert calls(*pieces) == [("c1", "f", "{}"), ("c2", "f", "{}")]


def test_an_id_made_up_for_every_piece_is_one_call() -> None:
    pieces = [call(0, f"r{n}", name="f", arguments=part) for n, part in enumerate('{""}')]
    assert calls(*pieces) == [("r0", "f", '{""}')]
    pieces[1:] = [call(0, f"r{n}", arguments=part) for n, part in enumerate('""}', 1)]
    assert calls(*pieces) == [("r0", "f", '{""}')]


def test_calls_without_ids_on_one_index_are_told_apart_when_whole() -> None:
    pieces = [call(0, name="f", arguments='{"a": "}"}'), call(0, name="f", arguments="{}")]
    assert calls(*pieces) == [("call_0", "f", '{"a": "}"}'), ("call_1", "f", "{}")]


def test_braces_and_cut_escapes_inside_strings_do_not_end_arguments() -> None:
    pieces = [call(0, name="f", arguments=part) for part in ('{"a": "\\', '"}', '"}')]
    assert calls(*pieces) == [("call_0", "f", '{"a": "\\"}"}')]


def test_whole_arguments_that_come_twice_count_once() -> None:
    piece = call(0, "c1", name="f", arguments='{"a": 1}')
    assert calls(piece, piece) == [("c1", "f", '{"a": 1}')]


def test_without_index_an_id_says_which_call_it_is() -> None:
    pieces = [
        [call(None, "c1", name="f", arguments="{"), call(None, "c2", name="g", arguments="[")],
        call(None, "c2", arguments="]"),
        call(None, "c1", arguments="}"),
    ]
    assert calls(*pieces) == [("c1", "f", "{}"), ("c2", "g", "[]")]


def test_without_index_and_id_pieces_continue_the_last_call() -> None:
    pieces = [
        call(name="f", arguments="{"),
        call(arguments="}"),
        call(name="g", arguments="{}"),
    ]
    assert calls(*pieces) == [("call_0", "f", "{}"), ("call_1", "g", "{}")]


def test_several_in_one_chunk_need_neither() -> None:
    pieces = [call(name="f"), call(name="g", arguments="{}")]
    assert calls(pieces) == [("call_0", "f", "{}"), ("call_1", "g", "{}")]


def test_an_id_that_two_calls_share_is_given_to_the_first() -> None:
    pieces = [
        call(0, "call_1", name="f", arguments="{}"),
        call(1, "call_1", name="g", arguments="{}"),
    ]
    assert calls(*pieces) == [("call_1", "f", "{}"), ("call_1_1", "g", "{}")]


def test_the_older_function_call_is_a_call() -> None:
    chunks = [
        chunk(function_call={"name": "f", "arguments": '{"a"'}),
        chunk(function_call={"arguments": ":1}"}),
        chunk("function_call"),
    ]
    result = reply(*chunks)
    assert result.content == [FunctionCall("call_0", '{"a":1}', "f")]
    assert result.finish_reason == "function_calls"


def test_arguments_as_an_object_become_json() -> None:
    assert calls(call(0, "c", name="f", arguments={"é": [1]})) == [("c", "f", '{"é": [1]}')]


@pytest.mark.parametrize("nothing", ["", None, {}])
def test_no_arguments_are_an_empty_object(nothing: Any) -> None:
    assert calls(call(0, "c", name="f", arguments=nothing)) == [("c", "f", "{}")]


def test_a_name_is_made_to_fit() -> None:
    assert calls(call(0, "c", name="my.tool é" + "x" * 80))[0][1] == "my_tool__" + "x" * 55


def test_text_in_the_same_chunk_is_kept() -> None:
    result = reply(chunk(content="Hi", tool_calls=[call(0, "c", name="f")]))
    assert (result.content, result.thought) == ([FunctionCall("c", "{}", "f")], "Hi")


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "weird"])
def test_calls_are_the_finish_reason_whatever_the_server_says(finish: str) -> None:
    result = reply(chunk(tool_calls=[call(0, "c", name="f")]), chunk(finish))
    assert result.finish_reason == "function_calls"


def test_calls_cut_by_the_length_limit_say_so_and_stay_as_they_came() -> None:
    pieces = [call(0, "c", name="f", arguments='{"a'), call(1, "d", name="g")]
    result = reply(chunk(tool_calls=pieces), chunk("length"))
    assert result.content == [FunctionCall("c", '{"a', "f"), FunctionCall("d", "", "g")]
    assert result.finish_reason == "length"


def test_calls_cut_by_the_end_of_the_stream_never_arrive() -> None:
    pieces = [call(0, "c", name="f", arguments='{"a": 1}')]
    error = failure(chunk(content="I look.", tool_calls=pieces), end=False)
    assert (type(error), error.partial) == (IncompleteReplyError, "I look.")


def test_calls_without_end_are_a_protocol_error() -> None:
    error = failure(*(chunk(tool_calls=[call(n, name="f")]) for n in range(2_000)))
    assert "more than 1,000 calls" in str(error)


def test_many_pieces_of_arguments_take_linear_time() -> None:
    # Each repeats the name, so that whether the call is whole is asked every time.
    piece = chunk(tool_calls=[call(0, "c", name="f", arguments="[]")])
    builder = ReplyBuilder()
    builder.add(chunk(tool_calls=[call(0, "c", name="f", arguments="[")]))
    for _ in range(50_000):
        builder.add(piece)
    builder.end()
    assert len(builder.result().content[0].arguments) == 100_001  # type: ignore[union-attr]
