"""The agents that live in the kernel, as a DataFrame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbagents.agents import ChatAgent
from nbagents.agents._saving import at_once
from nbagents.notebook._description import instance, is_a
from nbagents.runtime import Agent, SingleThreadedAgentRuntime

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["roster_frame"]


def roster_frame(namespace: Mapping[str, Any]) -> pd.DataFrame:
    """Agents in variables, and those of panels and runtimes in variables, a row each.

    Columns: ``name`` (the variable; for an agent in a runtime the runtime's, and its address; for
    one that only a panel holds ``panel.agent``),
    ``model``, ``messages`` (held), ``tokens`` (read and written so far), ``cost`` (USD) and
    ``state`` (``idle`` or ``busy``). What is not known is ``<NA>``.
    """
    import pandas as pd

    rows = [row for name, value in namespace.items() for row in _rows(name, value)]
    rows += _of_panels(namespace)
    types = {
        "name": "string",
        "model": "string",
        "messages": "Int64",
        "tokens": "Int64",
        "cost": "Float64",
        "state": "category",
    }
    return pd.DataFrame(rows, columns=[*types]).astype(types)


def _rows(name: str, value: Any) -> Iterator[dict[str, Any]]:
    if name.startswith("_"):
        return
    if instance(value, ChatAgent):
        yield _row(name, value)
    elif instance(value, SingleThreadedAgentRuntime):
        for agent_id, agent in value.agents.items():
            yield _hosted_row(f"{name}: {agent_id}", agent)


def _of_panels(namespace: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    listed = {id(value) for name, value in namespace.items() if not name.startswith("_")}
    for name, value in namespace.items():
        panel = is_a(value, "nbagents.notebook._panel.widget", "ChatPanel")
        if panel and not name.startswith("_") and id(value.agent) not in listed:
            listed.add(id(value.agent))
            yield _row(f"{name}.agent", value.agent)


def _hosted_row(name: str, agent: Agent) -> dict[str, Any]:
    chat = getattr(agent, "agent", None)
    return _row(name, chat) if isinstance(chat, ChatAgent) else {"name": name}


def _row(name: str, agent: ChatAgent) -> dict[str, Any]:
    return {
        "name": name,
        "model": agent.model,
        "messages": len(at_once(agent.model_context.save_state())["messages"]),
        "tokens": agent.usage.total_tokens,
        "cost": agent.cost,
        "state": "busy" if agent.busy else "idle",
    }
