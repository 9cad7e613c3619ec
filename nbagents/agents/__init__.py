"""Agents: who holds a conversation, and how messages reach them."""

from nbagents.agents._chat import ChatAgent

__all__ = ["ChatAgent"]
