"""How an agent shows itself as the last expression of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbagents.messages import LLMMessage
from nbagents.model_context import conversation_sections
from nbagents.prices import cost_usd, in_dollars

if TYPE_CHECKING:
    from nbagents.agents._chat import ChatAgent

__all__ = ["card_bundle", "cost_of", "model_of"]

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
    header = f"{agent.name} · {model_of(agent)}"
    return sections_bundle(sections, header=header, footer=_footer(agent, len(messages)))


def model_of(agent: ChatAgent) -> str:
    """The name of the agent's model, or of its client's class."""
    return str(getattr(agent.client, "model", "") or type(agent.client).__name__)


def cost_of(agent: ChatAgent) -> float | None:
    """What the agent's replies have cost in USD; None when the price is not known."""
    used = agent.usage
    return cost_usd(model_of(agent), used.prompt_tokens, used.completion_tokens, used.cached_tokens)


def _footer(agent: ChatAgent, messages: int) -> str:
    cost = cost_of(agent)
    parts = [f"{messages:,} messages", f"{agent.usage.total_tokens:,} tokens"]
    if cost:
        parts.append(in_dollars(cost))
    return " · ".join(parts)
