"""What agents and topics are called."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from nbagents import AgentId, AgentType, DefaultTopicId, TopicId
from nbagents.errors import ConfigurationError


def test_an_id_is_written_and_read() -> None:
    agent = AgentId("writer", "a/b")
    assert str(agent) == "writer/a/b"
    assert AgentId.from_str("writer/a/b") == agent
    assert (agent.type, agent.key) == ("writer", "a/b")
    assert repr(agent) == "AgentId(type='writer', key='a/b')"


def test_an_id_takes_an_agent_type() -> None:
    assert AgentId(AgentType("writer"), "a") == AgentId("writer", "a")


def test_equal_ids_are_one_key() -> None:
    assert {AgentId("a", "b"): 1}[AgentId("a", "b")] == 1
    assert AgentId("a", "b") != AgentId("a", "c")
    assert AgentId("a", "b") != "a/b"


def test_an_id_is_found_after_a_journey_through_another_process() -> None:
    code = (
        "import pickle, sys; from nbagents import AgentId; "
        "sys.stdout.buffer.write(pickle.dumps(AgentId('a', 'b')))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    known = {AgentId("a", "b")}
    assert pickle.loads(there.stdout) in known


@pytest.mark.parametrize("wrong", ["", "two words", "a/b", "a\n"])
def test_what_cannot_be_a_type_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be an agent's type"):
        AgentId(wrong, "x")
    with pytest.raises(ValueError, match="cannot be a topic's type"):
        TopicId(wrong, "x")


@pytest.mark.parametrize("kind", [AgentId, TopicId])
def test_a_name_without_a_slash_is_refused(kind: type[AgentId | TopicId]) -> None:
    with pytest.raises(ConfigurationError, match="write 'type/"):
        kind.from_str("alone")


def test_a_topic_is_written_and_read() -> None:
    topic = TopicId("news:a=b", "x")
    assert TopicId.from_str(str(topic)) == topic
    assert hash(TopicId.from_str(str(topic))) == hash(topic)
    assert topic != "news:a=b/x"


def test_the_default_topic_is_a_topic_like_others() -> None:
    assert DefaultTopicId() == TopicId("default", "default")
    assert DefaultTopicId("a", "b") == TopicId("a", "b")
