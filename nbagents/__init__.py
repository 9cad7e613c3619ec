"""Language models in Jupyter notebooks.

``%load_ext nbagents`` brings ``%%chat``; the names below are the library. Nothing is imported
before it is touched, so that loading costs a notebook nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbagents._cancellation import CancellationToken
    from nbagents._version import __version__
    from nbagents.agents import ChatAgent
    from nbagents.errors import NbAgentsError
    from nbagents.loop import run
    from nbagents.messages import FunctionCall, Image
    from nbagents.models import CacheStore, InMemoryStore
    from nbagents.notebook import allow_nested_asyncio
    from nbagents.notebook._panel.widget import ChatPanel
    from nbagents.runtime import (
        Agent,
        AgentId,
        AgentInstantiationContext,
        AgentMetadata,
        AgentProxy,
        AgentRuntime,
        AgentType,
        BaseAgent,
        ClosureAgent,
        ClosureContext,
        DefaultInterventionHandler,
        DefaultSubscription,
        DefaultTopicId,
        DropMessage,
        InterventionHandler,
        MessageContext,
        RoutedAgent,
        SingleThreadedAgentRuntime,
        Subscription,
        TopicId,
        TypePrefixSubscription,
        TypeSubscription,
        default_subscription,
        event,
        message_handler,
        rpc,
        type_subscription,
    )
    from nbagents.usage import ledger

__all__ = [
    "Agent",
    "AgentId",
    "AgentInstantiationContext",
    "AgentMetadata",
    "AgentProxy",
    "AgentRuntime",
    "AgentType",
    "BaseAgent",
    "CacheStore",
    "CancellationToken",
    "ChatAgent",
    "ChatPanel",
    "ClosureAgent",
    "ClosureContext",
    "DefaultInterventionHandler",
    "DefaultSubscription",
    "DefaultTopicId",
    "DropMessage",
    "FunctionCall",
    "Image",
    "InMemoryStore",
    "InterventionHandler",
    "MessageContext",
    "NbAgentsError",
    "RoutedAgent",
    "SingleThreadedAgentRuntime",
    "Subscription",
    "TopicId",
    "TypePrefixSubscription",
    "TypeSubscription",
    "__version__",
    "allow_nested_asyncio",
    "default_subscription",
    "event",
    "ledger",
    "message_handler",
    "rpc",
    "run",
    "type_subscription",
]

_HOMES = {
    "Agent": "nbagents.runtime",
    "AgentId": "nbagents.runtime",
    "AgentInstantiationContext": "nbagents.runtime",
    "AgentMetadata": "nbagents.runtime",
    "AgentProxy": "nbagents.runtime",
    "AgentRuntime": "nbagents.runtime",
    "AgentType": "nbagents.runtime",
    "BaseAgent": "nbagents.runtime",
    "CacheStore": "nbagents.models",
    "CancellationToken": "nbagents._cancellation",
    "ChatAgent": "nbagents.agents",
    "ChatPanel": "nbagents.notebook._panel.widget",
    "ClosureAgent": "nbagents.runtime",
    "ClosureContext": "nbagents.runtime",
    "DefaultInterventionHandler": "nbagents.runtime",
    "DefaultSubscription": "nbagents.runtime",
    "DefaultTopicId": "nbagents.runtime",
    "DropMessage": "nbagents.runtime",
    "FunctionCall": "nbagents.messages",
    "Image": "nbagents.messages",
    "InMemoryStore": "nbagents.models",
    "InterventionHandler": "nbagents.runtime",
    "MessageContext": "nbagents.runtime",
    "NbAgentsError": "nbagents.errors",
    "RoutedAgent": "nbagents.runtime",
    "SingleThreadedAgentRuntime": "nbagents.runtime",
    "Subscription": "nbagents.runtime",
    "TopicId": "nbagents.runtime",
    "TypePrefixSubscription": "nbagents.runtime",
    "TypeSubscription": "nbagents.runtime",
    "__version__": "nbagents._version",
    "allow_nested_asyncio": "nbagents.notebook",
    "default_subscription": "nbagents.runtime",
    "event": "nbagents.runtime",
    "ledger": "nbagents.usage",
    "message_handler": "nbagents.runtime",
    "rpc": "nbagents.runtime",
    "run": "nbagents.loop",
    "type_subscription": "nbagents.runtime",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'nbagents' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Add the magics; what ``%load_ext nbagents`` runs."""
    from nbagents.notebook import load

    load(ipython)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Take the magics away; what ``%unload_ext nbagents`` runs."""
    from nbagents.notebook import unload

    unload(ipython)
