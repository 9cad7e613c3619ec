"""Published messages: whom they reach, when, and what becomes of errors."""

from __future__ import annotations

import asyncio
import logging

import pytest

from nbagents import (
    AgentId,
    CancellationToken,
    DefaultSubscription,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    default_subscription,
    message_handler,
)
from nbagents.errors import UndeliverableException
from tests.runtime.messages import (
    ECHO,
    SLOW,
    TOPIC,
    Echo,
    Failing,
    Slow,
    Text,
    runtime_with,
    settle,
)


async def heard_by(runtime: SingleThreadedAgentRuntime, agent: AgentId = ECHO) -> list[str]:
    return (await runtime.try_get_underlying_agent_instance(agent, Echo)).heard


async def test_a_message_reaches_all_that_subscribe() -> None:
    runtime = await runtime_with(echo=Echo, other=Echo)
    runtime.start()
    await runtime.publish_message(Text("hi"), TOPIC)
    await runtime.stop_when_idle()
    assert await heard_by(runtime) == ["hi"]
    assert await heard_by(runtime, AgentId("other", "default")) == ["hi"]


async def test_each_source_of_a_topic_has_an_agent_of_its_own() -> None:
    runtime = await runtime_with(echo=Echo)
    runtime.start()
    await runtime.publish_message(Text("one"), DefaultTopicId(source="a"))
    await runtime.publish_message(Text("two"), DefaultTopicId(source="b"))
    await runtime.stop_when_idle()
    assert await heard_by(runtime, AgentId("echo", "a")) == ["one"]
    assert await heard_by(runtime, AgentId("echo", "b")) == ["two"]


async def test_an_agent_that_hears_of_a_message_twice_over_handles_it_once() -> None:
    runtime = await runtime_with(echo=Echo)
    await runtime.add_subscription(TypeSubscription("default", "echo", id="again"))
    await runtime.add_subscription(DefaultSubscription(agent_type="echo"))
    runtime.start()
    await runtime.publish_message(Text("hi"), TOPIC)
    await runtime.stop_when_idle()
    assert await heard_by(runtime) == ["hi"]


async def test_an_agent_hears_the_topics_that_begin_with_its_type() -> None:
    runtime = await runtime_with(echo=Echo)
    runtime.start()
    await runtime.publish_message(Text("hi"), TopicId("echo:x", "default"))
    await runtime.stop_when_idle()
    assert await heard_by(runtime) == ["hi"]


async def test_a_sender_does_not_hear_itself() -> None:
    runtime = await runtime_with(echo=Echo)
    runtime.start()
    await runtime.publish_message(Text("hi"), TOPIC, sender=ECHO)
    await runtime.stop_when_idle()
    assert await heard_by(runtime) == []


async def test_a_handler_publishes_to_its_own_source() -> None:
    @default_subscription
    class Relay(RoutedAgent):
        @message_handler
        async def on_int(self, message: int, ctx: MessageContext) -> None:
            await self.publish_message(Text(str(message)), DefaultTopicId())

    runtime = await runtime_with(echo=Echo)
    await Relay.register(runtime, "relay", lambda: Relay("Relays."))
    runtime.start()
    await runtime.publish_message(7, DefaultTopicId(source="mine"))
    await runtime.stop_when_idle()
    assert await heard_by(runtime, AgentId("echo", "mine")) == ["7"]


async def test_messages_wait_for_the_start() -> None:
    runtime = await runtime_with(echo=Echo)
    await runtime.publish_message(Text("one"), TOPIC)
    await runtime.publish_message(Text("two"), TOPIC)
    await settle()
    assert runtime.unprocessed_messages_count == 2
    assert await heard_by(runtime) == []
    runtime.start()
    await runtime.stop_when_idle()
    assert await heard_by(runtime) == ["one", "two"]


async def test_messages_are_handed_out_before_a_request_that_came_later() -> None:
    runtime = await runtime_with(echo=Echo)
    await runtime.publish_message(Text("first"), TOPIC)
    await runtime.send_message(Text("second"), ECHO)
    assert await heard_by(runtime) == ["first", "second"]


async def test_process_next_hands_out_one_message() -> None:
    runtime = await runtime_with(echo=Echo)
    await runtime.publish_message(Text("one"), TOPIC)
    await runtime.publish_message(Text("two"), TOPIC)
    await runtime.process_next()
    assert await heard_by(runtime) == ["one"]
    assert runtime.unprocessed_messages_count == 1
    await runtime.process_next()
    assert await heard_by(runtime) == ["one", "two"]


