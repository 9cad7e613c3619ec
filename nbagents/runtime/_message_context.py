"""What a handler is told beside the message."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from nbagents._cancellation import CancellationToken
from nbagents.runtime._identity import AgentId, TopicId

__all__ = ["MessageContext", "context_of"]


@dataclass
class MessageContext:
    """What a handler is told beside the message.

    Attributes:
        sender: The agent that sent the message; None when it comes from outside.
        topic_id: The topic it was published to; None when it was sent to this agent.
        is_rpc: Whether the sender waits for an answer.
        cancellation_token: Used when nobody waits any longer; hand it on to model calls.
        message_id: The message's own name.
    """

    sender: AgentId | None
    topic_id: TopicId | None
    is_rpc: bool
    cancellation_token: CancellationToken
    message_id: str


def context_of(
    sender: AgentId | None,
    topic: TopicId | None,
    token: CancellationToken,
    message_id: str | None = None,
) -> MessageContext:
    """Return the context of a message that was published to ``topic``, or sent without one."""
    return MessageContext(sender, topic, topic is None, token, message_id or str(uuid.uuid4()))
