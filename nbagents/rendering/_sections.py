"""Several texts below each other, each with a word on who said it or what it is."""

from __future__ import annotations

from collections.abc import Sequence

from nbagents.rendering._bundle import (
    WRAPPER,
    Section,
    apart,
    folded_html,
    note_html,
    one_line,
    plain_section,
    quiet_markdown,
)
from nbagents.rendering._clean import escape, plain
from nbagents.rendering._inert import inert_markdown
from nbagents.rendering._style import STYLE
from nbagents.rendering._weight import is_long

__all__ = ["sections_bundle"]


def sections_bundle(
    sections: Sequence[Section], *, header: str = "", footer: str = ""
) -> dict[str, str]:
    """Sections as ``text/html``, ``text/markdown`` and ``text/plain``, for a raw display.

    Each is rendered by itself, so that none can swallow the next, whatever it leaves open.
    ``header`` and ``footer`` are one quiet line of plain text each. What is too
    long to be set as Markdown has no ``text/markdown``.
    """
    header, footer = one_line(header), one_line(footer)
    text = [plain(header), *map(plain_section, sections), plain(footer)]
    html = [STYLE, _note_html(header), *map(_section_html, sections), _note_html(footer)]
    bundle = {"text/html": "".join(html), "text/plain": "\n\n".join(filter(None, text))}
    if is_long(section.markdown for section in sections):
        return bundle
    markdown = [
        quiet_markdown(header) if header else "",
        *map(_section_markdown, sections),
        quiet_markdown(footer) if footer else "",
    ]
    return {**bundle, "text/markdown": "\n\n".join(filter(None, markdown))}


def _section_html(section: Section) -> str:
    if section.folded:
        return f"{WRAPPER}{folded_html(section)}<br></div>\n"
    label = note_html(f"<strong>{escape(one_line(section.label))}</strong>")
    return f"{WRAPPER}{label}{''.join(apart(section.markdown))}</div>\n"


def _section_markdown(section: Section) -> str:
    # A quote ends what is left open in it: a fence, a list.
    quoted = "\n".join(f"> {line}" for line in inert_markdown(section.markdown).split("\n"))
    return f"{quiet_markdown(section.label)}\n\n{quoted}"


def _note_html(line: str) -> str:
    return f"{WRAPPER}{note_html(escape(one_line(line)))}</div>\n" if line else ""
