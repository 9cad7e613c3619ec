"""The pages of the documentation, cut into passages at their headings.

The pages are MyST Markdown for Sphinx; a passage is plain Markdown that reads well on its
own: directives, roles, labels and links to other pages are resolved or left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Page", "Passage", "cut_at_paragraph", "passages_of", "read_passages"]

# Lists of everything: they would answer any question.
_LEFT_OUT = ("changelog.md", "index.md", "misbehaviour.md", "promises.md")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,}|:{3,})\s*(?:\{([\w:-]+)\})?\s*(.*)$")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
# A role, or a code span: what stands in one, such as `{name}`, is none.
_ROLE = re.compile(r"\{([\w:-]+)\}`~?([^`<]+?)(?:\s*<[^`>]*>)?`|`[^`]*`")
_BOXES = {"note", "tip", "hint", "important", "warning", "attention", "caution", "seealso"}
_CODE_BLOCKS = {"code", "code-block", "code-cell", "sourcecode"}


@dataclass(frozen=True)
class Page:
    """A page: its first heading, and its file's name below ``docs/``."""

    title: str
    name: str


@dataclass(frozen=True)
class Passage:
    """What stands between two headings of a page; ``heading`` is empty below the title."""

    page: Page
    heading: str
    text: str


def read_passages(folder: Path) -> list[Passage]:
    """Read the passages of all pages in a folder, in the order of the pages' names."""
    return [
        passage
        for path in sorted(folder.glob("*.md"))
        if path.name not in _LEFT_OUT
        for passage in passages_of(path.read_text(encoding="utf-8"), path.name)
    ]


def passages_of(markdown: str, name: str) -> list[Passage]:
    """Cut one page into passages; headings without text of their own give none."""
    page = Page(title=Path(name).stem.replace("_", " "), name=name)
    found: list[Passage] = []
    heading, lines = "", list[str]()
    for level, line in _plain_lines(markdown):
        if not level:
            lines.append(line)
            continue
        found.append(Passage(page, heading, "\n".join(lines).strip()))
        heading, lines = ("", []) if level == 1 else (line, [])
        if level == 1:
            page = Page(line, name)
    found.append(Passage(page, heading, "\n".join(lines).strip()))
    return [passage for passage in found if passage.text]


def cut_at_paragraph(text: str, longest: int) -> tuple[str, bool]:
    """Keep whole paragraphs of a text up to ``longest`` characters, at least one.

    Returns:
        What is kept, and whether that is less than all.
    """
    kept: list[str] = []
    size = 0
    for block in _blocks(text):
        size += len(block) + 2
        if kept and size > longest:
            return "\n\n".join(kept), True
        kept.append(block)
    return "\n\n".join(kept), False


def _blocks(text: str) -> Iterator[str]:
    """Yield what blank lines part; a fenced block stays whole."""
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        if match := _FENCE.match(line):
            fence = "" if fence and line.strip().startswith(fence) else fence or match[1]
        if line.strip() or fence:
            lines.append(line)
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _plain_lines(markdown: str) -> Iterator[tuple[int, str]]:
    """Yield the lines as plain Markdown, each with its level as a heading or 0."""
    markdown = re.sub(r"\A---\n.*?\n---\n", "", markdown, flags=re.DOTALL)
    opened: list[tuple[str, str]] = []  # the fences around the line, each with its kind
    for line in markdown.splitlines():
        inside = opened[-1][1] if opened else ""
        if opened and line.strip() == opened[-1][0]:
            opened.pop()
            if inside == "code":
                yield 0, "```"
        elif inside == "code":
            yield 0, line
        elif match := _FENCE.match(line):
            kind = inside if inside == "left out" else _kind(match[1], match[2])
            opened.append((match[1], kind))
            if kind == "code":
                yield 0, f"```{match[3]}".rstrip()
        elif inside != "left out":
            yield from _plain_line(line)


def _kind(fence: str, directive: str | None) -> str:
    if directive in _BOXES or (fence[0] == ":" and directive is None):
        return "box"
    return "code" if directive is None or directive in _CODE_BLOCKS else "left out"


def _without_role(match: re.Match[str]) -> str:
    role, text = match[1], match[2]
    if role is None:
        return match[0]
    return text if role in ("doc", "ref") else f"`{text}`"


def _plain_line(line: str) -> Iterator[tuple[int, str]]:
    if re.match(r"^\([\w-]+\)=\s*$|^% |^:\w+:", line):  # labels, comments, options
        return
    line = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", line)
    line = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", line)
    line = _ROLE.sub(_without_role, line)
    line = re.sub(r"</?(?:kbd|br|details|summary)\b[^>]*>", "", line)
    heading = _HEADING.match(line)
    yield (len(heading[1]), heading[2]) if heading else (0, line)
