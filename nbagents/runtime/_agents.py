"""What agents are made from, and what stands for one."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar, final, overload

from nbagents._cancellation import CancellationToken
from nbagents._warnings import warn
from nbagents.errors import ConfigurationError, NotAccessibleError, RuntimeStateError
from nbagents.runtime._identity import AgentId, AgentMetadata, AgentType, TopicId
from nbagents.runtime._instantiation import AgentInstantiationContext, registering
from nbagents.runtime._message_context import MessageContext
from nbagents.runtime._protocol import Agent, AgentRuntime
from nbagents.runtime._subscriptions import (
    DefaultSubscription,
    Subscription,
    TypePrefixSubscription,
    TypeSubscription,
    UnboundSubscription,
)

__all__ = ["AgentProxy", "BaseAgent", "default_subscription", "subscribe", "type_subscription"]

AgentClass = TypeVar("AgentClass", bound="type[BaseAgent]")


class BaseAgent(ABC, Agent):
    """An agent that a runtime can make: write `on_message_impl`, or derive from `RoutedAgent`.

    An agent handles one message at a time, in the order in which they came. A request is let
    in at once when waiting would never end: when what the agent is busy with waits for that
    very request. ``class Fetcher(BaseAgent, concurrent_messages=True)`` handles messages as
    they come, side by side.

    Args:
        description: What the agent does, for its metadata.

    Raises:
        ConfigurationError: ``description`` is no string.
    """

    concurrent_messages: ClassVar[bool] = False
    _class_subscriptions: ClassVar[list[UnboundSubscription]] = []

    def __init_subclass__(cls, *, concurrent_messages: bool | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._class_subscriptions = []
        if concurrent_messages is not None:
            cls.concurrent_messages = concurrent_messages

    def __init__(self, description: str) -> None:
        if not isinstance(description, str):
            raise ConfigurationError(f"description must be a string, not {description!r}.")
        self._description = description
        if AgentInstantiationContext.is_in_factory_call():
            self._id = AgentInstantiationContext.current_agent_id()
            self._runtime = AgentInstantiationContext.current_runtime()

    @property
    def id(self) -> AgentId:
        """The agent's address.

        Raises:
            NotAccessibleError: No runtime has it yet.
        """
        return self._given("_id")  # type: ignore[no-any-return]

    @property
    def type(self) -> str:
        """The name it is registered under."""
        return self.id.type

    @property
    def metadata(self) -> AgentMetadata:
        """What the agent says about itself."""
        return AgentMetadata(type=self.id.type, key=self.id.key, description=self._description)

    @property
    def runtime(self) -> AgentRuntime:
        """The runtime it lives in.

        Raises:
            NotAccessibleError: None has it yet.
        """
        return self._given("_runtime")  # type: ignore[no-any-return]

    def _given(self, name: str) -> Any:
        value = self.__dict__.get(name)
        if value is None:
            raise NotAccessibleError(
                f"This {type(self).__name__} is in no runtime yet; register it first."
            )
        return value

    async def bind_id_and_runtime(self, id: AgentId, runtime: AgentRuntime) -> None:
        """Learn the address and the runtime.

        Raises:
            RuntimeStateError: It has another address, or another runtime, already.
        """
        if self.__dict__.get("_id", id) != id:
            raise RuntimeStateError(f"The agent is {self.id} already; make another for {id}.")
        if self.__dict__.get("_runtime", runtime) is not runtime:
            raise RuntimeStateError(f"{self.id} is in another runtime; make another agent.")
        self._id, self._runtime = id, runtime

    @final
    async def on_message(self, message: Any, ctx: MessageContext) -> Any:
        """Handle a message; only the runtime calls this."""
        return await self.on_message_impl(message, ctx)

    @abstractmethod
    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        """Handle a message and return the answer."""

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send a message to another agent and return its answer."""
        return await self.runtime.send_message(
            message,
            recipient,
            sender=self.id,
            cancellation_token=cancellation_token,
            message_id=message_id,
        )

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        cancellation_token: CancellationToken | None = None,
    ) -> None:
        """Give a message to all agents that subscribe to the topic, but for this one."""
        await self.runtime.publish_message(
            message, topic_id, sender=self.id, cancellation_token=cancellation_token
        )

    async def save_state(self) -> Mapping[str, Any]:
        """Return what the agent remembers: nothing, with a warning, until you override it."""
        warn(f"{type(self).__name__} has no save_state of its own.", UserWarning)
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `save_state` returned: a warning, until you override it."""
        warn(f"{type(self).__name__} has no load_state of its own.", UserWarning)

    async def close(self) -> None:
        """Let go of what the agent holds: nothing, until you override it."""

    @classmethod
    async def register(
        cls,
        runtime: AgentRuntime,
        type: str,
        factory: Callable[[], Self | Awaitable[Self]],
        *,
        skip_class_subscriptions: bool = False,
        skip_direct_message_subscription: bool = False,
    ) -> AgentType:
        """Let the runtime make agents of this class; one registered before is replaced.

        Args:
            runtime: The runtime.
            type: The name that the agents' ids begin with.
            factory: Makes an agent, when the first message for its key comes.
            skip_class_subscriptions: Leave out what the class is decorated with.
            skip_direct_message_subscription: Leave out the topics that begin with ``type:``.
        """
        with registering(type):
            agent_type = await runtime.register_factory(
                AgentType(type), factory, expected_class=cls
            )
            if not skip_class_subscriptions:
                await subscribe(runtime, *cls._class_subscriptions)
            if not skip_direct_message_subscription:
                await runtime.add_subscription(TypePrefixSubscription(f"{type}:", type))
        return agent_type

    async def register_instance(
        self,
        runtime: AgentRuntime,
        agent_id: AgentId,
        *,
        skip_class_subscriptions: bool = True,
        skip_direct_message_subscription: bool = False,
    ) -> AgentId:
        """Put this agent into the runtime; one of the same id is replaced.

        It hears the topics whose type is the id's key, beside those of the class and those
        that begin with the id's type and a colon.
        """
        kind = agent_id.type
        with registering(kind):
            agent_id = await runtime.register_agent_instance(self, agent_id)
            await runtime.add_subscription(TypeSubscription(agent_id.key, kind))
            if not skip_class_subscriptions:
                await subscribe(runtime, *self._class_subscriptions)
            if not skip_direct_message_subscription:
                await runtime.add_subscription(TypePrefixSubscription(f"{kind}:", kind))
        return agent_id


async def subscribe(runtime: AgentRuntime, *makers: UnboundSubscription) -> None:
    """Add the subscriptions that ``makers`` return to the agent type being registered."""
    for make in makers:
        made = make()
        for subscription in await made if inspect.isawaitable(made) else made:
            await runtime.add_subscription(subscription)


@overload
def default_subscription() -> Callable[[AgentClass], AgentClass]: ...


@overload
def default_subscription(cls: AgentClass) -> AgentClass: ...


def default_subscription(cls: AgentClass | None = None) -> Any:
    """Decorate an agent class so that it hears `DefaultTopicId`; with parentheses or without."""
    decorate = type_subscription("default")
    return decorate if cls is None else decorate(cls)


def type_subscription(topic_type: str) -> Callable[[AgentClass], AgentClass]:
    """Decorate an agent class so that it hears the topics of a type."""

    def made() -> list[Subscription]:
        return [DefaultSubscription(topic_type)]

    def decorate(cls: AgentClass) -> AgentClass:
        cls._class_subscriptions.append(made)
        return cls

    return decorate


class AgentProxy:
    """Stands for an agent, where you have only its id.

    Args:
        agent: The agent's id.
        runtime: The runtime it lives in.
    """

    def __init__(self, agent: AgentId, runtime: AgentRuntime) -> None:
        self._agent = agent
        self._runtime = runtime

    @property
    def id(self) -> AgentId:
        """The agent's address."""
        return self._agent

    @property
    def metadata(self) -> Awaitable[AgentMetadata]:
        """What the agent says about itself: await it."""
        return self._runtime.agent_metadata(self._agent)

    async def send_message(
        self,
        message: Any,
        *,
        sender: AgentId,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send the agent a message and return its answer."""
        return await self._runtime.send_message(
            message,
            self._agent,
            sender=sender,
            cancellation_token=cancellation_token,
            message_id=message_id,
        )

    async def save_state(self) -> Mapping[str, Any]:
        """Return what the agent remembers."""
        return await self._runtime.agent_save_state(self._agent)

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Give the agent back what it remembered."""
        await self._runtime.agent_load_state(self._agent, state)
