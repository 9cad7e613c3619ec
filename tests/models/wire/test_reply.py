from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagents.errors import (
    IncompleteReplyError,
    NbAgentsError,
    ProtocolError,
    ServerError,
)
from nbagents.messages import CreateResult, FunctionCall, RequestUsage, TopLogprob
from nbagents.models._wire.reply import ReplyBuilder
from nbagents.models._wire.shapes import completion_to_chunk
from tests.models.wire.replies import USAGE, call, chunk, failure, reply, stream


class TestText:
    def test_pieces_are_shown_as_they_come_and_joined(self) -> None:
        shown, result = stream(chunk(role="assistant"), chunk(content="Hel"), chunk(content="lo"))
        assert [(piece, piece.kind) for piece in shown] == [("Hel", "text"), ("lo", "text")]
        assert result.content == "Hello"

    @pytest.mark.parametrize(
        "nothing",
        [
            {},
            {"choices": []},
            {"choices": None},
            {"choices": [None]},
            {"choices": [{}]},
            {"choices": [{"delta": None}]},
            {"choices": [{"delta": {}}]},
            chunk(content=None, role=None, tool_calls=None, function_call=None, refusal=None),
            chunk(content="", tool_calls=[]),
            {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "model": ""},
            {"choices": [{"index": 0, "content_filter_offsets": {}, "finish_reason": None}]},
            {"error": None, "choices": []},
        ],
    )
    def test_a_chunk_without_content_adds_nothing(self, nothing: Any) -> None:
        assert stream(nothing, chunk(content="Hi"), nothing) == stream(chunk(content="Hi"))

    def test_role_and_index_may_be_missing(self) -> None:
        assert reply({"choices": [{"delta": {"content": "Hi"}}]}).content == "Hi"

    def test_of_several_choices_the_first_is_the_reply(self) -> None:
        both = [
            {"index": 1, "delta": {"content": "no"}, "finish_reason": "length"},
            {"index": 0, "delta": {"content": "yes"}, "finish_reason": "stop"},
        ]
        only_second = {"choices": [both[0]]}
        result = reply({"choices": both}, only_second)
        assert (result.content, result.finish_reason) == ("yes", "stop")

    def test_content_in_parts_is_text_and_reasoning(self) -> None:
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
        result = reply(chunk(content=[thinking, {"type": "text", "text": "Yes"}, "!"]))
        assert (result.content, result.thought) == ("Yes!", "Hm.")

    def test_half_a_character_waits_for_its_other_half(self) -> None:
        shown, result = stream(chunk(content="a\ud83d"), chunk(content="\ude00b"))
        assert (shown, result.content) == (["a", "😀b"], "a😀b")

    def test_half_a_character_that_stays_alone_is_replaced(self) -> None:
        assert reply(chunk(content="a\ude00b\ud83d")).content == "a\ufffdb\ufffd"
        assert reply(chunk(reasoning="\ud83d"), chunk(content="x")).thought == "\ufffd"


class TestReasoning:
    @pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
    def test_reasoning_is_the_thought_and_told_apart(self, name: str) -> None:
        shown, result = stream(chunk(**{name: "Hm "}), chunk(**{name: "so."}), chunk(content="4"))
        assert [piece.kind for piece in shown] == ["reasoning", "reasoning", "text"]
        assert (result.content, result.thought) == ("4", "Hm so.")

    def test_reasoning_under_several_names_is_taken_once(self) -> None:
        details = [{"type": "reasoning.text", "text": "Hm."}]
        delta = {"reasoning": "Hm.", "reasoning_content": "Hm.", "reasoning_details": details}
        assert reply(chunk(**delta)).thought == "Hm."

    def test_reasoning_in_details_alone_is_taken(self) -> None:
        details = [{"text": "Hm"}, {"summary": "."}, {"data": "encrypted"}, None]
        assert reply(chunk(reasoning_details=details)).thought == "Hm."

    def test_characters_of_the_tags_in_a_thought_are_kept(self) -> None:
        assert reply(chunk(reasoning="think <this>"), chunk(content="x")).thought == "think <this>"

    def test_text_beside_calls_joins_the_reasoning_as_the_thought(self) -> None:
        piece = call(0, "c1", name="f", arguments="{}")
        result = reply(chunk(reasoning="Hm."), chunk(content="I look.", tool_calls=[piece]))
        assert result.content == [FunctionCall("c1", "{}", "f")]
        assert result.thought == "Hm.\n\nI look."


