"""What of a prompt is code or TeX, where braces mean something else.

Every step blanks out what it finds and hands on a text of the same length, so that positions
stay those of the prompt, and the next step sees only what is left. Each takes linear time (or
a sort's), whatever the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import TypeAlias

__all__ = ["matching_braces", "without_code_and_tex"]

Spans: TypeAlias = list[tuple[int, int]]

# Stands for a character that was blanked out: no space, no letter, no brace.
_BLANK = "\0"


def without_code_and_tex(text: str) -> str:
    r"""Return the text with code and TeX blanked out by NULs, as long as it was before.

    Code is what stands in fences, in indented blocks and between backticks. TeX is what stands
    in ``$..$``, ``$$..$$``, ``\(..\)``, ``\[..\]`` and between ``\begin`` and ``\end``, the
    arguments of a command such as ``\frac{a}{b}``, and those of ``_`` and ``^``. An escaped
    brace is blank too.
    """
    prose = _blank(text, _code_blocks(text))
    prose = _blank(prose, _code_spans(prose))
    prose = _blank(prose, [m.span() for m in re.finditer(r"\\[{}$]", prose)])
    prose = _blank(prose, _formulas(prose))
    prose = _blank(prose, _environments(prose))
    return _blank(prose, _arguments(prose))


def matching_braces(text: str) -> dict[int, int]:
    """Map the position of each opening brace to that of its closing one."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for match in re.finditer(r"[{}]", text):
        if match.group() == "{":
            opened.append(match.start())
        elif opened:
            pairs[opened.pop()] = match.start()
    return pairs


def _blank(text: str, spans: Spans) -> str:
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        pieces += text[at : max(at, start)], _BLANK * (end - max(at, start))
        at = max(at, end)
    return "".join((*pieces, text[at:]))


_MARKER = r"(?:[-*+]|[0-9]{1,9}[.)])(?:[ \t]+|$)"
_FENCE = re.compile(rf"[ \t]*(?:{_MARKER}|(>)[ \t]*)*(`{{3,}}(?=[^`]*$)|~{{3,}})")
_ITEM = re.compile(rf"[ \t]*{_MARKER}")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


def _code_blocks(text: str) -> Spans:
    """Find the lines of fenced and of indented code."""
    spans: Spans = []
    fence: re.Match[str] | None = None
    indentation = _Indentation()
    for start, line in _lines(text):
        if fence is not None and fence[1] and not line.lstrip().startswith(">"):
            fence = None  # the quotation that the fence stood in is over
        if fence is not None:
            spans.append((start, start + len(line)))
            if _closes(fence[2], line):
                fence = None
        elif opening := _FENCE.match(line):
            fence = opening
            spans.append((start, start + len(line)))
            indentation.paragraph = False
        elif indentation.is_code(line):
            spans.append((start, start + len(line)))
    return spans


def _closes(fence: str, line: str) -> bool:
    rest = line.lstrip(" \t>").rstrip()
    return len(rest) >= len(fence) and rest == fence[0] * len(rest)


class _Indentation:
    """Tells indented code from continued paragraphs and list items, line by line."""

    def __init__(self) -> None:
        self.paragraph = False
        self._items: list[int] = []

    def is_code(self, line: str) -> bool:
        bare = line.expandtabs(4)
        if not bare.strip():
            self.paragraph = False
            return False
        indent = len(bare) - len(bare.lstrip())
        if not self.paragraph:
            while self._items and self._items[-1] > indent:
                self._items.pop()
            if indent - (self._items[-1] if self._items else 0) >= 4:
                return True
        if item := _ITEM.match(bare):
            self._items.append(item.end())
        self.paragraph = True
        return False


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for gap in re.finditer(r"\n[ \t\0]*(?=\n)", text):
        yield start, gap.start()
        start = gap.end()
    yield start, len(text)


def _code_spans(text: str) -> Spans:
    """Find what stands between runs of equally many backticks, paragraph by paragraph."""
    spans: Spans = []
    for start, end in _paragraphs(text):
        runs = [m.span() for m in re.finditer(r"(?<![\\`])`+", text[start:end])]
        by_length: dict[int, list[int]] = {}
        for first, last in runs:
            by_length.setdefault(last - first, []).append(first)
        at = 0
        for first, last in runs:
            closing = _next(by_length[last - first], first)
            if first >= at and closing is not None:
                at = closing + last - first
                spans.append((start + first, start + at))
    return spans


