"""MathML, written out: every element and attribute there is comes from here."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["ALLOWED", "element", "fence", "identifier", "operator", "row", "space"]

ALLOWED: dict[str, tuple[str, ...]] = {
    "menclose": ("notation",),
    "mfrac": ("linethickness",),
    "mi": ("mathvariant",),
    "mn": (),
    "mo": ("fence", "form", "lspace", "maxsize", "minsize", "rspace", "stretchy"),
    "mover": ("accent",),
    "mphantom": (),
    "mroot": (),
    "mrow": (),
    "mspace": ("width",),
    "msqrt": (),
    "mstyle": ("displaystyle", "mathcolor", "scriptlevel"),
    "msub": (),
    "msubsup": (),
    "msup": (),
    "mtable": ("columnalign", "columnspacing", "displaystyle", "rowspacing"),
    "mtd": ("columnalign",),
    "mtext": (),
    "mtr": (),
    "munder": ("accentunder",),
    "munderover": (),
}
"""The elements that are written within ``<math>``, and their attributes."""


def element(tag: str, *inside: str, **attributes: str) -> str:
    """An element around HTML; attributes must be among the `ALLOWED`."""
    assert set(attributes) <= set(ALLOWED[tag])
    written = "".join(f' {name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(inside)}</{tag}>"


def row(items: Sequence[str]) -> str:
    """Items as one."""
    return items[0] if len(items) == 1 else element("mrow", *items)


def identifier(text: str, *, upright: bool = False) -> str:
    """A letter, or the name of a function, which is upright anyway."""
    normal = {"mathvariant": "normal"} if upright and len(text) == 1 else {}
    return element("mi", html.escape(text), **normal)


def operator(text: str, **attributes: str) -> str:
    """A sign with space around it."""
    return element("mo", html.escape(text), **attributes)


def fence(sign: str) -> str:
    """A bracket of its natural size."""
    return operator(sign, stretchy="false")


def space(width: str) -> str:
    """Nothing, so wide."""
    return element("mspace", width=width)
