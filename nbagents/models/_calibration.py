"""What the usage that servers report says about the estimate of tokens.

For each model the process learns by how much its prompts are longer or shorter than estimated,
and the estimate is corrected by it from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbagents.messages import Image, LLMMessage, RequestUsage
from nbagents.models._estimate import estimate_tokens

if TYPE_CHECKING:
    from nbagents.models._client import ToolLike

__all__ = ["Calibration", "calibration"]

_SHORTEST, _LONGEST = 400, 40_000
"""Characters of a prompt that is learned from: in a short one what servers add for their own
purposes weighs too much, a long one takes the event loop too long to estimate."""
_ENOUGH = 30
"""Prompts of one model after which nothing more is learned."""
_MOST_MODELS = 1_000
_PRIOR = 200
"""Tokens for which the estimate is believed to have been right before anything was learned."""
_STEP = 0.02
"""A correction is a multiple of this, so that counts do not change with every reply."""
_LEAST, _MOST = 0.5, 2.0
"""The correction's bounds. A report further off is about something else than the prompt."""


@dataclass
class _Learned:
    prompts: int = 0
    estimated: int = _PRIOR
    reported: int = _PRIOR
    ratio: float = 1.0


class Calibration:
    """Corrections of the estimate, by model; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: dict[str, _Learned] = {}

    def tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = (), model: str = ""
    ) -> int:
        """How many tokens the messages and tools take: `estimate_tokens`, corrected."""
        estimate = estimate_tokens(messages, tools=tools, model=model)
        return round(estimate * self.ratio(model))

    def ratio(self, model: str) -> float:
        """Reported by estimated tokens: 1 until something is learned."""
        learned = self._models.get(model)
        return learned.ratio if learned else 1.0

    def learn(
        self,
        messages: Sequence[LLMMessage],
        usage: RequestUsage,
        *,
        tools: Sequence[ToolLike] = (),
        model: str = "",
    ) -> None:
        """Take note of what a server says that a prompt took."""
        learned = self._models.get(model)
        if usage.estimated or (learned and learned.prompts >= _ENOUGH) or not _telling(messages):
            return
        estimated = estimate_tokens(messages, tools=tools, model=model)
        if _LEAST * estimated <= usage.prompt_tokens <= _MOST * estimated:
            self._add(model, estimated, usage.prompt_tokens)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._models.clear()

    def _add(self, model: str, estimated: int, reported: int) -> None:
        with self._lock:
            if model not in self._models and len(self._models) >= _MOST_MODELS:
                return
            learned = self._models.setdefault(model, _Learned())
            learned.prompts += 1
            learned.estimated += estimated
            learned.reported += reported
            learned.ratio = round(learned.reported / learned.estimated / _STEP) * _STEP


calibration = Calibration()
"""What this process has learned."""


def _telling(messages: Sequence[LLMMessage]) -> bool:
    """Whether a prompt is of a telling length, and without images: each model has its own rule."""
    length = 0
    for message in messages:
        content = message.content
        if isinstance(content, str):
            length += len(content)
        elif any(isinstance(part, Image) for part in content):
            return False
        else:
            length += len(str(content))
    return _SHORTEST <= length <= _LONGEST
