"""Several texts below each other, each with a word on who said it or what it is."""

from __future__ import annotations

from collections.abc import Sequence

from nbagents.rendering._bundle import (
    WRAPPER,
    Section,
    folded_html,
    one_line,
    quiet_markdown,
)
from nbagents.rendering._clean import escape, plain
from nbagents.rendering._html import to_html
from nbagents.rendering._inert import inert_markdown
from nbagents.rendering._style import STYLE

__all__ = ["sections_bundle"]


def sections_bundle(
    sections: Sequence[Section], *, header: str = "", footer: str = ""
) -> dict[str, str]:
    """Sections as ``text/html``, ``text/markdown`` and ``text/plain``, for a raw display.

    Each is rendered by itself, so that none can swallow the next, whatever it leaves open.
    ``header`` and ``footer`` are one quiet line of plain text each.
    """
    header, footer = one_line(header), one_line(footer)
    html = [STYLE, _note_html(header), *map(_section_html, sections), _note_html(footer)]
    markdown = [
        quiet_markdown(header) if header else "",
        *map(_section_markdown, sections),
        quiet_markdown(footer) if footer else "",
    ]
    text = [header, *map(_section_plain, sections), footer]
    return {
        "text/html": "".join(html),
        "text/markdown": "\n\n".join(filter(None, markdown)),
        "text/plain": plain("\n\n".join(filter(None, text))),
    }


def _section_html(section: Section) -> str:
    if section.folded:
        return f"{WRAPPER}{folded_html(section)}</div>\n"
    label = escape(one_line(section.label))
    return f'{WRAPPER}<p class="nb-note">{label}</p>\n{to_html(section.markdown)}</div>\n'


def _section_markdown(section: Section) -> str:
    # A quote ends what is left open in it: a fence, a list.
    quoted = "\n".join(f"> {line}" for line in inert_markdown(section.markdown).split("\n"))
    return f"{quiet_markdown(section.label)}\n\n{quoted}"


def _section_plain(section: Section) -> str:
    return f"{one_line(section.label)}:\n{section.markdown}"


def _note_html(line: str) -> str:
    return f'{WRAPPER}<p class="nb-note">{escape(one_line(line))}</p></div>\n' if line else ""
