"""Who hears of which topics."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from nbagents.errors import CantHandleException
from nbagents.runtime._identity import AgentId, AgentType, TopicId
from nbagents.runtime._instantiation import registering_type

__all__ = [
    "DefaultSubscription",
    "Subscription",
    "TypePrefixSubscription",
    "TypeSubscription",
    "UnboundSubscription",
]


@runtime_checkable
class Subscription(Protocol):
    """Which topics are heard, and by which agent."""

    @property
    def id(self) -> str:
        """The subscription's own name."""
        ...

    def __eq__(self, other: object) -> bool:
        """Whether the other subscription does the same."""
        if not isinstance(other, Subscription):
            return NotImplemented
        return self.id == other.id

    def is_match(self, topic_id: TopicId) -> bool:
        """Whether the topic is heard."""
        ...

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        """Return the agent that hears the topic.

        Raises:
            CantHandleException: Nobody does by this subscription.
        """
        ...


# What a class is decorated with: the subscriptions are made when the class is registered.
UnboundSubscription = Callable[[], list[Subscription] | Awaitable[list[Subscription]]]


class _OfType(Subscription):
    """A subscription by the topic's type; the topic's source is the key of the agent."""

    def __init__(self, wanted: str, agent_type: str | AgentType, id: str | None) -> None:
        self._wanted = wanted
        self._agent_type = agent_type.type if isinstance(agent_type, AgentType) else agent_type
        self._id = id or str(uuid.uuid4())

    @property
    def id(self) -> str:
        """The subscription's own name."""
        return self._id

    @property
    def agent_type(self) -> str:
        """The type of the agents that hear it."""
        return self._agent_type

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        """Return the agent of the subscription's type whose key is the topic's source.

        Raises:
            CantHandleException: The topic is another one.
        """
        if not self.is_match(topic_id):
            raise CantHandleException(f"{self!r} does not hear {topic_id}; ask is_match first.")
        return AgentId(self._agent_type, topic_id.source)

    def _kind(self) -> type[_OfType]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _OfType) or self._kind() is not other._kind():
            return NotImplemented
        same = (self._wanted, self._agent_type) == (other._wanted, other._agent_type)
        return same or self._id == other._id

    __hash__ = None  # type: ignore[assignment] # equal by two measures

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wanted!r}, {self._agent_type!r})"


class TypeSubscription(_OfType):
    """Topics of one type; each source has an agent of its own.

    Args:
        topic_type: The topics' type.
        agent_type: The type of the agents that hear them.
        id: The subscription's own name; by default a new one.
    """

    def __init__(self, topic_type: str, agent_type: str | AgentType, id: str | None = None) -> None:
        super().__init__(topic_type, agent_type, id)

    @property
    def topic_type(self) -> str:
        """The type of the topics that are heard."""
        return self._wanted

    def is_match(self, topic_id: TopicId) -> bool:
        """Whether the topic is of that type."""
        return topic_id.type == self._wanted

    def _kind(self) -> type[_OfType]:
        return TypeSubscription


class TypePrefixSubscription(_OfType):
    """Topics whose type begins with a prefix; each source has an agent of its own.

    Args:
        topic_type_prefix: How the topics' types begin.
        agent_type: The type of the agents that hear them.
        id: The subscription's own name; by default a new one.
    """

    def __init__(
        self, topic_type_prefix: str, agent_type: str | AgentType, id: str | None = None
    ) -> None:
        super().__init__(topic_type_prefix, agent_type, id)

    @property
    def topic_type_prefix(self) -> str:
        """How the types of the topics that are heard begin."""
        return self._wanted

    def is_match(self, topic_id: TopicId) -> bool:
        """Whether the topic's type begins like that."""
        return topic_id.type.startswith(self._wanted)

    def _kind(self) -> type[_OfType]:
        return TypePrefixSubscription


class DefaultSubscription(TypeSubscription):
    """The topics of `DefaultTopicId`.

    Args:
        topic_type: The topics' type.
        agent_type: The type of the agents that hear them; by default the one that is being
            registered.

    Raises:
        CantHandleException: ``agent_type`` is left out, and none is being registered.
    """

    def __init__(
        self, topic_type: str = "default", agent_type: str | AgentType | None = None
    ) -> None:
        agent_type = agent_type or registering_type.get()
        if agent_type is None:
            raise CantHandleException(
                "DefaultSubscription needs agent_type= where no agent is being registered."
            )
        super().__init__(topic_type, agent_type)
