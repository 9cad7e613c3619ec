"""What code gives a panel: an agent, and the ids of messages and calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbagents.agents import ChatAgent
from nbagents.errors import ConfigurationError
from nbagents.models import ChatCompletionClient

__all__ = ["agent_of", "known_message", "last_message", "message_of_call", "why_not_over"]

_Messages = Sequence[Mapping[str, Any]]


def agent_of(given: object) -> ChatAgent:
    """The agent, or a new one of a model client.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(given, ChatAgent):
        return given
    if isinstance(given, ChatCompletionClient) and not isinstance(given, type):
        return ChatAgent(given)
    raise ConfigurationError(
        f"A panel is of an agent or a model client, not of {type(given).__name__}; for example "
        "ChatPanel(ChatAgent(client))."
    )


def last_message(messages: _Messages) -> str:
    """The id of the last message; empty when there is none."""
    return str(messages[-1]["id"]) if messages else ""


def known_message(messages: _Messages, identity: str) -> str:
    """The id, if a message has it.

    Raises:
        ConfigurationError: None has it.
    """
    if identity in [message["id"] for message in messages]:
        return identity
    raise ConfigurationError(
        f"There is no message {identity!r} in this panel; panel.messages has their ids."
        if identity
        else "Nothing has been said in this panel yet; begin with panel.send(text)."
    )


def message_of_call(messages: _Messages, identity: str) -> str:
    """The id of the newest message that has the call of this id.

    Raises:
        ConfigurationError: None has it.
    """
    for message in reversed(messages):
        if identity in [call["id"] for call in message["calls"]]:
            return str(message["id"])
    raise ConfigurationError(
        f"There is no call {identity!r} in this panel; those that wait for a word: "
        f"{', '.join(map(repr, _open_calls(messages))) or 'none'}."
    )


def why_not_over(messages: _Messages) -> str:
    """What a turn waits for, and what may be done about it."""
    for call in _open_calls(messages):
        return f"a call waits to be approved; answer it with panel.approve({call!r})"
    return "the reply is not there; wait again"


def _open_calls(messages: _Messages) -> list[str]:
    """The ids of the calls that wait for a person's word."""
    calls = [call for message in messages for call in message["calls"]]
    return [call["id"] for call in calls if call["state"] == "asked"]