class TestReports:
    @pytest.mark.parametrize(
        "chunks",
        [
            [chunk(content="Hi"), {**chunk("stop"), "usage": USAGE}],
            [chunk(content="Hi"), chunk("stop"), {"choices": [], "usage": USAGE}],
            [{**chunk(content="Hi"), "usage": USAGE}, {**chunk("stop"), "usage": USAGE}],
            [{**chunk(content="Hi"), "usage": {**USAGE, "completion_tokens": 1}},
             {**chunk("stop"), "usage": USAGE}],
            [{**chunk(content="Hi"), "usage": USAGE}, {**chunk("stop"), "usage": None}],
            [{**chunk(content="Hi"), "usage": {"prompt_tokens": 7, "completion_tokens": 0}},
             {**chunk("stop"), "usage": {"prompt_tokens": 0, "completion_tokens": 3}}],
            [chunk(content="Hi"), {"choices": [{"delta": {}, "finish_reason": "stop",
                                                "usage": USAGE}]}],
            [chunk(content="Hi"), {**chunk("stop"), "x_groq": {"usage": USAGE}}],
            [chunk("stop", content="Hi"), {"choices": [], "usage": {"prompt_tokens": 7.0,
                                                                    "total_tokens": 10}}],
        ],
    )  # fmt: skip
    def test_usage_is_taken_wherever_it_stands(self, chunks: list[Any]) -> None:
        result = reply(*chunks)
        assert (result.usage, result.finish_reason) == (RequestUsage(7, 3), "stop")

    def test_usage_has_its_details(self) -> None:
        usage = {
            **USAGE,
            "prompt_tokens_details": {"cached_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 2},
        }
        assert reply({**chunk("stop"), "usage": usage}).usage == RequestUsage(7, 3, 5, 2)
        other = {**USAGE, "prompt_cache_hit_tokens": 0, "completion_tokens_details": None}
        assert reply({**chunk("stop"), "usage": other}).usage == RequestUsage(7, 3, 0, None)

    @pytest.mark.parametrize(
        "usage",
        [
            5,
            "many",
            [7, 3],
            {},
            {"prompt_tokens": "7", "completion_tokens": "3"},
            {"prompt_tokens": None, "completion_tokens": 3},
            {"prompt_tokens": True, "completion_tokens": 3},
            {"prompt_tokens": -7, "completion_tokens": 3},
            {"prompt_tokens": 10**400, "completion_tokens": 3},
            {"prompt_tokens": float("nan"), "completion_tokens": float("inf")},
            {"prompt_tokens": 1e300, "completion_tokens": 3.5},
        ],
    )
    def test_usage_of_the_wrong_type_is_none(self, usage: Any) -> None:
        builder = ReplyBuilder()
        builder.add({**chunk("stop", content="Hi"), "usage": usage})
        assert builder.usage is None
        assert builder.result().usage == RequestUsage(0, 0, estimated=True)
        assert builder.result(usage=RequestUsage(4, 1, estimated=True)).usage.prompt_tokens == 4

    def test_what_the_server_reports_goes_before_an_estimate(self) -> None:
        builder = ReplyBuilder()
        builder.add({**chunk("stop"), "usage": USAGE})
        assert builder.result(usage=RequestUsage(1, 1)).usage == RequestUsage(7, 3)

    def test_model_and_id_are_kept(self) -> None:
        named = {"id": "r1", "model": "gpt"}
        result = reply({"id": "", "model": "", "choices": []}, {**chunk("stop"), **named})
        assert (result.model, result.response_id) == ("gpt", "r1")

    def test_model_and_id_are_one_line_of_what_is_seen(self) -> None:
        named = {"id": "r\n1\x00", "model": "\x1b[2J\u202egpt" + "x" * 10_000}
        result = reply({**chunk("stop"), **named})
        assert result.response_id == "r 1"
        assert result.model == ("[2Jgpt" + "x" * 193) + "…"

    def test_logprobs_of_all_chunks_are_kept(self) -> None:
        def token(text: str) -> dict[str, Any]:
            top = [{"token": text, "logprob": -0.1, "bytes": None}, {"token": "?"}, None]
            said = {"token": text, "logprob": -0.1, "bytes": [97], "top_logprobs": top}
            return {"content": [said, {"token": 5, "logprob": 1}, None]}

        chunks = [chunk(content="a"), chunk(content="b"), chunk("stop")]
        chunks[0]["choices"][0]["logprobs"] = token("a")
        chunks[1]["choices"][0]["logprobs"] = token("b")
        logprobs = reply(*chunks).logprobs
        assert logprobs is not None
        assert [(each.token, each.logprob, each.bytes) for each in logprobs] == [
            ("a", -0.1, [97]),
            ("b", -0.1, [97]),
        ]
        assert logprobs[0].top_logprobs == [TopLogprob(-0.1)]

    def test_times_are_those_of_the_caller(self) -> None:
        builder = ReplyBuilder()
        builder.add(chunk("stop"))
        result = builder.result(latency=2.0, time_to_first_token=0.5)
        assert (result.latency, result.time_to_first_token) == (2.0, 0.5)


class TestOutcome:
    @pytest.mark.parametrize(
        ("said", "means"),
        [
            ("stop", "stop"),
            ("STOP", "stop"),
            ("end_turn", "stop"),
            ("length", "length"),
            ("content_filter", "content_filter"),
            ("eos_token_seen", "unknown"),
            (None, "unknown"),
        ],
    )
    def test_a_finish_reason_is_autogens(self, said: str | None, means: str) -> None:
        assert reply(chunk(said, content="Hi")).finish_reason == means

    def test_a_reply_that_has_not_ended_is_incomplete(self) -> None:
        builder = ReplyBuilder()
        builder.add(chunk(content="Hel"))
        assert builder.status == "incomplete"
        with pytest.raises(IncompleteReplyError) as caught:
            builder.result()
        assert (caught.value.partial, caught.value.retryable) == ("Hel", True)

    def test_nothing_at_all_is_incomplete(self) -> None:
        assert type(failure(end=False)) is IncompleteReplyError

    def test_a_refusal_keeps_its_words(self) -> None:
        builder = ReplyBuilder()
        shown = [*builder.add(chunk(refusal="I ca")), *builder.add(chunk("stop", refusal="n't."))]
        result = builder.result()
        assert (shown, result.content, result.refusal) == ([], "", "I can't.")
        assert builder.status == "refused"

    def test_a_filtered_reply_keeps_its_text(self) -> None:
        builder = ReplyBuilder()
        builder.add(chunk("content_filter", content="Once"))
        result = builder.result()
        assert (result.content, result.finish_reason) == ("Once", "content_filter")
        assert builder.status == "filtered"

    @pytest.mark.parametrize("finish", ["error", "abort", "insufficient_system_resource"])
    def test_a_reply_that_the_server_gave_up_has_failed(self, finish: str) -> None:
        builder = ReplyBuilder()
        builder.add(chunk(finish, content="Hel"))
        assert builder.status == "failed"
        with pytest.raises(ServerError) as caught:
            builder.result()
        assert caught.value.partial == "Hel"

    def test_a_reply_has_a_limit_and_keeps_what_came(self) -> None:
        for part in ("content", "reasoning", "refusal"):
            builder = ReplyBuilder(max_reply=10)
            builder.add(chunk(content="01234"))
            builder.add(chunk(**{part: "56789"}))
            with pytest.raises(ProtocolError, match="more than 10 bytes") as caught:
                builder.add(chunk(**{part: "x"}))
            assert caught.value.partial.startswith("01234")

    def test_arguments_count_for_the_limit(self) -> None:
        builder = ReplyBuilder(max_reply=10)
        with pytest.raises(ProtocolError, match="more than 10 bytes"):
            builder.add(chunk(tool_calls=[call(0, "c", name="f", arguments="x" * 9)]))


class TestWrongTypes:
    @pytest.mark.parametrize(
        "wrong",
        [
            5,
            "text",
            None,
            [],
            True,
            {"choices": {}},
            {"choices": "x"},
            {"choices": [5]},
            {"choices": [{"delta": [1]}]},
            {"choices": [{"delta": "x"}]},
            chunk(content=5),
            chunk(content={"a": 1}),
            chunk(content=[5]),
            chunk(content=[{"text": 5}]),
            chunk(refusal=["no"]),
            chunk(tool_calls={"a": 1}),
            chunk(tool_calls=["f"]),
            chunk(tool_calls=[{"function": "f"}]),
            chunk(tool_calls=[{"id": 5, "function": {"name": "f"}}]),
            chunk(tool_calls=[{"function": {"name": 5}}]),
            chunk(function_call="f"),
        ],
    )
    def test_content_of_the_wrong_type_is_a_protocol_error(self, wrong: Any) -> None:
        error = failure(chunk(content="Hel"), wrong)
        assert (type(error), error.partial) == (ProtocolError, "Hel")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"model": 5, "id": [], "usage": "x", "created": "y", "x_groq": 1},
            {"choices": [{"index": "0", "delta": {"content": "lo"}}]},
            {"choices": [{"index": 0.0, "delta": {"content": "lo", "role": 5}}]},
            {"choices": [{"delta": {"content": "lo"}, "finish_reason": 5, "logprobs": [1]}]},
            chunk(content="lo", reasoning_content=5, reasoning=[], reasoning_details={"a": 1}),
        ],
    )
    def test_anything_else_of_the_wrong_type_is_absent(self, wrong: Any) -> None:
        result = reply(chunk(content="lo"), wrong)
        assert (result.content, result.thought) in [("lo", None), ("lolo", None)]
        assert (result.model, result.finish_reason) == (None, "unknown")


