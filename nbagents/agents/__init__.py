"""Agents: who holds a conversation, and what happens in it."""

from nbagents.agents._chat import ChatAgent, Event
from nbagents.agents._events import (
    CallAsked,
    CallStarted,
    Cleared,
    TurnEnded,
    TurnEvent,
    TurnStarted,
)
from nbagents.agents._limits import TurnLimits
from nbagents.tools._approval import Approve, asking

__all__ = [
    "Approve",
    "CallAsked",
    "CallStarted",
    "ChatAgent",
    "Cleared",
    "Event",
    "TurnEnded",
    "TurnEvent",
    "TurnLimits",
    "TurnStarted",
    "asking",
]
