"""Growing Markdown cut into blocks that are finished and a tail that is not.

A display that sends the whole reply for each update sends megabytes. Sent once per finished
block, and again and again only for the last one, the bytes grow with the reply's length. The
parser itself says where a block begins; it is asked at most once for each line that follows a
blank one, and always about a short text: a list, table, code block or line that grows past
`MAX_TAIL` is continued in a new block of the same kind. Such cuts are for the live view; the
whole reply is set once more, uncut, when it is complete.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nbagents.rendering._parser import parse_blocks

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_TAIL = 1_500
"""Characters of the tail above which a block of several lines is continued in a new one."""
MAX_LINE = 3_000
"""Characters of the last line above which it is cut at a space."""
_MAX_PREFIX = 300

# The start of a line that says, whatever follows, that it is neither an item of a list nor the
# definition of a reference, which belongs to no block.
_DECIDED = re.compile(r"[^\s\-+*0-9[]|[-+*]\S|[0-9]{10}|[0-9]{1,9}(?:[^0-9.)]|[.)]\S)", re.ASCII)
_MARKER = re.compile(r"[0-9]{0,9}([-+*.)])\s", re.ASCII)
_BLANK = " \t\r\n"  # other white space is text to Markdown
_FENCE = re.compile(r"(?P<before>[^`~]*)(?P<marks>`{3,}|~{3,})")


class Block(str):
    """Markdown that can be set by itself; ``source`` is the part of the reply that it shows.

    The two differ where a code block or table is continued: its first line is repeated.
    """

    __slots__ = ("source",)
    source: str

    def __new__(cls, markdown: str, source: str) -> Block:
        """Markdown to set, and the slice of the reply that it stands for."""
        block = super().__new__(cls, markdown)
        block.source = source
        return block


class BlockStream:
    """Takes a reply as it comes; gives each finished block once, and the unfinished rest.

    The ``source`` of all blocks and of the tail, joined, is the text so far. Where the cuts
    are depends on the text alone, not on how it was chunked.
    """

    def __init__(self) -> None:
        self._prefix = ""  # what the tail needs before it, to be what it continues
        self._text = ""  # the tail
        self._line = 0  # where its last line starts
        self._after_blank = False  # that line follows a blank one, and was not looked at yet
        self._list = ""  # the marker of items that were found to go on with the tail's list

    @property
    def tail(self) -> Block:
        """The unfinished block."""
        return Block(self._prefix + self._text if self._text else "", self._text)

    def feed(self, text: str) -> list[Block]:
        """Add text; return the blocks that became final with it."""
        blocks: list[Block] = []
        start = 0
        while start < len(text):
            room = MAX_LINE - (len(self._text) - self._line)
            newline = text.find("\n", start, start + room)
            end = newline + 1 if newline >= 0 else min(len(text), start + room)
            self._text += text[start:end]
            self._look(blocks)
            start = end
        return blocks

    def _look(self, blocks: list[Block]) -> None:
        line = self._text[self._line :]
        complete = line.endswith("\n")
        if self._after_blank and (_DECIDED.match(line) or (complete and self._may_begin(line))):
            self._after_blank = False
            self._cut_before_last_line(blocks)
            line = self._text[self._line :]
        if len(line) >= MAX_LINE:
            self._split(blocks, _space(self._text, self._line, len(self._text)))
        elif complete and len(self._text) > MAX_TAIL:
            self._split(blocks, len(self._text))
        if complete:
            self._after_blank = not line.strip(_BLANK)
            self._line = len(self._text)

    def _may_begin(self, line: str) -> bool:
        """Whether a whole line may begin a block, and not go on with the list that is known."""
        match = _MARKER.match(line)
        known, self._list = self._list, match.group(1) if match else self._list
        return match.group(1) != known if match else line.startswith("[")

    def _cut_before_last_line(self, blocks: list[Block]) -> None:
        number = (self._prefix + self._text).count("\n", 0, len(self._prefix) + self._line)
        if any(_starts_at(token, number) for token in self._tokens()):
            self._freeze(blocks, self._line, "")

    def _tokens(self) -> list[Token]:
        # to the parser a lone carriage return is a line's end, which would shift the numbers
        return parse_blocks((self._prefix + self._text).replace("\r", " "))

    def _freeze(self, blocks: list[Block], end: int, prefix: str, closing: str = "") -> None:
        source = self._text[:end]
        if source:
            blocks.append(Block(self._prefix + source + closing, source))
        self._prefix = prefix
        self._list = ""
        self._text = self._text[end:]
        self._line = max(0, self._line - end)

    def _split(self, blocks: list[Block], end: int) -> None:
        """Cut a tail that has grown too long, at ``end`` or before the last item or block."""
        tokens = self._tokens()
        start = self._last_start(tokens)
        if start > 0:
            self._freeze(blocks, start, "")
            return
        prefix, closing = _continuation(tokens, self._prefix + self._text)
        self._freeze(blocks, end, prefix, closing)

    def _last_start(self, tokens: list[Token]) -> int:
        """Where the last top-level block, or the last item of the list that it is, begins."""
        outer = [token for token in tokens if token.map and token.level == 0]
        if not outer or outer[-1].map is None:
            return 0
        number = outer[-1].map[0]
        if number == 0 and outer[-1].type.endswith("list_open"):
            items = [t for t in tokens if t.type == "list_item_open" and t.level == 1 and t.map]
            number = items[-1].map[0] if items and items[-1].map else 0
        return _offset(self._prefix + self._text, number) - len(self._prefix)


def _starts_at(token: Token, line: int) -> bool:
    return token.level == 0 and token.map is not None and token.map[0] == line


def _offset(text: str, line: int) -> int:
    offset = 0
    for _ in range(line):
        offset = text.find("\n", offset) + 1
    return offset


def _space(text: str, start: int, end: int) -> int:
    found = max(text.rfind(" ", start, end), text.rfind("\t", start, end))
    return found + 1 if found - start > MAX_LINE // 2 else end


def _continuation(tokens: list[Token], markdown: str) -> tuple[str, str]:
    """What must stand before the rest of a block that is cut at its end, and close the first."""
    leaf = next((token for token in reversed(tokens) if token.map and token.nesting >= 0), None)
    table = next((token for token in tokens if token.type == "table_open"), None)
    lines = markdown.split("\n")
    if leaf is not None and leaf.type == "fence" and leaf.map:
        return _continued_fence(lines, leaf)
    if table is not None and table.level == 0 and leaf is not None and leaf.type == "inline":
        head = "\n".join(lines[:2]) + "\n"
        return (head if len(head) <= _MAX_PREFIX else ""), ""
    return "", ""


def _continued_fence(lines: list[str], fence: Token) -> tuple[str, str]:
    assert fence.map is not None
    opening = _FENCE.match(lines[fence.map[0]])
    last = lines[-1] or lines[-2]
    closed = fence.map[1] > fence.map[0] + 1 and last.strip(" >\t").startswith(fence.markup)
    if opening is None or closed:
        return "", ""
    before, marks = opening.group("before"), fence.markup
    if fence.level and ">" not in before:
        before = _item_of_width(len(before))
    info = fence.info.strip() if len(fence.info) < 40 else ""
    newline = "" if not lines[-1] else "\n"
    return f"{before}{marks}{info}\n", newline + re.sub("[^>]", " ", before) + marks + "\n"


def _item_of_width(width: int) -> str:
    """List markers that put what follows into an item whose content starts in that column."""
    if width == 1:
        return " "
    odd = width % 2
    return ("-  " if odd else "") + "- " * ((width - 3 * odd) // 2)