KEYS = [
    "choices",
    "delta",
    "message",
    "content",
    "role",
    "tool_calls",
    "function_call",
    "function",
    "name",
    "arguments",
    "id",
    "index",
    "finish_reason",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "error",
    "code",
    "type",
    "object",
    "model",
    "logprobs",
    "token",
    "logprob",
    "top_logprobs",
    "bytes",
    "refusal",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "text",
    "thinking",
    "detail",
    "status",
    "prompt_tokens_details",
    "cached_tokens",
]
WORDS = [
    "",
    "a",
    "error",
    "stop",
    "length",
    "<think>",
    "</think>",
    "{",
    '{"a":1}',
    "\ud83d",
    "\ude00",
]

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**30, 2**63, -1, 0, 429])
    | st.sampled_from(WORDS)
    | st.text(max_size=4)
)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def shaped(content: Any, choice: Any, top: Any) -> dict[str, Any]:
    """A chunk of about the right shape, with anything in every place."""
    delta = {"content": "x", **(content if isinstance(content, dict) else {"content": content})}
    rest = choice if isinstance(choice, dict) else {"finish_reason": choice}
    return {
        **(top if isinstance(top, dict) else {"usage": top}),
        "choices": [{"index": 0, "delta": delta, **rest}],
    }


def typed(chunks: list[Any], think_tags: bool = False) -> CreateResult | NbAgentsError:
    """The result or our error; any other exception passes and fails the test."""
    try:
        return stream(*chunks, think_tags=think_tags)[1]
    except NbAgentsError as error:
        shown = str(error)
        failed = error
    assert (len(shown) <= 500, "\n" in shown) == (True, False)
    return failed


