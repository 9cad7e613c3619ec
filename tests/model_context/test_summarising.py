"""The context that replaces what is long past by a summary."""

from __future__ import annotations

import asyncio
import logging

import pytest

from nbagents import ledger
from nbagents.errors import ConfigurationError, RequestCancelledError
from nbagents.messages import UserMessage
from nbagents.model_context import SummarisingChatCompletionContext, UnboundedChatCompletionContext
from tests.model_context.api import calls, faults, replies, results, rule, says
from tests.scripted import ScriptedClient


async def shown(context: SummarisingChatCompletionContext, *texts: str) -> list[str]:
    for text in texts:
        await context.add_message(says(text))
    return [str(message.content) for message in await context.get_messages()]


NOTE = "(Summary of what was said before)\n\n"


async def test_what_fits_is_shown_as_it_is() -> None:
    client = ScriptedClient()
    context = SummarisingChatCompletionContext(client, buffer_size=4)
    assert await shown(context, *"abcd") == [*"abcd"]
    assert (client.requests, context.summary) == ([], "")


async def test_older_messages_become_one_summary_and_it_grows() -> None:
    client = ScriptedClient("First.", "Both.")
    context = SummarisingChatCompletionContext(
        client, buffer_size=4, initial_messages=[rule("Hush.")]
    )
    assert await shown(context, *"abcde") == ["Hush.", f"{NOTE}First.", "d", "e"]
    assert await shown(context, *"fg") == ["Hush.", f"{NOTE}First.", *"defg"]
    assert await shown(context, "h") == ["Hush.", f"{NOTE}Both.", "g", "h"]
    first, second = (str(request[-1].content) for request in client.requests)
    assert first == (
        "Minutes so far:\nnone\n\nSaid since:\nUser (ada): a\n\nUser (ada): b\n\nUser (ada): c"
    )
    assert second.startswith("Minutes so far:\nFirst.\n\nSaid since:\nUser (ada): d")


async def test_the_summary_has_no_authority() -> None:
    context = SummarisingChatCompletionContext(ScriptedClient("Sum."), buffer_size=2)
    await shown(context, *"abc")
    note = (await context.get_messages())[0]
    assert (type(note), note.source) == (UserMessage, "summary")  # type: ignore[union-attr]


async def test_calls_and_results_go_into_the_summary_together() -> None:
    client = ScriptedClient("Sum.")
    context = SummarisingChatCompletionContext(client, buffer_size=3)
    for message in (says("a"), calls("1"), results("1"), replies("b")):
        await context.add_message(message)
    view = await context.get_messages()
    assert [str(message.content) for message in view] == [f"{NOTE}Sum.", "b"]
    told = str(client.requests[0][-1].content)
    assert "Assistant (bot): calls add({})\n\nTools: add gave: 3" in told
    assert faults(view) == []


async def test_the_request_is_in_the_ledger_as_the_summarys() -> None:
    before = len(ledger)
    context = SummarisingChatCompletionContext(ScriptedClient("Sum."), buffer_size=2)
    await shown(context, *"abc")
    assert [record.source for record in ledger.records[before:]] == ["summary"]


@pytest.mark.parametrize("reply", [OSError("no line"), "", " \n"])
async def test_without_a_summary_nothing_is_lost_and_it_is_tried_again(
    reply: str | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    context = SummarisingChatCompletionContext(ScriptedClient(reply, "Sum."), buffer_size=2)
    assert await shown(context, *"abcd") == [*"abcd"]
    [record] = caplog.records
    assert (record.name, record.levelno) == ("nbagents", logging.WARNING)
    assert "could not be summarised" in record.getMessage()
    assert await shown(context, "e") == [f"{NOTE}Sum.", "e"]


async def test_a_client_that_always_fails_does_not_let_the_view_grow_for_ever() -> None:
    failures = [OSError("no line") for _ in range(3)]
    context = SummarisingChatCompletionContext(ScriptedClient(*failures), buffer_size=2)
    assert await shown(context, *"abcdefghijkl") == [*"efghijkl"]
    assert len(context) == 12


@pytest.mark.parametrize("error", [asyncio.CancelledError(), RequestCancelledError("stop")])
async def test_cancellation_passes_through(error: BaseException) -> None:
    context = SummarisingChatCompletionContext(ScriptedClient(error, "Sum."), buffer_size=2)
    with pytest.raises(asyncio.CancelledError):
        await shown(context, *"abc")
    assert await shown(context) == [f"{NOTE}Sum.", "c"]


async def test_who_asks_meanwhile_gets_the_messages_themselves() -> None:
    client = ScriptedClient("Sum.", pause=0.01)
    context = SummarisingChatCompletionContext(client, buffer_size=2)
    await asyncio.gather(*(context.add_message(says(text)) for text in "abc"))
    one, other = await asyncio.gather(shown(context), shown(context))
    assert (one, other) == ([f"{NOTE}Sum.", "c"], [*"abc"])
    assert len(client.requests) == 1


async def test_a_conversation_that_is_cleared_meanwhile_gets_no_summary_of_the_old_one() -> None:
    context = SummarisingChatCompletionContext(ScriptedClient("Old.", pause=0.01), buffer_size=2)
    await asyncio.gather(*(context.add_message(says(text)) for text in "abc"))
    waiting = asyncio.ensure_future(shown(context))
    await asyncio.sleep(0)
    await context.clear()
    await waiting
    assert context.summary == ""
    assert await shown(context, "new") == ["new"]


async def test_the_state_of_another_context_is_taken() -> None:
    other = UnboundedChatCompletionContext([says("a")])
    context = SummarisingChatCompletionContext(ScriptedClient("Sum."), buffer_size=2)
    await shown(context, *"abc")
    await context.load_state(await other.save_state())
    assert (await shown(context), context.summary) == (["a"], "")


async def test_a_long_result_is_cut_for_the_summary() -> None:
    client = ScriptedClient("Sum.")
    context = SummarisingChatCompletionContext(client, buffer_size=2)
    await shown(context, "x" * 1_000_000, "b", "c")
    assert len(str(client.requests[0][-1].content)) < 5_000


def test_a_buffer_that_leaves_nothing_to_summarise_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 2, not 1"):
        SummarisingChatCompletionContext(ScriptedClient(), buffer_size=1)
