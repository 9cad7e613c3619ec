"""What an agent is, and what a runtime does for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload, runtime_checkable

from nbagents._cancellation import CancellationToken
from nbagents.runtime._identity import AgentId, AgentMetadata, AgentType, TopicId
from nbagents.runtime._message_context import MessageContext

if TYPE_CHECKING:
    from nbagents.runtime._subscriptions import Subscription

__all__ = ["Agent", "AgentRuntime"]


@runtime_checkable
class Agent(Protocol):
    """Anything that a runtime can hand messages to; nothing need be inherited."""

    @property
    def metadata(self) -> AgentMetadata:
        """What the agent says about itself."""
        ...

    @property
    def id(self) -> AgentId:
        """The agent's address."""
        ...

    async def bind_id_and_runtime(self, id: AgentId, runtime: AgentRuntime) -> None:
        """Learn the address and the runtime, when the agent is registered."""
        ...

    async def on_message(self, message: Any, ctx: MessageContext) -> Any:
        """Handle a message and return the answer; only the runtime calls this."""
        ...

    async def save_state(self) -> Mapping[str, Any]:
        """Return what the agent remembers, as JSON-able data."""
        ...

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `save_state` returned."""
        ...

    async def close(self) -> None:
        """Let go of what the agent holds; called when it leaves the runtime."""
        ...


T = TypeVar("T", bound=Agent)


@runtime_checkable
class AgentRuntime(Protocol):
    """Where agents live, and what carries messages between them."""

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send a message to one agent and return its answer."""
        ...

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> None:
        """Give a message to every agent that subscribes to the topic, but for the sender."""
        ...

    async def register_factory(
        self,
        type: str | AgentType,
        agent_factory: Callable[[], T | Awaitable[T]],
        *,
        expected_class: type[T] | None = None,
    ) -> AgentType:
        """Let agents of a type be made when they are first needed."""
        ...

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        """Take in an agent that exists already."""
        ...

    async def try_get_underlying_agent_instance(
        self,
        id: AgentId,
        type: type[T] = Agent,  # type: ignore[assignment] # a bound is no default for mypy
    ) -> T:
        """Return the agent itself."""
        ...

    @overload
    async def get(self, id: AgentId, /, *, lazy: bool = ...) -> AgentId: ...

    @overload
    async def get(
        self, type: AgentType | str, /, key: str = ..., *, lazy: bool = ...
    ) -> AgentId: ...

    async def get(
        self, id_or_type: AgentId | AgentType | str, /, key: str = "default", *, lazy: bool = True
    ) -> AgentId:
        """Return an agent's id; unless ``lazy``, make the agent too."""
        ...

    async def save_state(self) -> Mapping[str, Any]:
        """Return what all agents remember, as JSON-able data."""
        ...

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `save_state` returned."""
        ...

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        """Return what an agent says about itself."""
        ...

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """Return what one agent remembers."""
        ...

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Give one agent back what it remembered."""
        ...

    async def add_subscription(self, subscription: Subscription) -> None:
        """Give an agent the messages of further topics."""
        ...

    async def remove_subscription(self, id: str) -> None:
        """Take a subscription away."""
        ...

    def add_message_serializer(self, serializer: Any | Sequence[Any]) -> None:
        """Learn how messages are written for another process."""
        ...
