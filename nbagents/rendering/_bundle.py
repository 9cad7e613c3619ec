"""What a reply leaves in a notebook: one MIME bundle, the same live, saved and in final mode."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbagents.rendering._clean import escape, plain
from nbagents.rendering._html import to_html
from nbagents.rendering._inert import inert_markdown
from nbagents.rendering._style import STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def block_html(markdown: str, *, style: bool = True) -> str:
    """One block of a growing reply, set as `reply_bundle` sets it.

    The style sheet is some 3 KB: in a cell that shows several blocks, send it with the first
    one only.
    """
    return f"{STYLE if style else ''}{WRAPPER}{to_html(markdown)}</div>"


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
    """
    thought = [Section("Reasoning", reasoning)] if reasoning.strip() else []
    before = [*thought, *calls]
    labels = "\n".join(plain(one_line(call.label)) for call in calls)
    mark = STATUS_WORDS.get(status, status)
    notes = [*([mark] if mark else []), *notices, *([footer] if footer else [])]
    return {
        "text/html": _html(text, before, notes, marked=bool(mark)),
        "text/markdown": _markdown(text, before, notes),
        "text/plain": "\n\n".join(filter(None, (labels, plain(text), _plain_notes(notes)))),
    }


def _html(text: str, before: Sequence[Section], notes: list[str], *, marked: bool) -> str:
    parts = [STYLE, WRAPPER, *map(folded_html, before), to_html(text)]
    for number, note in enumerate(notes):
        classes = "nb-note nb-mark" if marked and number == 0 else "nb-note"
        parts.append(f'<p class="{classes}">{escape(one_line(note))}</p>\n')
    return "".join(parts) + "</div>"


def folded_html(section: Section) -> str:
    """A section of which only the label is seen until somebody clicks on it."""
    label = escape(one_line(section.label))
    return f"<details><summary>{label}</summary>\n{to_html(section.markdown)}</details>\n"


def _markdown(text: str, before: Sequence[Section], notes: list[str]) -> str:
    parts = [*map(quoted_markdown, before), inert_markdown(text), *map(quiet_markdown, notes)]
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
