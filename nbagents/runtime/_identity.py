"""What agents and topics are called."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self, TypedDict

from nbagents.errors import ConfigurationError

__all__ = ["AgentId", "AgentMetadata", "AgentType", "DefaultTopicId", "TopicId", "handling_agent"]

_AGENT_TYPE = re.compile(r"[\w\-.]+")
_TOPIC_TYPE = re.compile(r"[\w\-.:=]+")

# The agent whose handler is running.
handling_agent: ContextVar[AgentId | None] = ContextVar("nbagents_handling_agent", default=None)


class AgentMetadata(TypedDict):
    """What an agent says about itself."""

    type: str
    key: str
    description: str


@dataclass(frozen=True)
class AgentType:
    """The name under which a factory of agents is registered."""

    type: str


class AgentId:
    """The address of one agent in a runtime.

    Args:
        type: The name it was registered under: letters, digits, ``_``, ``-`` and ``.``.
        key: Which of the agents of that type.

    Raises:
        ConfigurationError: ``type`` holds something else.
    """

    __slots__ = ("_hash", "_key", "_type")

    def __init__(self, type: str | AgentType, key: str) -> None:
        name = type.type if isinstance(type, AgentType) else type
        if not _AGENT_TYPE.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} cannot be an agent's type; use letters, digits, '_', '-' and '.'."
            )
        self._type = name
        self._key = key
        self._hash = hash((name, key))

    @classmethod
    def from_str(cls, agent_id: str) -> Self:
        """Read ``type/key``.

        Raises:
            ConfigurationError: There is no ``/`` in it, or the type is not a valid one.
        """
        kind, slash, key = agent_id.partition("/")
        if not slash:
            raise ConfigurationError(f"{agent_id!r} is no agent's id; write 'type/key'.")
        return cls(kind, key)

    @property
    def type(self) -> str:
        """The name the agent's factory is registered under."""
        return self._type

    @property
    def key(self) -> str:
        """Which of the agents of that type it is."""
        return self._key

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AgentId):
            return NotImplemented
        return self._key == other._key and self._type == other._type

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"{self._type}/{self._key}"

    def __repr__(self) -> str:
        return f"AgentId(type={self._type!r}, key={self._key!r})"

    def __reduce__(self) -> tuple[object, ...]:
        # The hash of a string is another one in the next process.
        return self.__class__, (self._type, self._key)


@dataclass(frozen=True, eq=False)
class TopicId:
    """What a published message is about, and where it comes from.

    Args:
        type: The kind of topic: letters, digits and ``_ - . : =``.
        source: Whose topic it is, such as a session; it becomes the key of the agents that
            subscribe by type.

    Raises:
        ConfigurationError: ``type`` holds something else.
    """

    type: str
    source: str

    def __post_init__(self) -> None:
        if not _TOPIC_TYPE.fullmatch(self.type):
            raise ConfigurationError(
                f"{self.type!r} cannot be a topic's type; use letters, digits and '_-.:='."
            )

    @classmethod
    def from_str(cls, topic_id: str) -> Self:
        """Read ``type/source``.

        Raises:
            ConfigurationError: There is no ``/`` in it, or the type is not a valid one.
        """
        kind, slash, source = topic_id.partition("/")
        if not slash:
            raise ConfigurationError(f"{topic_id!r} is no topic; write 'type/source'.")
        return cls(kind, source)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TopicId):
            return NotImplemented
        return self.type == other.type and self.source == other.source

    def __hash__(self) -> int:
        return hash((self.type, self.source))

    def __str__(self) -> str:
        return f"{self.type}/{self.source}"


class DefaultTopicId(TopicId):
    """The topic that `default_subscription` subscribes to.

    Args:
        type: The kind of topic.
        source: Whose topic; by default the key of the agent whose handler is running, and
            ``"default"`` outside of handlers.
    """

    def __init__(self, type: str = "default", source: str | None = None) -> None:
        if source is None:
            agent = handling_agent.get()
            source = agent.key if agent else "default"
        super().__init__(type, source)
