"""The Markdown parser: CommonMark, tables, strikethrough, TeX; no HTML, nothing unbounded."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import table
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from nbagents.rendering._links import MAX_ADDRESS, is_safe_address
from nbagents.rendering._math import add_math_rules

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

MAX_DEPTH = 30
"""Lists and quotes inside each other; what is deeper is shown as it was written."""
MAX_INLINE = 10_000
"""Characters of one paragraph; a longer one is shown without emphasis and links."""

MAX_QUOTED_LINES = 5_000
"""Of a text's deep quotes, once for each quote that a line stands in, together: some 0.2 s. A
line without a mark goes on with all the quotes around it, each of which looks at it anew."""
DEEP = 4
"""Quotes and lists inside each other, as letters that answer letters have them."""

MAX_TOKENS = 90_000
"""Tokens of a text's blocks: some 400 bytes and 7 us each. What follows is shown as it was written.
A text of 300,000 characters with lists, tables and code has 83,000."""

MAX_EMPTY_CELLS = 5_000
USUAL_BRACKETS = 4
"""Brackets inside each other, as an image in a link has them."""
MAX_BRACKETS = 20_000
"""Of a text's paragraphs with more, their depths squared, together: some 0.1 s. The library looks
through all that stands behind an open bracket for its end."""

MAX_SPANS = 100_000
"""Pieces of a text's paragraphs, together: some 10 us each. Of the paragraphs that follow nothing
is set; a text of 300,000 characters, rich in code and emphasis, has 32,000."""

_BRACKETS = re.compile(r"[\[\]]")


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - the library's name
        return is_safe_address(url)

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - the library's name
        if len(url) > MAX_ADDRESS:
            return ""
        try:
            return super().normalizeLink(url)
        except ValueError:
            return ""


@cache
def _parser(*rules: str) -> MarkdownIt:
    # the library's own limit drops what is deeper, so ours has to come first
    parser = _Parser("commonmark", {"html": False, "maxNesting": 2 * MAX_DEPTH + 20})
    parser.enable(["table", "strikethrough"])
    parser.disable(["html_block", "html_inline"])
    add_math_rules(parser)
    parser.block.ruler.at("table", _bounded_table, {"alt": ["paragraph", "reference"]})
    parser.block.ruler.before("table", "unset", _unset)
    parser.inline.ruler.before("autolink", "line_break", _line_break)
    parser.core.ruler.at("inline", _bounded_inline)
    parser.core.ruler.enableOnly([*rules])
    return parser


def parse_blocks(markdown: str, references: dict[str, Any] | None = None) -> list[Token]:
    """The block tokens of clean Markdown, with line numbers in ``map``.

    Args:
        markdown: The text.
        references: Where the definitions of links are kept, for `with_inline`.
    """
    return _parser("normalize", "block").parse(markdown, {} if references is None else references)


def with_inline(tokens: list[Token], references: dict[str, Any]) -> list[Token]:
    """The tokens of a text's outermost block with what is inside of its paragraphs."""
    parser = _parser("inline", "text_join")
    state = StateCore("", parser, references, tokens)
    parser.core.process(state)
    return state.tokens


def _unset(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """What is too deep or too much, as it was written."""
    if (
        state.level < MAX_DEPTH * 2
        and len(state.tokens) < MAX_TOKENS
        and not _quotes_too_much(state, start_line, end_line)
    ):
        return False
    return silent or _as_written(state, start_line, end_line)


def _as_written(state: StateBlock, start_line: int, end_line: int) -> bool:
    token = state.push("code_block", "code", 0)
    token.content = state.getLines(start_line, end_line, state.blkIndent, False)
    token.map = [start_line, end_line]
    state.line = end_line
    return True


def _quotes_too_much(state: StateBlock, start_line: int, end_line: int) -> bool:
    first = state.bMarks[start_line] + state.tShift[start_line]
    if state.level < DEEP or not state.src.startswith(">", first):
        return False
    last = next((line for line in range(start_line, end_line) if state.isEmpty(line)), end_line)
    state.env["quoted"] = state.env.get("quoted", 0) + last - start_line
    return bool(state.env["quoted"] > MAX_QUOTED_LINES)


def _bounded_table(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A table, unless its rows lack so many cells that filling them in would be the bulk."""
    if not table(state, start_line, end_line, True):
        return False
    head = state.src[state.bMarks[start_line] : state.eMarks[start_line]]
    last = start_line
    while last + 1 < end_line and not state.isEmpty(last + 1):
        last += 1
    cells = (head.count("|") + 1) * (last - start_line)
    written = state.src.count("|", state.bMarks[start_line], state.eMarks[last])
    if cells > max(MAX_EMPTY_CELLS, 4 * written):
        return False
    if silent:
        return True
    if len(state.tokens) + 3 * written > MAX_TOKENS:
        return _as_written(state, start_line, last + 1)
    return table(state, start_line, end_line, False)


def _line_break(state: StateInline, silent: bool) -> bool:
    """A ``<br>``: the one tag that models need, as a table's cell has no other line break."""
    for tag in ("<br>", "<br/>", "<br />"):
        if state.src.startswith(tag, state.pos):
            if not silent:
                state.push("hardbreak", "br", 0)
            state.pos += len(tag)
            return True
    return False


def _bounded_inline(state: StateCore) -> None:
    left, spans = state.env.get("left", (MAX_BRACKETS, MAX_SPANS))
    for token in state.tokens:
        if token.type != "inline" or not token.content:
            continue
        depth = _depth_of_brackets(token.content)
        left -= depth**2 if depth > USUAL_BRACKETS else 0
        bracketed = left < 0 and depth > USUAL_BRACKETS
        if len(token.content) > MAX_INLINE or bracketed or spans < 0:
            token.children = [Token("text", "", 0, content=token.content)]
        else:
            token.children = []
            state.md.inline.parse(token.content, state.md, state.env, token.children)
            spans -= len(token.children)
    state.env["left"] = left, spans


def _depth_of_brackets(text: str) -> int:
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        depth += 1 if bracket == "[" else -1 if depth else 0
        deepest = max(deepest, depth)
    return deepest
