"""A text that is read once for all the forms in which it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbagents.rendering._clean import clean
from nbagents.rendering._parser import parse_blocks, with_inline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

__all__ = ["MAX_LINES", "MAX_MARKDOWN", "Document", "read"]

MAX_MARKDOWN = 300_000
"""Characters that are set as Markdown; a longer text is shown as it was written."""
MAX_LINES = 50_000
"""Lines that are set as Markdown: the parser takes some 200 bytes for each."""


@dataclass(frozen=True)
class Document:
    """Clean text, and the blocks that it has as Markdown.

    Attributes:
        text: The text.
        tokens: The blocks' tokens, without what is inside of paragraphs; None for a text that
            is too long to be set.
    """

    text: str
    tokens: list[Token] | None
    _references: dict[str, Any] = field(repr=False)

    def outermost(self) -> Iterator[list[Token]]:
        """The outermost blocks, each with what is inside of its paragraphs.

        That is read when its turn comes and dropped when it is over: of the whole text at once
        it would be a hundred times the text's size.
        """
        block: list[Token] = []
        for token in self.tokens or []:
            block.append(token)
            if token.level == 0 and token.nesting <= 0:
                yield with_inline(block, self._references)
                for each in block:
                    each.children = None
                block = []


def read(markdown: str) -> Document:
    """Clean a text, and find its blocks."""
    text = clean(markdown)
    references: dict[str, Any] = {}
    if _is_long(text):
        return Document(text, None, references)
    return Document(text, parse_blocks(text, references), references)


def _is_long(text: str) -> bool:
    """Whether it is shown as it was written, for its size."""
    return len(text) > MAX_MARKDOWN or text.count("\n") > MAX_LINES
