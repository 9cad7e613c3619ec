"""What a reply leaves in a notebook: one MIME bundle, the same live, saved and in final mode."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nbagents.rendering._clean import escape, plain
from nbagents.rendering._document import Document, read
from nbagents.rendering._html import html_blocks, to_html
from nbagents.rendering._inert import inert_markdown
from nbagents.rendering._style import STYLE
from nbagents.rendering._weight import is_heavy, is_long

STATUS_WORDS = {
    "complete": "",
    "incomplete": "incomplete: the reply broke off",
    "cancelled": "interrupted",
    "failed": "failed",
    "refused": "refused by the model",
    "filtered": "stopped by a content filter",
}
"""How a reply that did not end well is marked, by status."""

WRAPPER = '<div class="nbagents mathjax_ignore tex2jax_ignore" dir="auto">'
"""The element around what we show; both generations of MathJax leave it alone, but for the
formulas that we mark."""
# One such letter makes a text of plain ones two or three times as large in memory.
_NARROW = {ord("\N{RIGHTWARDS ARROW}"): "->", ord("\N{MIDDLE DOT}"): "|"}
_CODE_AND_MORE = re.compile(r"</pre>\n(?!</)")  # not where a list or a quote ends with it
_MARKUP = re.compile(r"([\\`*_\[\]$~|])")


@dataclass(frozen=True)
class Section:
    """A text among others.

    Attributes:
        label: Who said it, or what it is: one line of plain text.
        markdown: The text.
        folded: Whether only the label is seen until somebody clicks on it.
    """

    label: str
    markdown: str
    folded: bool = False


def block_html(*blocks: str, style: bool = True, part: str = "") -> str:
    """Blocks of a growing reply, set as `reply_bundle` sets them.

    The style sheet is some 3 KB: in a cell that shows a reply in several outputs, send it with
    the first one only. ``part`` is a class of `GROWING`.
    """
    wrapper = WRAPPER.replace("nbagents", f"nbagents {part}", 1) if part else WRAPPER
    return f"{STYLE if style else ''}{wrapper}{''.join(map(to_html, blocks))}</div>"


def reply_bundle(
    text: str,
    *,
    reasoning: str = "",
    calls: Sequence[Section] = (),
    footer: str = "",
    notices: Sequence[str] = (),
    status: str = "complete",
) -> dict[str, str]:
    """A reply as ``text/html``, ``text/markdown`` and ``text/plain``, for a raw display.

    ``reasoning`` is Markdown and folded, as is what was called for the reply; of both,
    ``text/plain`` has the labels of the ``calls`` alone. ``footer`` and each of ``notices`` are
    one quiet line of plain text. ``status`` is a key of `STATUS_WORDS`; another word is shown as
    it is.

    Of what is too long to be set, ``text/markdown`` would be the same once more, and is left
    out. Where ``text/html`` would be too heavy beside it, ``text/plain`` is alone and has all.
    """
    thought = [Section("Reasoning", reasoning)] if reasoning.strip() else []
    before = [*thought, *calls]
    labels = "\n".join(plain(one_line(call.label)) for call in calls)
    mark = STATUS_WORDS.get(status, status)
    notes = [*([mark] if mark else []), *notices, *([footer] if footer else [])]
    texts = [text, *(section.markdown for section in before)]
    if is_long(texts):
        notes = [note.translate(_NARROW) for note in notes]
    if is_heavy(texts, [text]):
        return {"text/plain": _as_written(text, before, notes)}
    document = read(text)
    bundle = {"text/html": _html(document, before, notes, marked=bool(mark))}
    if not is_long(texts):
        bundle["text/markdown"] = _markdown(document, before, notes)
    shown = (labels, plain(text), _plain_notes(notes))
    return {**bundle, "text/plain": "\n\n".join(filter(None, shown))}


def _as_written(text: str, before: Sequence[Section], notes: list[str]) -> str:
    parts = (*map(plain_section, before), plain(text), _plain_notes(notes))
    return "\n\n".join(filter(None, parts))


def plain_section(section: Section) -> str:
    """A section as plain text: its label and all that it has."""
    return plain(f"{one_line(section.label)}:\n{section.markdown}")


def _html(document: Document, before: Sequence[Section], notes: list[str], *, marked: bool) -> str:
    parts = [STYLE, WRAPPER, *map(folded_html, before), *apart(document)]
    lines = [escape(one_line(note)) for note in notes]
    if marked:
        lines[0] = f"<em>{lines[0]}</em>"
    return "".join(parts) + note_html("<br>\n".join(lines)) + "</div>"


def note_html(line: str) -> str:
    """Quiet HTML, small also where a page drops the style; nothing for nothing."""
    return f'<p class="nb-note"><small>{line}</small></p>\n' if line else ""


def apart(text: str | Document) -> Iterator[str]:
    """The HTML of a text's blocks, with a line break below code.

    The style sheet hides it. JupyterLab drops that from what it does not trust, and has no
    margin of its own below code, so that the next paragraph would run into it.
    """
    for block in html_blocks(text):
        yield _CODE_AND_MORE.sub("</pre><br>\n", block)


def folded_html(section: Section) -> str:
    """A section of which only the label is seen until somebody clicks on it."""
    label = escape(one_line(section.label))
    body = "".join(apart(section.markdown))
    return f"<details><summary>{label}</summary>\n{body}</details>\n"


def _markdown(document: Document, before: Sequence[Section], notes: list[str]) -> str:
    parts = [*map(quoted_markdown, before), inert_markdown(document), *map(quiet_markdown, notes)]
    return "\n\n".join(filter(None, parts))


def quoted_markdown(section: Section) -> str:
    """A section as a quote, which ends what is left open in it: a fence, a list."""
    quoted = inert_markdown(section.markdown).replace("\n", "\n> ")
    return f"> {quiet_markdown(section.label)}\n>\n> {quoted}"


def quiet_markdown(note: str) -> str:
    """One line of plain text as Markdown in italics."""
    line = escape(one_line(note)).replace("&#x27;", "'").replace("&quot;", '"')
    return "*" + _MARKUP.sub(r"\\\1", line) + "*"


def _plain_notes(notes: list[str]) -> str:
    return "\n".join(plain(one_line(note)) for note in notes)


def one_line(text: str) -> str:
    """Text without line breaks."""
    return " ".join(text.split())
