"""The meter and the wrappers: every request is counted once, however it ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, nullcontext

import pandas as pd
import pytest

from nbagents.agents import ChatAgent
from nbagents.errors import (
    APIConnectionError,
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    ContentFilterError,
    IncompleteReplyError,
    ProtocolError,
)
from nbagents.messages import CreateResult, FunctionCall, RequestUsage, UserMessage
from nbagents.messages._show import summary
from nbagents.models import MeteredChatCompletionClient, ReplyStream, through, use
from nbagents.notebook._panel.totals import Totals
from nbagents.prices import cost_of, known_as
from nbagents.tools import tool
from nbagents.usage import Budget, UsageLedger, attribute, ledger, within
from tests.scripted import ScriptedClient

PROMPT = [UserMessage(content="three short words", source="user")]


async def test_a_whole_reply_is_one_row_with_what_the_server_reported() -> None:
    ledger = UsageLedger()
    with attribute(source="tutor", cell=3):
        client = MeteredChatCompletionClient(ScriptedClient("a b"), ledger)
    await client.create(PROMPT)
    (row,) = ledger.records
    assert (row.source, row.cell, row.model) == ("tutor", 3, "scripted")
    assert (row.prompt_tokens, row.completion_tokens, row.estimated) == (10, 2, False)
    assert (row.status, row.finish_reason, row.cost) == ("complete", "stop", None)


async def test_a_cancelled_request_raises_asyncios_own_error_and_shows_as_one_line() -> None:
    client = MeteredChatCompletionClient(ScriptedClient("never", pause=30), UsageLedger())
    task = asyncio.create_task(client.create(PROMPT))
    await asyncio.sleep(0.01)
    task.cancel("why")
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert type(caught.value) is asyncio.CancelledError
    assert caught.value.args == ("why",)
    assert vars(caught.value)["_render_traceback_"]() == [
        "CancelledError: the request was stopped, and its connection closed."
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (IncompleteReplyError("cut"), "incomplete"),
        (ContentFilterError("filtered"), "filtered"),
        (RuntimeError("bug"), "failed"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
async def test_a_broken_reply_is_a_row_with_estimated_tokens(
    error: BaseException, status: str
) -> None:
    ledger = UsageLedger()
    client = MeteredChatCompletionClient(ScriptedClient(error), ledger)
    with pytest.raises(type(error)):
        async for _ in client.create_stream(PROMPT):
            pass
    (row,) = ledger.records
    assert (row.status, row.estimated) == (status, True)
    assert (row.prompt_tokens, row.completion_tokens) == (3, 1)


async def test_of_a_long_reply_that_was_left_the_beginning_stands_for_the_whole() -> None:
    ledger = UsageLedger()
    client = MeteredChatCompletionClient(ScriptedClient("word\n " * 40_000), ledger)
    stream = client.create_stream(PROMPT)
    for _ in range(30_000):
        await anext(stream)
    await stream.aclose()
    (row,) = ledger.records
    assert row.completion_tokens == pytest.approx(30_000, rel=0.05)
    assert (row.status, row.estimated) == ("cancelled", True)


async def test_a_request_the_server_turned_away_has_unknown_tokens() -> None:
    ledger = UsageLedger()
    client = MeteredChatCompletionClient(
        ScriptedClient(AuthenticationError("who?", status=401)), ledger
    )
    with pytest.raises(AuthenticationError):
        await client.create(PROMPT)
    (row,) = ledger.records
    assert (row.status, row.prompt_tokens, row.estimated) == ("failed", None, False)


async def test_a_server_that_was_not_reached_took_no_tokens() -> None:
    ledger = UsageLedger()
    client = MeteredChatCompletionClient(ScriptedClient(APIConnectionError("no route")), ledger)
    with pytest.raises(APIConnectionError):
        await client.create(PROMPT)
    assert [(row.status, row.prompt_tokens) for row in ledger.records] == [("failed", None)]


async def test_tokens_that_a_failed_request_reports_are_counted_as_reported() -> None:
    ledger, error = UsageLedger(), ProtocolError("not of the schema")
    error.usage = RequestUsage(7, 5)
    client = MeteredChatCompletionClient(ScriptedClient(error), ledger)
    with pytest.raises(ProtocolError):
        await client.create(PROMPT)
    (row,) = ledger.records
    assert (row.prompt_tokens, row.completion_tokens, row.estimated) == (7, 5, False)


async def test_a_request_that_was_never_sent_is_no_row() -> None:
    ledger = UsageLedger()
    client = MeteredChatCompletionClient(ScriptedClient(ConfigurationError("no key")), ledger)
    with pytest.raises(ConfigurationError):
        await client.create(PROMPT)
    assert len(ledger) == 0


async def test_a_stream_that_is_left_is_counted_as_cancelled() -> None:
    ledger = UsageLedger()
    client = MeteredChatCompletionClient(ScriptedClient("one two three"), ledger)
    async with aclosing(client.create_stream(PROMPT)) as stream:
        await anext(stream)
    assert [row.status for row in ledger.records] == ["cancelled"]


async def test_an_exception_in_the_body_of_a_loop_is_a_cancelled_row() -> None:
    ledger, client = UsageLedger(), ScriptedClient("one two three")
    stream = ReplyStream(MeteredChatCompletionClient(client, ledger).create_stream(PROMPT))

    async def read() -> None:
        async for _ in stream:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read()
    await asyncio.sleep(0.02)
    assert [row.status for row in ledger.records] == ["cancelled"]
    assert client.closed_streams == 1


async def test_of_clients_in_clients_only_the_innermost_is_counted() -> None:
    inner, outer = UsageLedger(), UsageLedger()
    client = MeteredChatCompletionClient(ScriptedClient("a", "b c"), inner)

    class Around(ScriptedClient):
        async def create(self, messages, **arguments):  # type: ignore[no-untyped-def, override]
            return await self.nested().create(messages, **arguments)

        async def create_stream(self, messages, **arguments):  # type: ignore[no-untyped-def, override]
            async for event in self.nested().create_stream(messages, **arguments):
                yield event

        def nested(self) -> MeteredChatCompletionClient:
            return MeteredChatCompletionClient(client._client, inner)

    around = MeteredChatCompletionClient(Around(), outer)
    await around.create(PROMPT)
    async for _ in around.create_stream(PROMPT):
        pass
    assert (len(inner), len(outer)) == (2, 0)


async def test_a_wrapper_in_use_sees_the_requests_of_every_client_once() -> None:
    seen: list[object] = []

    def spy(client):  # type: ignore[no-untyped-def]
        seen.append(client)
        return client

    client = ScriptedClient("a", "b")
    remove = use(spy)
    try:
        await through(client).create(PROMPT)
        assert seen == [client]
    finally:
        remove()
    await through(client).create(PROMPT)
    assert seen == [client]


async def test_leaving_a_loop_closes_a_stream_that_a_variable_still_holds() -> None:
    client = ScriptedClient("one two three")
    stream = ReplyStream(client.create_stream(PROMPT))
    async for _ in stream:
        break
    await asyncio.sleep(0.02)
    assert client.closed_streams == 1


async def test_a_stream_keeps_its_result() -> None:
    stream = ReplyStream(ScriptedClient("one").create_stream(PROMPT))
    assert stream.result is None
    async for _ in stream:
        pass
    assert stream.result is not None
    assert stream.result.content == "one"


async def test_a_request_over_the_budget_is_refused_before_it_is_sent() -> None:
    client = ScriptedClient("a", "b")
    client.model = "gpt-4o"  # type: ignore[misc]
    with within(Budget(0.0)), pytest.raises(BudgetExceededError, match="overspend"):
        await through(client).create(PROMPT)
    assert client.requests == []
    with within(Budget(1.0)) as budget:
        await through(client).create(PROMPT)
    assert 0 < budget.spent < 0.01
    assert budget.left == pytest.approx(1.0 - budget.spent)


async def test_a_request_that_was_not_sent_costs_a_budget_nothing() -> None:
    client = ScriptedClient(ConfigurationError("no key"))
    client.model = "gpt-4o"  # type: ignore[misc]
    with within(Budget(1.0)) as budget, pytest.raises(ConfigurationError):
        await through(client).create(PROMPT)
    assert (budget.spent, budget.left) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("answered", "asked", "cost"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o", 12.5),  # a dated snapshot
        ("gpt-4o", "best-of-ours", 12.5),  # an alias of a server of one's own
        ("east-us-deployment", "gpt-4o", 12.5),  # an Azure deployment
        ("gpt-4o", "gpt-4.1-mini", 12.5),  # the server knows better
        ("east-us-deployment", "best-of-ours", None),
        (None, "gpt-4o", 12.5),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
async def test_reply_footer_ledger_frame_agent_panel_and_budget_tell_one_price(
    answered: str | None, asked: str, cost: float | None, streamed: bool
) -> None:
    usage = RequestUsage(1_000_000, 1_000_000)
    told = CreateResult(
        finish_reason="stop", content="Hi", usage=usage, cached=False, model=answered
    )
    client = ScriptedClient(told)
    client.model = asked
    before, budget = len(ledger.records), Budget(100, name="ours")
    agent = ChatAgent(client)
    with within(budget) if known_as(asked) else nullcontext():
        if streamed:
            result = [event async for event in agent.stream("Hi")][-1]
        else:
            result = await agent.ask("Hi")
    assert isinstance(result, CreateResult)
    [record] = ledger.records[before:]
    totals = Totals()
    totals.add(result)
    assert result.cost == record.cost == agent.cost == cost
    assert budget.spent == (cost if known_as(asked) else 0)
    for frame in (UsageLedger([record]).to_frame(), result.to_frame()):
        assert frame["cost"].tolist() == [pd.NA if cost is None else cost]
    for text in (summary(result), str(totals), agent._repr_mimebundle_()["text/plain"]):
        assert ("$12.50" in text) == bool(cost)
    saved = CreateResult.model_validate_json(result.model_dump_json())
    assert saved.cost == cost


async def test_a_turn_of_several_requests_costs_what_they_cost_together() -> None:
    """Though the list has another price for a prompt as long as theirs together."""
    usage = RequestUsage(150_000, 0)
    call = FunctionCall(id="1", name="look", arguments="{}")
    results = [
        CreateResult(finish_reason=why, content=content, usage=usage, cached=cached, model=LONG)
        for why, content, cached in (
            ("function_calls", [call], False),
            ("function_calls", [call], True),
            ("stop", "Done.", False),
        )
    ]
    before = len(ledger.records)
    agent = ChatAgent(ScriptedClient(*results), tools=[tool(look)])
    result = await agent.ask("Hi")
    costs = [record.cost for record in ledger.records[before:]]
    assert costs[1] == 0
    assert cost_of(result.usage, LONG) != result.cost == agent.cost == sum(map(float, costs))


def look() -> str:
    """Look."""
    return "seen"


LONG = "gemini-2.5-pro"
