r"""TeX in Markdown: ``$…$``, ``$$…$$``, and ``\(…\)``, ``\[…\]`` as models write them.

The dollar rules are Pandoc's (no space inside, no digit behind) and a letter or digit before
the opening or behind the closing dollar makes it prose: "$5 and $10", "US$5 to US$6".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

MAX_TEX = 5_000
"""Characters of one formula; a longer one is shown as code."""
_MAX_LINES = 200
_MAX_BRACES = 60

# Commands that define macros (exponential growth), load packages, or reach into the page:
# links, attributes, style, fonts by name, boxes of any size. The names are those of MathJax's
# extensions (html, unicode, bbox, action, newcommand, require, setoptions, ...) and of TeX's own
# primitives. JupyterLab filters some of it by itself; other pages need not.
_DENIED = (
    r"[egx]?def|let|futurelet|(?:re)?new[A-Za-z]+|provide[A-Za-z]+|Declare[A-Za-z]+|csname"
    r"|require|input|include[A-Za-z]*|setOptions|begingroup|sandbox|global|catcode"
    r"|href|url|unicode|style|class|cssId|html[A-Za-z]*|data|mmlToken|bbox|toggle|mathtip|texttip"
    r"|rule|Rule|Space|special|write|immediate|openout|loop|repeat"
)
DENIED_COMMAND = re.compile(rf"\\(?=(?:{_DENIED})(?![A-Za-z]))")
_LABEL = re.compile(r"\\label\s*\{[^{}]*\}")
_CLOSING = {"$$": "$$", r"\[": r"\]"}


def is_safe_tex(tex: str) -> bool:
    """Whether a formula may be handed to a typesetter."""
    return (
        len(tex) <= MAX_TEX
        and tex.count("{") <= _MAX_BRACES * 10
        and not DENIED_COMMAND.search(tex)
        and _depth(tex) <= _MAX_BRACES
    )


def without_labels(tex: str) -> str:
    """A formula whose equations have no labels: they become ids, and clash when set twice."""
    return _LABEL.sub("", tex).strip()


def _depth(tex: str) -> int:
    depth = deepest = 0
    for char in tex:
        depth += (char == "{") - (char == "}")
        deepest = max(deepest, depth)
    return deepest


def add_math_rules(parser: MarkdownIt) -> None:
    """Teach a parser the tokens ``math_inline``, ``math_display`` and ``math_block``."""
    parser.inline.ruler.before("escape", "math", _inline)
    parser.block.ruler.before(
        "fence", "math_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def _inline(state: StateInline, silent: bool) -> bool:
    opening = state.src[state.pos : state.pos + 2]
    if opening in ("$$", r"\(", r"\["):
        found = _delimited(state, opening)
    elif opening[:1] == "$":
        found = _dollar(state)
    else:
        return False
    if found is None:
        return False
    kind, content, end = found
    if not silent:
        state.push(kind, "math", 0).content = content
    state.pos = end
    return True


def _delimited(state: StateInline, opening: str) -> tuple[str, str, int] | None:
    closing = {"$$": "$$", r"\(": r"\)", r"\[": r"\]"}[opening]
    start = state.pos + 2
    end = state.src.find(closing, start, min(state.posMax, start + MAX_TEX))
    content = state.src[start:end] if end >= 0 else ""
    # "\[text\](address)" is a link that somebody escaped
    if not content.strip() or (closing == r"\]" and state.src[end + 2 : end + 3] in ("(", "[")):
        return None
    return ("math_inline" if opening == r"\(" else "math_display"), content, end + 2


_DOLLAR = re.compile(r"\$(?![\s$])((?:[^$\\`]|\\[^`])*)(?<!\s)\$(?![0-9A-Za-z])")


def _dollar(state: StateInline) -> tuple[str, str, int] | None:
    if state.pos and state.src[state.pos - 1].isalnum():
        return None
    match = _DOLLAR.match(state.src, state.pos, min(state.posMax, state.pos + MAX_TEX))
    return ("math_inline", match.group(1), match.end()) if match else None


def _block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    if state.is_code_block(start_line):
        return False
    opening = _line(state, start_line)[:2]
    closing = _CLOSING.get(opening)
    last = _closing_line(state, start_line, end_line, closing) if closing else None
    if closing is None or last is None:
        return False
    if not silent:
        lines = "\n".join(_line(state, number) for number in range(start_line, last + 1))
        token = state.push("math_block", "math", 0)
        token.content = lines.strip().removeprefix(opening).removesuffix(closing)
        token.map = [start_line, last + 1]
    state.line = last + 1
    return True


def _closing_line(state: StateBlock, start: int, end: int, closing: str) -> int | None:
    for number in range(start, min(end, start + _MAX_LINES)):
        line = _line(state, number).strip()
        if not line or state.sCount[number] < state.blkIndent:
            return None
        found = line.find(closing, 2 if number == start else 0)
        if found >= 0:
            alone = found + 2 == len(line) and (number > start or found > 2)
            return number if alone else None
    return None


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
