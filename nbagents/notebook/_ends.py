"""A reply that grows beyond what is set while it grows: its end is shown, as it was written."""

from __future__ import annotations

from nbagents.rendering import code_html

__all__ = ["END", "LONGEST", "end_html"]

LONGEST = 200_000
"""Characters that are set as Markdown while they come. To parse and to send more, block by
block, takes a cell minutes and the browser's memory; the finished reply is shown whole anyway."""
END = 2_000
"""Characters of the end that are shown of a longer reply."""


def end_html(end: str, size: int) -> str:
    """The end of a reply that has ``size`` characters so far."""
    note = f"\u2026 {size:,} characters so far; all of it is shown when it is complete"
    return f'<p class="nb-note">{note}</p>\n{code_html(end)}'
