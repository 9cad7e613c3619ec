"""Intervention handlers: a chain that sees, changes and drops messages."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from nbagents import (
    AgentId,
    DefaultInterventionHandler,
    DropMessage,
    MessageContext,
    SingleThreadedAgentRuntime,
)
from nbagents.errors import MessageDroppedException
from tests.runtime.messages import ECHO, SLOW, TOPIC, Echo, Slow, Text, settle


class Adding(DefaultInterventionHandler):
    """Adds a letter to everything it sees."""

    def __init__(self, letter: str, pause: float = 0.0) -> None:
        self.letter = letter
        self.pause = pause

    async def on_send(
        self, message: Text, *, message_context: MessageContext, recipient: AgentId
    ) -> Text:
        assert message_context.is_rpc
        await asyncio.sleep(self.pause)
        return Text(message.words + self.letter)

    async def on_publish(self, message: Text, *, message_context: MessageContext) -> Text:
        assert message_context.topic_id == TOPIC
        return Text(message.words + self.letter)

    async def on_response(
        self, message: Text, *, sender: AgentId, recipient: AgentId | None
    ) -> Text:
        return Text(message.words + self.letter.upper())


class Dropping(DefaultInterventionHandler):
    """Drops what says so, in the place that is to be dropped."""

    def __init__(self, where: str) -> None:
        self.where = where

    async def on_send(self, message: Any, **_: Any) -> Any:
        return DropMessage if self.where == "send" else message

    async def on_publish(self, message: Any, **_: Any) -> Any:
        return DropMessage() if self.where == "publish" else message

    async def on_response(self, message: Any, **_: Any) -> Any:
        return DropMessage if self.where == "response" else message


async def runtime_seen_by(*handlers: Any, **arguments: Any) -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime(intervention_handlers=list(handlers), **arguments)
    await Echo.register(runtime, "echo", Echo)
    await Slow.register(runtime, "slow", Slow, skip_class_subscriptions=True)
    return runtime


async def heard(runtime: SingleThreadedAgentRuntime) -> list[str]:
    return (await runtime.try_get_underlying_agent_instance(ECHO, Echo)).heard


async def test_each_handler_is_given_what_the_one_before_returned() -> None:
    runtime = await runtime_seen_by(Adding("a"), Adding("b"))
    assert await runtime.send_message(Text("-"), ECHO) == Text("echo/default: -abAB")
    await runtime.publish_message(Text("+"), TOPIC)
    runtime.start()
    await runtime.stop_when_idle()
    assert await heard(runtime) == ["-ab", "+ab"]


@pytest.mark.parametrize("where", ["send", "response"])
async def test_a_sender_is_told_that_its_message_was_dropped(where: str) -> None:
    runtime = await runtime_seen_by(Dropping(where))
    with pytest.raises(MessageDroppedException, match=f"Dropping.on_{where} dropped a"):
        await runtime.send_message(Text("hi"), ECHO)


async def test_a_dropped_message_keeps_nobody_waiting_for_idleness() -> None:
    runtime = await runtime_seen_by(Dropping("publish"))
    runtime.start()
    await runtime.publish_message(Text("hi"), TOPIC)
    async with asyncio.timeout(30):
        await runtime.stop_when_idle()
    assert await heard(runtime) == []


async def test_none_changes_nothing_and_warns() -> None:
    class Forgetful(DefaultInterventionHandler):
        async def on_send(self, message: Any, **_: Any) -> Any:
            return None

    runtime = await runtime_seen_by(Forgetful())
    with pytest.warns(RuntimeWarning, match=r"Forgetful\.on_send returned None"):
        answer = await runtime.send_message(Text("hi"), ECHO)
    assert answer == Text("echo/default: hi")


async def test_what_a_handler_raises_goes_to_the_sender() -> None:
    class Refusing(DefaultInterventionHandler):
        async def on_send(self, message: Any, **_: Any) -> Any:
            raise PermissionError("no")

    runtime = await runtime_seen_by(Refusing())
    with pytest.raises(PermissionError, match="no"):
        await runtime.send_message(Text("hi"), ECHO)
    assert runtime.unprocessed_messages_count == 0


async def test_what_a_handler_raises_about_a_published_message_is_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refusing(DefaultInterventionHandler):
        async def on_publish(self, message: Any, **_: Any) -> Any:
            raise PermissionError("no")

    runtime = await runtime_seen_by(Refusing(), ignore_unhandled_exceptions=False)
    runtime.start()
    with caplog.at_level(logging.ERROR, logger="nbagents.runtime"):
        await runtime.publish_message(Text("hi"), TOPIC)
        with pytest.raises(PermissionError, match="no"):
            await runtime.stop_when_idle()
    assert "intervention handler failed for default/default" in caplog.text


async def test_slow_handlers_do_not_change_the_order() -> None:
    class SlowAtFirst(DefaultInterventionHandler):
        async def on_publish(self, message: Text, **_: Any) -> Any:
            await asyncio.sleep(0.02 if message.words == "1" else 0)
            return message

    runtime = await runtime_seen_by(SlowAtFirst())
    runtime.start()
    for words in "123":
        await runtime.publish_message(Text(words), TOPIC)
    await runtime.stop_when_idle()
    assert await heard(runtime) == ["1", "2", "3"]


async def test_a_handler_may_send_messages_itself() -> None:
    class Asking(DefaultInterventionHandler):
        async def on_send(self, message: Text, **_: Any) -> Any:
            if message.words == "hi":
                answer = await runtime.send_message(Text("may I?"), ECHO)
                return Text(answer.words)
            return message

    runtime = await runtime_seen_by(Asking())
    async with asyncio.timeout(30):
        answer = await runtime.send_message(Text("hi"), ECHO)
    assert answer == Text("echo/default: echo/default: may I?")


async def test_cancelling_the_sender_lets_the_next_message_pass() -> None:
    runtime = await runtime_seen_by(Adding("a", pause=60))
    request = asyncio.create_task(runtime.send_message(Text("hi"), ECHO))
    await settle()
    await runtime.publish_message(Text("next"), TOPIC)
    assert runtime.unprocessed_messages_count == 2
    request.cancel()
    runtime.start()
    async with asyncio.timeout(30):
        await runtime.stop_when_idle()
    assert await heard(runtime) == ["nexta"]


async def test_stop_does_not_wait_for_an_intervention() -> None:
    runtime = await runtime_seen_by(Adding("a", pause=60))
    runtime.start()
    request = asyncio.create_task(runtime.send_message(Text("hi"), SLOW))
    await settle()
    async with asyncio.timeout(30):
        await runtime.stop()
    with pytest.raises(Exception, match="stopped before the message's turn came"):
        await request
    assert runtime.unprocessed_messages_count == 0


async def test_process_next_awaits_the_interventions() -> None:
    class Pausing(DefaultInterventionHandler):
        async def on_publish(self, message: Any, **_: Any) -> Any:
            await asyncio.sleep(0.01)
            return message

    runtime = await runtime_seen_by(Pausing())
    await runtime.publish_message(Text("hi"), TOPIC)
    await runtime.process_next()
    await settle()
    assert await heard(runtime) == ["hi"]
