"""Markdown that grows, as HTML blocks, and what of them is new since somebody last looked."""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

from nbagents._pieces import Pieces
from nbagents.notebook._ends import END, LONGEST, end_html
from nbagents.rendering import BlockStream, html_blocks, to_html

__all__ = ["GrowingText", "Growth"]


class Growth(NamedTuple):
    """What has changed at the end of a list of blocks.

    Attributes:
        start: The first block that is not as it was.
        keep: How much of it is: UTF-16 code units, as JavaScript counts.
        html: What follows in that block, and the blocks behind it.
    """

    start: int
    keep: int
    html: list[str]


class GrowingText:
    """A text that comes in chunks; only its last block is set again and again.

    Args:
        markdown: What there is already, for good.
    """

    def __init__(self, markdown: str = "") -> None:
        self._stream = BlockStream()
        self._text = Pieces()
        self._finished: list[str] = []
        self._tail: str | None = ""  # None while it has to be set anew
        self._seen = 0  # blocks that were looked at and will not change
        self._seen_tail = ""
        self._end = ""  # of a text that has grown too long to be set
        if markdown:
            self.settle(markdown)

    def __bool__(self) -> bool:
        return bool(self._text)

    @property
    def markdown(self) -> str:
        """The text."""
        return str(self._text)

    @property
    def blocks(self) -> list[str]:
        """The text as HTML, block by block."""
        tail = self._set_tail()
        return [*self._finished, tail] if tail else [*self._finished]

    def feed(self, chunk: str) -> None:
        """Add a piece."""
        self._text.add(chunk)
        self._tail = None
        if len(self._text) <= LONGEST:
            blocks = self._stream.feed(chunk)
            self._finished += [to_html(block, math="mathml") for block in blocks]
        else:
            self._end = (self._end + chunk)[-END:]

    def settle(self, markdown: str) -> None:
        """Make this the text, for good: it is set as a whole."""
        self._text = Pieces()
        self._text.add(markdown)
        self._stream = BlockStream()
        self._finished = html_blocks(markdown, math="mathml")
        self._tail = ""

    def growth(self) -> Growth | None:
        """What has changed since this was last asked; None when nothing has."""
        start, before = self._seen, self._seen_tail
        tail = self._set_tail()
        now = [*self._finished[start:], tail] if tail else self._finished[start:]
        self.looked_at()
        if now == ([before] if before else []):
            return None
        same = _same(before, now[0]) if now else 0
        return Growth(start, _utf16(before[:same]), [now[0][same:], *now[1:]] if now else [])

    def looked_at(self) -> None:
        """Take all there is as seen."""
        self._seen, self._seen_tail = len(self._finished), self._set_tail()

    def _set_tail(self) -> str:
        if self._tail is None:
            if len(self._text) <= LONGEST:
                self._tail = to_html(self._stream.tail, math="mathml")
            else:
                self._tail = end_html(self._end, len(self._text))
        return self._tail


def _same(one: str, other: str) -> int:
    """How many characters two texts have in common from their start."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