# A formula's first $ has no space behind it; its last has none before it, and no letter, digit
# or brace behind it: "$5 and $6" are sums of money, and so are "${price}" and "${fee}". With
# spaces within, "$ x $", it is a formula if it holds no words.
_DELIMITER = re.compile(r"\\[()\[\]]|\$\$|\$")
_FIRST_DOLLAR = re.compile(r"\$(?![\s)\],.;:!?'\"|]|$)")
_LAST_DOLLAR = re.compile(r"(?<![\s(\['\"|$])\$(?![\w{$])")
_SPACED = re.compile(r"\$[ \t]([^$\n]*)[ \t]\$(?![\w{$])")
_SYMBOLS = re.compile(r"\\[A-Za-z]+|\{[^{}]*\}")
_WORD = re.compile(r"[^\W\d_]{3}")
_CLOSING = {"$$": "$$", r"\(": r"\)", r"\[": r"\]"}


def _formulas(text: str) -> Spans:
    """Find formulas with their delimiters, paragraph by paragraph."""
    spans: Spans = []
    for start, end in _paragraphs(text):
        paragraph = text[start:end]
        delimiters = list(_DELIMITER.finditer(paragraph))
        ends: dict[str, list[int]] = {"$": [m.start() for m in _LAST_DOLLAR.finditer(paragraph)]}
        for match in delimiters:
            if match.group() != "$":
                ends.setdefault(match.group(), []).append(match.start())
        at = 0
        for match in delimiters:
            closing = _closing(match, paragraph, ends) if match.start() >= at else None
            if closing is not None:
                at = closing
                spans.append((start + match.start(), start + at))
    return spans


def _closing(opening: re.Match[str], paragraph: str, ends: dict[str, list[int]]) -> int | None:
    """Return where the formula ends that this delimiter opens; None if it opens none."""
    delimiter, start = opening.group(), opening.start()
    if delimiter == "$" and not _FIRST_DOLLAR.match(paragraph, start):
        spaced = _SPACED.match(paragraph, start)
        return spaced.end() if spaced and not _WORD.search(_SYMBOLS.sub("", spaced[1])) else None
    closing = _next(ends.get(_CLOSING.get(delimiter, "$"), []), start)
    if closing is None or delimiter in (r"\)", r"\]"):
        return None
    return closing + len(_CLOSING.get(delimiter, "$"))


def _environments(text: str) -> Spans:
    ends: dict[str, list[int]] = {}
    for match in re.finditer(r"\\end\{([A-Za-z]+\*?)\}", text):
        ends.setdefault(match[1], []).append(match.end())
    spans: Spans = []
    for match in re.finditer(r"\\begin\{([A-Za-z]+\*?)\}", text):
        end = _next(ends.get(match[1], []), match.end())
        if end is not None and not (spans and match.start() < spans[-1][1]):
            spans.append((match.start(), end))
    return spans


_COMMAND = re.compile(r"\\[A-Za-z]+\*?|[_^](?=\{)")
_BRACKETS = re.compile(r"\[[^\[\]{}\n]{0,200}\]")


def _arguments(text: str) -> Spans:
    """Find what follows a command, or the one group behind ``_`` and ``^``."""
    pairs = matching_braces(text)
    spans: Spans = []
    for match in _COMMAND.finditer(text):
        if spans and match.start() < spans[-1][1]:
            continue
        end = match.end()
        if match.group() in "_^":
            end = pairs.get(end, end - 1) + 1
        else:
            while (group := _group(text, end, pairs)) is not None:
                end = group
        spans.append((match.start(), end))
    return spans


def _group(text: str, at: int, pairs: dict[int, int]) -> int | None:
    """Return where the argument in braces or brackets ends that begins here."""
    if at in pairs:
        return pairs[at] + 1
    brackets = _BRACKETS.match(text, at)
    return brackets.end() if brackets else None


def _next(positions: list[int], after: int) -> int | None:
    index = bisect_right(positions, after)
    return positions[index] if index < len(positions) else None
