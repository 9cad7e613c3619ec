"""Handlers that see every message on its way, and may change or drop it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, final

from nbagents._warnings import warn
from nbagents.errors import MessageDroppedException
from nbagents.runtime._identity import AgentId
from nbagents.runtime._message_context import MessageContext

__all__ = ["DefaultInterventionHandler", "DropMessage", "InterventionHandler", "intervened"]


@final
class DropMessage:
    """What an intervention handler returns, the class itself, to drop a message."""


class InterventionHandler(Protocol):
    """Sees every message on its way to an agent, and every answer.

    Each method returns the message that goes on: the same, another, or `DropMessage`. Several
    handlers form a chain: the next one is given what the one before has returned. None stands
    for no change, with a warning. What a handler raises goes to the sender.
    """

    async def on_send(
        self, message: Any, *, message_context: MessageContext, recipient: AgentId
    ) -> Any | type[DropMessage]:
        """See a message that was sent to one agent."""
        ...

    async def on_publish(
        self, message: Any, *, message_context: MessageContext
    ) -> Any | type[DropMessage]:
        """See a message that was published to a topic."""
        ...

    async def on_response(
        self, message: Any, *, sender: AgentId, recipient: AgentId | None
    ) -> Any | type[DropMessage]:
        """See the answer that ``sender`` gives ``recipient``."""
        ...


class DefaultInterventionHandler(InterventionHandler):
    """An intervention handler that changes nothing: override what you want to see."""

    async def on_send(
        self, message: Any, *, message_context: MessageContext, recipient: AgentId
    ) -> Any | type[DropMessage]:
        """Return the message as it is."""
        return message

    async def on_publish(
        self, message: Any, *, message_context: MessageContext
    ) -> Any | type[DropMessage]:
        """Return the message as it is."""
        return message

    async def on_response(
        self, message: Any, *, sender: AgentId, recipient: AgentId | None
    ) -> Any | type[DropMessage]:
        """Return the answer as it is."""
        return message


async def intervened(answer: Awaitable[Any], message: Any, where: str) -> Any:
    """Return what goes on in place of ``message``, by an intervention handler's answer.

    Raises:
        MessageDroppedException: The handler dropped it.
    """
    changed = await answer
    if changed is DropMessage or isinstance(changed, DropMessage):
        raise MessageDroppedException(
            f"{where} dropped a message ({type(message).__name__}); nobody has handled it."
        )
    if changed is None and message is not None:
        warn(
            f"{where} returned None, which changes nothing; return the message, or DropMessage.",
            RuntimeWarning,
        )
        return message
    return changed