@settings(max_examples=400)
@given(
    st.lists(anything | st.builds(shaped, anything, anything, anything), max_size=5), st.booleans()
)
def test_any_json_anywhere_gives_a_result_or_a_typed_error(
    chunks: list[Any], think_tags: bool
) -> None:
    outcome = typed(chunks, think_tags)
    if isinstance(outcome, CreateResult):
        outcome.model_dump_json()


@pytest.mark.parametrize("key", KEYS)
def test_deep_json_in_any_place_gives_a_result_or_a_typed_error(key: str) -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    piece = {"index": 0, "function": {"name": "f", key: deep}, key: deep}
    typed([{key: deep}])
    typed([{"choices": [{"delta": {key: deep, "tool_calls": [piece]}, key: deep}], key: deep}])
    typed([{"error": {key: deep}}])


def random_chunk(dice: random.Random) -> Any:
    """A chunk such as servers send, and sometimes one such as none should."""
    kind = dice.random()
    if kind < 0.03:
        return dice.choice([None, [], {}, {"choices": [{}]}, {"error": "boom"}, {"choices": 3}])
    delta: dict[str, Any] = {}
    if dice.random() < 0.6:
        delta["content"] = dice.choice(["a", "é", "<think>", "</think>", "\ud83d", "\ude00", None])
    if dice.random() < 0.2:
        delta[dice.choice(["reasoning", "reasoning_content"])] = dice.choice(["hm", "", None])
    if dice.random() < 0.3:
        arguments = dice.choice(["{", "}", '{"a":1}', "", None, {"a": 1}])
        piece = call(
            dice.choice([None, 0, 1]), arguments=arguments, name=dice.choice(["f", "g", ""])
        )
        delta["tool_calls"] = [{**piece, "id": dice.choice([None, "", "c1", "c2"])}]
    finish = dice.choice([None] * 9 + ["stop", "length", "tool_calls", "odd", 5])
    said = chunk(finish, **delta)
    if dice.random() < 0.2:
        said["usage"] = dice.choice([None, USAGE, {"prompt_tokens": "x"}, 5])
    return said


