"""TeX as MathML, for pages without a typesetter: browsers set it by themselves.

What models write is read; what is not known, or would not come out as it is meant, is not set
at all. Every element and attribute is written out in `_tex.elements`, and nothing of the text
gets around it.
"""

from __future__ import annotations

from functools import lru_cache

from nbagents.rendering._clean import clean
from nbagents.rendering._tex.commands import COMMANDS
from nbagents.rendering._tex.elements import ALLOWED, element, row
from nbagents.rendering._tex.reader import Reader
from nbagents.rendering._tex.source import NotReadError

__all__ = ["ALLOWED", "mathml"]


@lru_cache(maxsize=512)
def mathml(tex: str, *, display: bool) -> str | None:
    """A formula as ``<math>``, or None where it cannot be set faithfully.

    Args:
        tex: TeX that `is_safe_tex` lets through, without its dollars.
        display: Whether it stands on a line of its own.
    """
    reader = Reader(clean(tex), COMMANDS, display=display)
    try:
        lines = reader.rows()
        if reader.source.peek():
            return None
    except (NotReadError, RecursionError):
        return None
    if not any(cell for line in lines for cell in line):
        return None
    made = row(lines[0][0]) if lines == [[lines[0][0]]] else _several(lines)
    opening = '<math display="block">' if display else "<math>"
    return f"{opening}{made}</math>"


def _several(lines: list[list[list[str]]]) -> str:
    cells = (("".join(part for cell in line for part in cell)) for line in lines)
    rows = [element("mtr", element("mtd", cell)) for cell in cells]
    return element("mtable", *rows, displaystyle="true")
