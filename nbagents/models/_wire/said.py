"""What a model says, and what it thinks: two texts that come mixed."""

from __future__ import annotations

from typing import Literal

from nbagents._pieces import Pieces
from nbagents._unicode import SurrogateJoiner
from nbagents.messages import StreamChunk
from nbagents.models._wire.thinking import ThinkSplitter

__all__ = ["Said"]


class Said:
    """Text and reasoning as they grow. What each piece adds is put at the end of a list.

    Args:
        think_tags: Whether text between ``<think>`` tags at the beginning is reasoning. Not
            heeded once reasoning comes apart.

    Attributes:
        text: The text so far.
        reasoning: The reasoning so far.
    """

    def __init__(self, *, think_tags: bool) -> None:
        self.text = Pieces()
        self.reasoning = Pieces()
        self._splitter = ThinkSplitter() if think_tags else None
        self._between_tags = False
        self._text_joiner = SurrogateJoiner()
        self._reasoning_joiner = SurrogateJoiner()

    def say(self, text: str, new: list[StreamChunk]) -> None:
        """Take a piece of text."""
        self._split(self._text_joiner.feed(text), new)

    def think(self, text: str, new: list[StreamChunk]) -> None:
        """Take a piece of reasoning that came apart from the text."""
        self._close_splitter(new)
        self._splitter = None
        self._show("reasoning", self._reasoning_joiner.feed(text), new)

    def flush(self, new: list[StreamChunk]) -> None:
        """Take it that nothing more comes: what was held back is shown."""
        self._show("reasoning", self._reasoning_joiner.close(), new)
        if text := self._text_joiner.close():
            self._split(text, new)
        self._close_splitter(new)

    def thought(self, *, beside: bool) -> str:
        """The reasoning; and what was said ``beside`` calls, which is no answer then."""
        reasoning = str(self.reasoning)
        if self._between_tags:
            reasoning = reasoning.rstrip()
        said = str(self.text) if beside else ""
        return "\n\n".join(part for part in (reasoning, said) if part)

    def _split(self, text: str, new: list[StreamChunk]) -> None:
        if self._splitter is None:
            self._show("text", text, new)
            return
        for kind, piece in self._splitter.feed(text):
            self._between_tags |= kind == "reasoning"
            self._show(kind, piece, new)

    def _close_splitter(self, new: list[StreamChunk]) -> None:
        if self._splitter is not None:
            for kind, piece in self._splitter.close():
                self._show(kind, piece, new)

    def _show(self, kind: Literal["text", "reasoning"], text: str, new: list[StreamChunk]) -> None:
        if text:
            (self.text if kind == "text" else self.reasoning).add(text)
            new.append(StreamChunk(text, kind))
