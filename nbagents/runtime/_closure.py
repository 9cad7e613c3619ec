"""An agent that is a function."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

from nbagents._cancellation import CancellationToken
from nbagents._warnings import warn
from nbagents.errors import CantHandleException, HandlerDefinitionError, RuntimeStateError
from nbagents.runtime._agents import BaseAgent, subscribe
from nbagents.runtime._identity import AgentId, AgentType, TopicId
from nbagents.runtime._instantiation import AgentInstantiationContext, registering
from nbagents.runtime._message_context import MessageContext
from nbagents.runtime._protocol import AgentRuntime
from nbagents.runtime._subscriptions import Subscription
from nbagents.runtime._types import handled_types, is_of

__all__ = ["ClosureAgent", "ClosureContext"]

T = TypeVar("T")
Policy = Literal["error", "warn", "ignore"]


class ClosureContext(Protocol):
    """What a closure is handed of its agent: who it is, and how it sends messages."""

    @property
    def id(self) -> AgentId:
        """The agent's address."""
        ...

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send a message to another agent and return its answer."""
        ...

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        cancellation_token: CancellationToken | None = None,
    ) -> None:
        """Give a message to all agents that subscribe to the topic, but for this one."""
        ...


Closure = Callable[[ClosureContext, T, MessageContext], Awaitable[Any]]


class ClosureAgent(BaseAgent, ClosureContext):
    """An agent that is a function: see `register_closure`, which makes it.

    Args:
        description: What the agent does, for its metadata.
        closure: Called with the agent, the message and its context; its annotations say which
            messages it takes.
        unknown_type_policy: What to do with a message of another type: raise
            `CantHandleException`, warn and leave it, or leave it.

    Raises:
        RuntimeStateError: No runtime is making the agent.
        HandlerDefinitionError: The closure lacks a parameter or an annotation.
    """

    def __init__(
        self,
        description: str,
        closure: Closure[T],
        *,
        unknown_type_policy: Policy = "warn",
    ) -> None:
        if not AgentInstantiationContext.is_in_factory_call():
            raise RuntimeStateError(
                "Only a runtime makes a ClosureAgent; use ClosureAgent.register_closure."
            )
        super().__init__(description)
        self._closure: Closure[Any] = closure
        self._types = _types_of(closure)
        self._unknown_type_policy = unknown_type_policy

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        """Hand the message to the closure."""
        if is_of(message, self._types):
            return await self._closure(self, message, ctx)
        said = f"{self.id} does not take {type(message).__name__}; see unknown_type_policy."
        if self._unknown_type_policy == "error":
            raise CantHandleException(said)
        if self._unknown_type_policy == "warn":
            warn(said, UserWarning)
        return None

    async def save_state(self) -> Mapping[str, Any]:
        """Return nothing: a closure's state is its own."""
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Do nothing: a closure's state is its own."""

    @classmethod
    async def register_closure(
        cls,
        runtime: AgentRuntime,
        type: str,
        closure: Closure[T],
        *,
        unknown_type_policy: Policy = "warn",
        skip_direct_message_subscription: bool = False,
        description: str = "",
        subscriptions: Callable[[], list[Subscription] | Awaitable[list[Subscription]]]
        | None = None,
    ) -> AgentType:
        """Make a function an agent; one registered before is replaced.

        Args:
            runtime: The runtime.
            type: The name that the agent's ids begin with.
            closure: The function; ``Any`` as its message's type takes every message.
            unknown_type_policy: What to do with a message of another type.
            skip_direct_message_subscription: Leave out the topics that begin with ``type:``.
            description: What the agent does, for its metadata.
            subscriptions: Returns the topics it hears; `DefaultSubscription` works in there.
        """
        _types_of(closure)  # at once, where the author sees it

        called: Closure[Any] = closure

        def factory() -> ClosureAgent:
            return cls(description, called, unknown_type_policy=unknown_type_policy)

        with registering(type):
            agent_type = await cls.register(
                runtime,
                type,
                factory,
                skip_class_subscriptions=True,
                skip_direct_message_subscription=skip_direct_message_subscription,
            )
            if subscriptions is not None:
                await subscribe(runtime, subscriptions)
        return agent_type


def _types_of(closure: Callable[..., Any]) -> tuple[Any, ...]:
    parameters = list(inspect.signature(closure).parameters)
    if len(parameters) != 3:
        raise HandlerDefinitionError(
            f"{closure!r} must take three arguments: the agent, the message and its context."
        )
    # A callable object is annotated in its class.
    function: Any = closure if inspect.isroutine(closure) else type(closure).__call__
    return handled_types(function, parameters[1])[0]
