"""Prepared replies: one a request, in order, streamed or not."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from nbagents import CancellationToken
from nbagents.errors import ConfigurationError, ProtocolError, RateLimitError, RequestCancelledError
from nbagents.messages import (
    CreateResult,
    FunctionCall,
    ModelInfo,
    RequestUsage,
    StreamChunk,
    UserMessage,
)
from nbagents.models import ChatCompletionClient, ReplayChatCompletionClient
from nbagents.prices import cost_usd
from nbagents.usage import ledger

PROMPT = [UserMessage(content="three short words", source="user")]
CALLS = CreateResult(
    finish_reason="function_calls",
    content=[FunctionCall(id="c1", name="add", arguments="{}")],
    usage=RequestUsage(30, 5),
    cached=False,
    thought="Let me add.",
)


def test_it_is_a_client_like_all_others() -> None:
    assert isinstance(ReplayChatCompletionClient([]), ChatCompletionClient)


async def test_replies_come_in_their_order_whatever_is_asked() -> None:
    client = ReplayChatCompletionClient(["one", CALLS])
    assert (await client.create(PROMPT)).content == "one"
    assert (await client.create(PROMPT)).content == CALLS.content


async def test_what_is_no_list_of_messages_is_refused_and_uses_no_reply_up() -> None:
    client = ReplayChatCompletionClient(["one"])
    with pytest.raises(ConfigurationError, match=r"^messages is a list: \[UserMessage\("):
        await client.create("Hello")  # type: ignore[arg-type]
    assert (await client.create(PROMPT)).content == "one"


async def test_a_text_ends_with_stop_and_counts_its_words() -> None:
    result = await ReplayChatCompletionClient(["four words of reply"]).create(PROMPT)
    assert (result.finish_reason, result.cached) == ("stop", True)
    assert result.usage == RequestUsage(3, 4, estimated=True)


async def test_a_text_costs_nothing_and_a_result_what_it_says() -> None:
    priced = CALLS.model_copy(update={"model": "gpt-4.1-mini"})
    kept = priced.model_copy(update={"cached": True})
    client = ReplayChatCompletionClient(["one", CALLS, priced, kept])
    costs = [(await client.create(PROMPT)).cost for _ in range(4)]
    assert costs == [0.0, None, cost_usd("gpt-4.1-mini", 30, 5), 0.0]


async def test_a_stream_gives_words_that_join_to_the_reply_and_last_the_result() -> None:
    text = " Two  lines,\n\n    the second indented.\n"
    *words, result = [e async for e in ReplayChatCompletionClient([text]).create_stream(PROMPT)]
    assert "".join(map(str, words)) == text
    assert len(words) == 5
    assert isinstance(result, CreateResult)
    assert result.content == text


async def test_a_stream_gives_the_reasoning_first() -> None:
    *words, result = [e async for e in ReplayChatCompletionClient([CALLS]).create_stream(PROMPT)]
    kinds = [(str(word), word.kind) for word in words if isinstance(word, StreamChunk)]
    assert kinds == [("Let ", "reasoning"), ("me ", "reasoning"), ("add.", "reasoning")]
    assert result == CALLS


async def test_create_and_create_stream_end_in_equal_results() -> None:
    client = ReplayChatCompletionClient(["the same", "the same"])
    whole = await client.create(PROMPT)
    assert [event async for event in client.create_stream(PROMPT)][-1] == whole


async def test_used_up_replies_are_an_error_that_says_how_many_there_were() -> None:
    client = ReplayChatCompletionClient(["only"])
    await client.create(PROMPT)
    with pytest.raises(ValueError, match=r"All 1 replies .* reset\(\)"):
        await client.create(PROMPT)
    with pytest.raises(ConfigurationError):
        await anext(client.create_stream(PROMPT))


async def test_reset_begins_again_and_forgets_the_usage() -> None:
    client = ReplayChatCompletionClient(["only"])
    await client.create(PROMPT)
    client.reset()
    assert client.total_usage() == RequestUsage(0, 0)
    assert (await client.create(PROMPT)).content == "only"
    assert len(client.create_calls) == 2


async def test_what_was_asked_can_be_looked_at() -> None:
    client = ReplayChatCompletionClient(["a", "b"])
    await client.create(PROMPT, extra_create_args={"seed": 1})
    _ = [event async for event in client.create_stream(PROMPT)]
    [call] = client.create_calls
    assert (call["messages"], call["extra_create_args"]) == (PROMPT, {"seed": 1})
    assert [each["messages"] for each in client.calls] == [PROMPT, PROMPT]


async def test_usage_is_that_of_the_last_reply_and_of_all() -> None:
    client = ReplayChatCompletionClient(["a b", "c"])
    await client.create(PROMPT)
    await client.create(PROMPT)
    assert client.actual_usage() == RequestUsage(3, 1, estimated=True)
    assert client.total_usage() == RequestUsage(6, 3, estimated=True)
    assert client.remaining_tokens(PROMPT) == 10_000 - 9


async def test_a_prepared_reply_is_not_said_to_come_from_a_cache() -> None:
    result = await ReplayChatCompletionClient(["Hi."]).create(PROMPT)
    shown = result._repr_mimebundle_()["text/plain"]
    assert shown == "Hi.\n\nreplay · 3 → 1 tokens · $0.00 · estimated"


async def test_every_reply_is_a_row_of_the_ledger_and_a_cached_one_costs_nothing() -> None:
    client = ReplayChatCompletionClient(["a", "b"])
    before = len(ledger)
    await client.create(PROMPT)
    client.set_cached_bool_value(False)
    await client.create(PROMPT)
    rows = ledger.records[before:]
    assert [(row.model, row.cost) for row in rows] == [("replay", 0.0), ("replay", None)]


async def test_an_exception_among_the_replies_is_raised() -> None:
    client = ReplayChatCompletionClient([RateLimitError("slow down"), "better"])
    with pytest.raises(RateLimitError):
        await client.create(PROMPT)
    assert (await client.create(PROMPT)).content == "better"


class Place(BaseModel):
    name: str


async def test_json_that_was_asked_for_is_parsed_as_a_real_client_parses_it() -> None:
    client = ReplayChatCompletionClient(['{"name": "Ulm"}', "Ulm"])
    assert (await client.create(PROMPT, json_output=Place)).parsed == Place(name="Ulm")
    with pytest.raises(ProtocolError):
        await client.create(PROMPT, json_output=Place)


async def test_a_used_token_stops_a_stream() -> None:
    token = CancellationToken()
    stream = ReplayChatCompletionClient(["a b c"]).create_stream(PROMPT, cancellation_token=token)
    assert await anext(stream) == "a "
    token.cancel()
    with pytest.raises(RequestCancelledError):
        await anext(stream)


async def test_requests_at_once_get_a_reply_each() -> None:
    client = ReplayChatCompletionClient([str(number) for number in range(20)])
    results = await asyncio.gather(*(client.create(PROMPT) for _ in range(20)))
    assert sorted(int(result.text) for result in results) == list(range(20))


def test_what_the_model_can_do_is_as_said_and_little_when_nothing_is_said() -> None:
    info = ModelInfo(
        vision=True, function_calling=True, json_output=True, family="x", structured_output=True
    )
    assert ReplayChatCompletionClient([], model_info=info).model_info == info
    assert ReplayChatCompletionClient([]).model_info["function_calling"] is False
