"""Reasoning that stands inside the text, between ``<think>`` and ``</think>``.

Models of the R1 family reason so when their server does not take it apart itself. Only a
reply that *begins* with the tag is one of these: a model may well write about the tag.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["Piece", "ThinkSplitter"]

Piece: TypeAlias = tuple[Literal["text", "reasoning"], str]

_OPEN = "<think>"
_CLOSE = "</think>"


class ThinkSplitter:
    """Tells reasoning from text, however the tags are cut.

    White space after a tag belongs to nothing.
    """

    def __init__(self) -> None:
        self._state: Literal["start", "thinking", "text"] = "start"
        self._after_tag = False
        self._held = ""

    def feed(self, text: str) -> list[Piece]:
        """Take a piece of the reply; return what is certain so far."""
        if self._state == "text" and not self._after_tag:
            return [("text", text)]
        pieces: list[Piece] = []
        text = self._held + text
        self._held = ""
        if self._state == "start":
            text = self._begin(text)
        if self._state == "thinking":
            text = self._think(text, pieces)
        if self._state == "text":
            text = self._without_space(text)
        if text:
            pieces.append(("text", text))
        return pieces

    def close(self) -> list[Piece]:
        """Return what is still held back: the beginning of a tag that never was one."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [("reasoning" if self._state == "thinking" else "text", held)]

    def _begin(self, text: str) -> str:
        start = text.lstrip()
        if start.startswith(_OPEN):
            self._state, self._after_tag = "thinking", True
            return start[len(_OPEN) :]
        if _OPEN.startswith(start) and len(text) < 1_000:
            self._held = text
            return ""
        self._state = "text"
        return text

    def _think(self, text: str, pieces: list[Piece]) -> str:
        thought, tag, rest = self._without_space(text).partition(_CLOSE)
        if tag:
            self._state, self._after_tag = "text", True
        else:
            kept = _tag_begun(thought)
            thought, self._held = thought[: len(thought) - kept], thought[len(thought) - kept :]
        if thought:
            pieces.append(("reasoning", thought))
        return rest

    def _without_space(self, text: str) -> str:
        if self._after_tag:
            text = text.lstrip()
            self._after_tag = not text
        return text


def _tag_begun(text: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of the closing tag."""
    for length in range(min(len(text), len(_CLOSE) - 1), 0, -1):
        if text.endswith(_CLOSE[:length]):
            return length
    return 0
