"""Who hears of which topics."""

from __future__ import annotations

import logging

import pytest

from nbagents import (
    AgentId,
    AgentType,
    DefaultSubscription,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    Subscription,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
    default_subscription,
)
from nbagents.errors import AgentLookupError, CantHandleException
from nbagents.runtime._topics import Topics
from tests.runtime.messages import ECHO, TOPIC, Echo, Text, runtime_with


def test_a_type_is_heard_by_the_agent_of_the_source() -> None:
    subscription = TypeSubscription("news", AgentType("writer"))
    assert subscription.is_match(TopicId("news", "x"))
    assert not subscription.is_match(TopicId("newsletter", "x"))
    assert subscription.map_to_agent(TopicId("news", "x")) == AgentId("writer", "x")
    assert (subscription.topic_type, subscription.agent_type) == ("news", "writer")


def test_a_prefix_is_heard_by_the_agent_of_the_source() -> None:
    subscription = TypePrefixSubscription("news", "writer", id="mine")
    assert subscription.is_match(TopicId("newsletter", "x"))
    assert not subscription.is_match(TopicId("old-news", "x"))
    assert subscription.map_to_agent(TopicId("newsletter", "x")) == AgentId("writer", "x")
    assert (subscription.topic_type_prefix, subscription.id) == ("news", "mine")


def test_another_topic_is_mapped_to_nobody() -> None:
    with pytest.raises(CantHandleException, match="does not hear default/default"):
        TypeSubscription("news", "writer").map_to_agent(TOPIC)


def test_subscriptions_that_do_the_same_are_equal() -> None:
    assert TypeSubscription("a", "b") == TypeSubscription("a", "b")
    assert TypeSubscription("default", "b") == DefaultSubscription(agent_type="b")
    assert TypeSubscription("a", "b", id="1") == TypeSubscription("c", "d", id="1")
    assert TypeSubscription("a", "b") != TypeSubscription("a", "c")
    assert TypeSubscription("a", "b") != TypePrefixSubscription("a", "b")


def test_a_default_subscription_outside_of_a_registration_names_its_agent() -> None:
    with pytest.raises(CantHandleException, match="needs agent_type="):
        DefaultSubscription()


async def test_default_subscription_stands_with_and_without_parentheses() -> None:
    @default_subscription()
    class Called(Echo):
        pass

    runtime = await runtime_with(echo=Called, plain=Echo)
    runtime.start()
    await runtime.publish_message(Text("hi"), TOPIC)
    await runtime.stop_when_idle()
    assert sorted(map(str, runtime.agents)) == ["echo/default", "plain/default"]


async def test_adding_a_subscription_again_changes_nothing() -> None:
    runtime = await runtime_with(echo=Echo)
    again = TypeSubscription("default", "echo")
    await runtime.add_subscription(again)
    await runtime.remove_subscription(again.id)
    runtime.start()
    await runtime.publish_message(Text("hi"), TOPIC)
    await runtime.stop_when_idle()
    assert list(runtime.agents) == []


async def test_removing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(AgentLookupError, match="no subscription with the id 'x'"):
        await SingleThreadedAgentRuntime().remove_subscription("x")


def test_topics_without_number_are_not_all_remembered() -> None:
    topics = Topics()
    topics.add(TypeSubscription("a", "b"), None)
    for number in range(5_000):
        assert topics.recipients(TopicId("a", str(number))) == (AgentId("b", str(number)),)
    assert len(topics._recipients) <= 1024


class Own(Subscription):
    """A subscription of one's own: every topic goes to one agent; some are too much."""

    @property
    def id(self) -> str:
        return "own"

    def is_match(self, topic_id: TopicId) -> bool:
        if topic_id.type == "bad":
            raise ValueError("too much")
        return True

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        return ECHO


async def test_a_subscription_of_ones_own_works(caplog: pytest.LogCaptureFixture) -> None:
    runtime = SingleThreadedAgentRuntime()
    await Echo.register(runtime, "echo", Echo, skip_class_subscriptions=True)
    await runtime.add_subscription(Own())
    await runtime.add_subscription(Own())
    runtime.start()
    await runtime.publish_message(Text("hi"), TopicId("some", "thing"))
    with caplog.at_level(logging.ERROR, logger="nbagents.runtime"):
        await runtime.publish_message(Text("hi"), TopicId("bad", "thing"))
        await runtime.stop_when_idle()
    assert (await runtime.try_get_underlying_agent_instance(ECHO, Echo)).heard == ["hi"]
    assert "A subscription failed for the topic bad/thing: too much" in caplog.text
    assert issubclass(Echo, RoutedAgent)
