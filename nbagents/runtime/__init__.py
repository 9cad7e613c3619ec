"""Agents that exchange messages, and the runtime they live in; it knows nothing of models."""

from nbagents.runtime._agents import (
    AgentProxy,
    BaseAgent,
    default_subscription,
    type_subscription,
)
from nbagents.runtime._closure import ClosureAgent, ClosureContext
from nbagents.runtime._handlers import event, message_handler, rpc
from nbagents.runtime._identity import (
    AgentId,
    AgentMetadata,
    AgentType,
    DefaultTopicId,
    TopicId,
)
from nbagents.runtime._instantiation import AgentInstantiationContext
from nbagents.runtime._intervention import (
    DefaultInterventionHandler,
    DropMessage,
    InterventionHandler,
)
from nbagents.runtime._message_context import MessageContext
from nbagents.runtime._protocol import Agent, AgentRuntime
from nbagents.runtime._routing import RoutedAgent
from nbagents.runtime._runtime import SingleThreadedAgentRuntime
from nbagents.runtime._subscriptions import (
    DefaultSubscription,
    Subscription,
    TypePrefixSubscription,
    TypeSubscription,
)

__all__ = [
    "Agent",
    "AgentId",
    "AgentInstantiationContext",
    "AgentMetadata",
    "AgentProxy",
    "AgentRuntime",
    "AgentType",
    "BaseAgent",
    "ClosureAgent",
    "ClosureContext",
    "DefaultInterventionHandler",
    "DefaultSubscription",
    "DefaultTopicId",
    "DropMessage",
    "InterventionHandler",
    "MessageContext",
    "RoutedAgent",
    "SingleThreadedAgentRuntime",
    "Subscription",
    "TopicId",
    "TypePrefixSubscription",
    "TypeSubscription",
    "default_subscription",
    "event",
    "message_handler",
    "rpc",
    "type_subscription",
]