def test_ten_thousand_random_streams_give_only_typed_results() -> None:
    dice = random.Random(20261122)
    for _ in range(10_000):
        chunks = [random_chunk(dice) for _ in range(dice.randrange(8))]
        outcome = typed(chunks, think_tags=dice.random() < 0.3)
        if isinstance(outcome, CreateResult) and isinstance(outcome.content, list):
            assert len({each.id for each in outcome.content}) == len(outcome.content)


text = st.text(max_size=12)
whole_calls = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.uuids().map(str),
            "type": st.just("function"),
            "function": st.fixed_dictionaries(
                {
                    "name": st.sampled_from(["f", "get_weather", "odd name"]),
                    "arguments": st.dictionaries(text, text, max_size=2).map(json.dumps),
                }
            ),
        }
    ),
    max_size=3,
)


@given(
    content=st.none() | text,
    reasoning=st.none() | text,
    refusal=st.none() | text,
    tool_calls=whole_calls,
    finish=st.sampled_from(["stop", "length", "tool_calls", "content_filter", None]),
    size=st.integers(1, 5),
    think_tags=st.booleans(),
)
def test_a_completion_gives_what_its_stream_gives(
    content: str | None,
    reasoning: str | None,
    refusal: str | None,
    tool_calls: list[dict[str, Any]],
    finish: str | None,
    size: int,
    think_tags: bool,
) -> None:
    message = {
        "role": "assistant",
        "content": content,
        "reasoning_content": reasoning,
        "refusal": refusal,
        "tool_calls": tool_calls,
    }
    head = {"id": "r1", "model": "m"}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {**head, "choices": [choice], "usage": USAGE}

    def cut(said: str | None) -> list[str]:
        return [said[at : at + size] for at in range(0, len(said), size)] if said else []

    chunks = [chunk(role="assistant", content="")]
    chunks += [chunk(reasoning_content=piece) for piece in cut(reasoning)]
    chunks += [chunk(content=piece) for piece in cut(content)]
    chunks += [chunk(refusal=piece) for piece in cut(refusal)]
    for index, each in enumerate(tool_calls):
        function = each["function"]
        chunks.append(chunk(tool_calls=[call(index, each["id"], name=function["name"])]))
        pieces = cut(function["arguments"])
        chunks += [chunk(tool_calls=[call(index, arguments=piece)]) for piece in pieces]
    chunks += [chunk(finish), {"choices": [], "usage": USAGE}]
    streamed = reply(*({**head, **each} for each in chunks), think_tags=think_tags)
    assert reply(completion_to_chunk(body), think_tags=think_tags) == streamed
