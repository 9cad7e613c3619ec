"""Markdown that stays Markdown, and does nothing else wherever it is rendered.

A live JupyterLab renders ``text/markdown`` with HTML on: scripts run, images load. So what
would become a tag, an image, or a link to anything but http, https and mailto is written in a
way that every Markdown reader shows as text; the rest stays as the model wrote it.

The readers differ (JupyterLab has marked, nbconvert mistune, GitHub cmark), so this does not
lean on the finer points of one parser. Fenced code, and indented code outside of lists and
quotes, is kept. Elsewhere a code span is believed only where the backticks of each line of the
paragraph pair up from left to right; if they do not, its ``<`` is written as ``&lt;`` as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nbagents.rendering._document import Document, read
from nbagents.rendering._math import DENIED_COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

_SAFE_TARGET = r"(?:https?://[^\s/\\<>]|mailto:)"
_CODE = r"(?P<code>(?<!`)(?P<ticks>`+)(?!`)[^\n]*?(?<!`)(?P=ticks)(?!`))|"
# \[ ... \] without another \[ inside, so that a thousand unclosed ones stay linear
_REST = (
    r"(?P<display>\$\$[^$`]++\$\$|\\\[[^`\\]*+(?:\\[^\[\]`][^`\\]*+)*+\\\](?![(\[]))"
    r"|(?P<inline>\\\([^`\\]*+(?:\\[^()`][^`\\]*+)*+\\\)"
    r"|(?<![0-9A-Za-z\\$])\$(?![\s$])(?:[^$`\\]|\\[^`])*+(?<!\s)\$(?![0-9A-Za-z$]))"
    rf"|(?P<command>{DENIED_COMMAND.pattern})"
    r"|(?P<escaped>\\[^<\n])"
    r"|(?P<autolink><(?:https?://|mailto:)[^\s<>\"'`\\]*>|<[\w.+-]+@[\w.-]+>|<br ?/?>)"
    r"|(?P<tag>\\?<(?=[A-Za-z/!?]))"
    r"|(?P<image>!++(?=\[))|!++"
    rf"|(?P<link>\]\((?!\s*<?{_SAFE_TARGET}))"
    rf"|(?P<target>\]\(\s*<?(?={_SAFE_TARGET}))"
    rf"|(?P<definition>\]:(?!\s*<?{_SAFE_TARGET}))"
)
_PIECES = re.compile(_CODE + _REST, re.IGNORECASE)
_PIECES_WITHOUT_CODE = re.compile(_REST, re.IGNORECASE)
_REPLACED = {
    "tag": "&lt;",
    "image": "",
    "link": "]&#40;",
    "definition": "]&#58;",
    "command": "\\ ",
}
_TICKS = re.compile(r"`+")
_PLAIN_FENCE = re.compile(r"[\s>*+\-\d.)]*(?:`{3,}|~{3,})[\w+#. -]*")
# In TeX a space more changes nothing; in Markdown and HTML it breaks what these would begin.
_ACTIVE_IN_TEX = re.compile(r"<(?=[A-Za-z/!?])|!(?=\[)|\](?=[(:])")


def inert_markdown(markdown: str | Document) -> str:
    r"""Markdown in which nothing can run, load, or lead elsewhere than http, https and mailto.

    ``\(…\)`` and ``\[…\]`` become ``$…$`` and ``$$…$$`` outside of code.
    """
    document = read(markdown) if isinstance(markdown, str) else markdown
    if document.tokens is None:
        return _as_code(document.text)
    lines = document.text.split("\n")
    verbatim = _code_lines(document.tokens, lines)
    return "\n".join(_inert_lines(lines, verbatim))


def _as_code(text: str) -> str:
    longest = max(map(len, _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _code_lines(tokens: Sequence[Token], lines: list[str]) -> set[int]:
    """The numbers of the lines that are kept as they are."""
    found: set[int] = set()
    for token in tokens:
        if token.map and token.type == "fence":
            plain = _PLAIN_FENCE.fullmatch(lines[token.map[0]])
            found.update(range(token.map[0] + (0 if plain else 1), token.map[1]))
        elif token.map and token.type == "code_block" and token.level == 0:
            found.update(range(*token.map))
    return found


def _inert_lines(lines: list[str], verbatim: set[int]) -> Iterator[str]:
    paragraph: list[str] = []
    for number, line in enumerate(lines):
        if number in verbatim or not line.strip(" \t"):
            if paragraph:
                yield _inert_paragraph("\n".join(paragraph))
            paragraph = []
            yield line
        else:
            paragraph.append(line)
    if paragraph:
        yield _inert_paragraph("\n".join(paragraph))


def _inert_paragraph(text: str) -> str:
    believed = all(map(_ticks_pair_up, text.split("\n")))
    return (_PIECES if believed else _PIECES_WITHOUT_CODE).sub(_inert_piece, text)


def _inert_piece(match: re.Match[str]) -> str:
    kind, piece = match.lastgroup or "", match.group()
    if kind in ("display", "inline"):
        return _inert_math(piece, "$$" if kind == "display" else "$")
    return _REPLACED.get(kind, piece)


def _inert_math(piece: str, dollars: str) -> str:
    size = 2 if piece.startswith(("$$", "\\")) else 1
    tex = piece[size:-size]
    tex = DENIED_COMMAND.sub(r"\\ ", _ACTIVE_IN_TEX.sub(r"\g<0> ", tex))
    if piece.startswith("$") or "$" in tex or not tex.strip():
        return piece[:size] + tex + piece[-size:]
    return dollars + (tex.strip() if dollars == "$" else tex) + dollars


def _ticks_pair_up(line: str) -> bool:
    runs = list(_TICKS.finditer(line))
    pairs = zip(runs[::2], runs[1::2], strict=False)
    return len(runs) % 2 == 0 and all(
        len(first.group()) == len(second.group())
        and not line[: first.start()].endswith("\\")
        and "|" not in line[first.end() : second.start()]
        for first, second in pairs
    )
