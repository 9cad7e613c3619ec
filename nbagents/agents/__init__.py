"""Agents: who holds a conversation, and what happens in it."""

from nbagents.agents._approval import Approve, asking
from nbagents.agents._card import cost_of, model_of
from nbagents.agents._chat import ChatAgent, Event
from nbagents.agents._events import Cleared, TurnEnded, TurnEvent, TurnStarted
from nbagents.agents._limits import TurnLimits
from nbagents.agents._saving import at_once
from nbagents.agents._turns import turns_of

__all__ = [
    "Approve",
    "ChatAgent",
    "Cleared",
    "Event",
    "TurnEnded",
    "TurnEvent",
    "TurnLimits",
    "TurnStarted",
    "asking",
    "at_once",
    "cost_of",
    "model_of",
    "turns_of",
]
