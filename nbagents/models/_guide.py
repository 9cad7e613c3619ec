"""What the embedded model says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["reply"]


def reply(messages: Sequence[Mapping[str, Any]]) -> str:
    """Answer the last user message."""
    return "I am nbagents' embedded model: no language model, a search over the documentation."
