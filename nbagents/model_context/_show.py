"""A conversation as a cell shows it: who said what, calls and their results folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbagents.messages import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
)
from nbagents.messages._show import calls_markdown, parts_markdown, results_markdown, speaker

if TYPE_CHECKING:
    from nbagents.rendering import Section

__all__ = ["conversation_bundle", "conversation_sections"]

SHOWN = 20
"""Messages that are shown, the newest."""
_LONGEST = 4_000
"""Characters of one message that are shown."""


def conversation_bundle(messages: Sequence[LLMMessage], footer: str = "") -> dict[str, str]:
    """The newest messages as ``text/html``, ``text/markdown`` and ``text/plain``.

    Args:
        messages: The conversation.
        footer: One quiet line below it.
    """
    from nbagents.rendering import sections_bundle

    earlier = len(messages) - SHOWN
    return sections_bundle(
        [section for message in messages[-SHOWN:] for section in conversation_sections(message)],
        header=f"{earlier:,} earlier {_messages(earlier)}" if earlier > 0 else "",
        footer=" · ".join(filter(None, (f"{len(messages):,} {_messages(len(messages))}", footer))),
    )


def conversation_sections(message: LLMMessage) -> list[Section]:
    """What is shown of one message: its text, and folded its reasoning, calls and results."""
    from nbagents.rendering import Section

    match message:
        case SystemMessage():
            return [Section("system", _cut(message.content))]
        case FunctionExecutionResultMessage():
            failed = any(result.is_error for result in message.content)
            label = f"tool · {'failed' if failed else 'done'}: {_names(message.content)}"
            return [Section(label, _cut(results_markdown(message.content)), folded=True)]
        case AssistantMessage():
            return _assistant_sections(message)
        case _:
            who = speaker("user", message.source)
            return [Section(who, _cut(parts_markdown(message.content)))]


def _assistant_sections(message: AssistantMessage) -> list[Section]:
    from nbagents.rendering import Section

    who = speaker("assistant", message.source)
    sections = []
    if message.thought:
        sections.append(Section(f"{who} · thought", _cut(message.thought), folded=True))
    if isinstance(message.content, str):
        sections.append(Section(who, _cut(message.content)))
    else:
        calls = _cut(calls_markdown(message.content))
        sections.append(Section(f"{who} · calls {_names(message.content)}", calls, folded=True))
    return sections


def _names(named: Sequence[FunctionCall | FunctionExecutionResult]) -> str:
    return ", ".join(one.name for one in named)


def _messages(count: int) -> str:
    return "message" if count == 1 else "messages"


def _cut(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]} …\n\n({len(text) - _LONGEST:,} more characters)"
