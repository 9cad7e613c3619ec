"""How an agent shows itself as the last expression of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbagents.messages import LLMMessage
from nbagents.model_context._show import conversation_sections
from nbagents.prices import in_dollars

if TYPE_CHECKING:
    from nbagents.agents._chat import ChatAgent

__all__ = ["card_bundle"]

_SHOWN = 10


def card_bundle(agent: ChatAgent, messages: list[LLMMessage]) -> dict[str, str]:
    """Who the agent is and what was said: model, instructions, tools, conversation, usage."""
    from nbagents.rendering import Section, sections_bundle

    sections = []
    if agent.system_message:
        sections.append(Section("system message", agent.system_message))
    if agent.tools:
        described = "\n".join(f"* `{tool.name}`: {tool.description}" for tool in agent.tools)
        sections.append(Section("tools", described, folded=True))
    for message in messages[-_SHOWN:]:
        sections += conversation_sections(message)
    header = f"{agent.name} · {agent.model}"
    return sections_bundle(sections, header=header, footer=_footer(agent, len(messages)))


def _footer(agent: ChatAgent, messages: int) -> str:
    parts = [f"{messages:,} messages", f"{agent.usage.total_tokens:,} tokens"]
    if agent.cost:
        parts.append(in_dollars(agent.cost))
    return " · ".join(parts)
