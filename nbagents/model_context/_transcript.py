"""A conversation as text, for a model that shall summarise it."""

from __future__ import annotations

from collections.abc import Sequence

from nbagents.messages import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResultMessage,
    Image,
    LLMMessage,
    SystemMessage,
)

__all__ = ["transcript_of"]

_LONGEST = 4_000
"""Characters of one message; a result of a tool may be a whole file."""


def transcript_of(messages: Sequence[LLMMessage]) -> str:
    """The messages, one paragraph each; images are named, long texts are cut in the middle."""
    return "\n\n".join(f"{_speaker(message)}: {_shortened(_said(message))}" for message in messages)


def _speaker(message: LLMMessage) -> str:
    if isinstance(message, SystemMessage):
        return "Instructions"
    if isinstance(message, FunctionExecutionResultMessage):
        return "Tools"
    role = "Assistant" if isinstance(message, AssistantMessage) else "User"
    return f"{role} ({message.source})"


def _said(message: LLMMessage) -> str:
    if isinstance(message, FunctionExecutionResultMessage):
        return "\n".join(
            f"{result.name} {'failed' if result.is_error else 'gave'}: {result.content}"
            for result in message.content
        )
    if isinstance(message.content, str):
        return message.content
    return "\n".join(map(_part, message.content))


def _part(part: str | Image | FunctionCall) -> str:
    if isinstance(part, FunctionCall):
        return f"calls {part.name}({part.arguments})"
    return part if isinstance(part, str) else "[an image]"


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]} [… {len(text) - 2 * half:,} characters left out …] {text[-half:]}"
