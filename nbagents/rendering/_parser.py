"""The Markdown parser: CommonMark, tables, strikethrough, TeX; no HTML, nothing unbounded."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import table
from markdown_it.token import Token

from nbagents.rendering._links import MAX_ADDRESS, is_safe_address
from nbagents.rendering._math import add_math_rules

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_core import StateCore
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

MAX_EMPTY_CELLS = 5_000
USUAL_BRACKETS = 4
"""Brackets inside each other, as an image in a link has them."""
MAX_BRACKETS = 20_000
"""Of a text's paragraphs with more, their depths squared, together: some 0.1 s. The library looks
through all that stands behind an open bracket for its end."""

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
def _parser(*, inline: bool) -> MarkdownIt:
    # the library's own limit drops what is deeper, so ours has to come first
    parser = _Parser("commonmark", {"html": False, "maxNesting": 2 * MAX_DEPTH + 20})
    parser.enable(["table", "strikethrough"])
    parser.disable(["html_block", "html_inline"])
    add_math_rules(parser)
    parser.block.ruler.at("table", _bounded_table, {"alt": ["paragraph", "reference"]})
    parser.block.ruler.before("table", "too_deep", _too_deep)
    parser.inline.ruler.before("autolink", "line_break", _line_break)
    parser.core.ruler.at("inline", _bounded_inline)
    if not inline:
        parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def parse(markdown: str) -> list[Token]:
    """The tokens of clean Markdown, inline content included."""
    env: dict[str, Any] = {}
    return _parser(inline=True).parse(markdown, env)


def parse_blocks(markdown: str) -> list[Token]:
    """The block tokens of clean Markdown, with line numbers in ``map``; several times faster."""
    env: dict[str, Any] = {}
    return _parser(inline=False).parse(markdown, env)


def _too_deep(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    if state.level < MAX_DEPTH * 2 and not _quotes_too_much(state, start_line, end_line):
        return False
    if not silent:
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
    return silent or table(state, start_line, end_line, False)


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
    left = MAX_BRACKETS
    for token in state.tokens:
        if token.type != "inline" or not token.content:
            continue
        depth = _depth_of_brackets(token.content)
        left -= depth**2 if depth > USUAL_BRACKETS else 0
        if len(token.content) > MAX_INLINE or (left < 0 and depth > USUAL_BRACKETS):
            token.children = [Token("text", "", 0, content=token.content)]
        else:
            token.children = []
            state.md.inline.parse(token.content, state.md, state.env, token.children)


def _depth_of_brackets(text: str) -> int:
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        depth += 1 if bracket == "[" else -1 if depth else 0
        deepest = max(deepest, depth)
    return deepest