async def test_process_next_does_not_wait_for_ever() -> None:
    runtime = await runtime_with(echo=Echo)
    async with asyncio.timeout(30):
        await runtime.process_next()


async def test_process_next_takes_a_message_that_comes_meanwhile() -> None:
    runtime = await runtime_with(echo=Echo)
    stepping = asyncio.create_task(runtime.process_next())
    await settle()
    await runtime.publish_message(Text("hi"), TOPIC)
    await stepping
    assert await heard_by(runtime) == ["hi"]


async def test_an_error_is_logged_and_the_others_hear_the_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = await runtime_with(a=Failing, echo=Echo)
    await runtime.add_subscription(TypeSubscription("default", "a"))
    await runtime.add_subscription(TypeSubscription("default", "nobody"))
    runtime.start()
    with caplog.at_level(logging.ERROR, logger="nbagents.runtime"):
        await runtime.publish_message(Text("oh no"), TOPIC)
        await runtime.stop_when_idle()
    assert await heard_by(runtime) == ["oh no"]
    failed, missing = sorted(record.message for record in caplog.records)
    assert failed == "a/default failed with a Text that was published: oh no"
    assert missing.startswith("nobody/default failed with a Text that was published: No agent")
    assert caplog.records[0].exc_info is not None


@pytest.mark.parametrize("end", ["stop", "stop_when_idle", "stop_when", "process_next"])
async def test_an_error_that_is_not_ignored_is_raised_at_the_end(end: str) -> None:
    runtime = SingleThreadedAgentRuntime(ignore_unhandled_exceptions=False)
    await Failing.register(runtime, "failing", Failing)
    await runtime.add_subscription(TypeSubscription("default", "failing"))
    runtime.start()
    await runtime.publish_message(Text("oh no"), TOPIC)
    await settle()
    arguments = [lambda: False] if end == "stop_when" else []
    with pytest.raises(ValueError, match="oh no"):
        await getattr(runtime, end)(*arguments)
    runtime.start()  # and goes on
    await runtime.publish_message(Text("again"), TOPIC)
    with pytest.raises(ValueError, match="again"):
        await runtime.stop_when_idle()


async def test_after_an_error_that_is_not_ignored_nobody_waits() -> None:
    runtime = SingleThreadedAgentRuntime(ignore_unhandled_exceptions=False)
    await Failing.register(runtime, "failing", Failing)
    await Slow.register(runtime, "slow", Slow)
    await runtime.add_subscription(TypeSubscription("errors", "failing"))
    runtime.start()
    first, second = (asyncio.create_task(runtime.send_message(Text(words), SLOW)) for words in "12")
    await settle()
    await runtime.publish_message(Text("oh no"), TopicId("errors", "x"))
    with pytest.raises(UndeliverableException, match="failing/x failed") as info:
        await second
    with pytest.raises(UndeliverableException, match="has halted"):
        await runtime.send_message(Text("later"), SLOW)
    assert "Await its stop()" in str(info.value)
    slow = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    slow.let.set()
    assert await first == Text("1")
    with pytest.raises(ValueError, match="oh no"):
        await runtime.stop()


async def test_a_token_cancels_what_was_published_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = await runtime_with(slow=Slow)
    runtime.start()
    token = CancellationToken()
    await runtime.publish_message(Text("hi"), TOPIC, cancellation_token=token)
    await settle()
    token.cancel()
    await runtime.stop_when_idle()
    slow = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    assert slow.notes == ["begin hi", "cancel hi True"]
    assert caplog.records == []


async def test_a_topic_that_nobody_heard_of_is_heard_by_those_who_come_later() -> None:
    runtime = await runtime_with(echo=Echo)
    runtime.start()
    topic = TopicId("news", "default")
    await runtime.publish_message(Text("lost"), topic)
    subscription = TypeSubscription("news", "echo")
    await runtime.add_subscription(subscription)
    await runtime.publish_message(Text("found"), topic)
    await runtime.remove_subscription(subscription.id)
    await runtime.publish_message(Text("lost again"), topic)
    await runtime.stop_when_idle()
    assert await heard_by(runtime) == ["found"]
