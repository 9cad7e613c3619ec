"""A piece of the kernel as text: what every describer returns, and how it is cut and fenced."""

from __future__ import annotations

import dataclasses
import re
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["Description", "bounded", "fenced", "first_line", "instance", "is_a", "shorten"]


@dataclass(frozen=True)
class Description:
    """An object as text.

    Attributes:
        kind: What it is, and how large: ``"pandas DataFrame, 3 rows x 2 columns"``.
        text: The object.
        language: Of the text, for a fence.
        part: What of it the text holds, where that is not all of it: ``"25 of 300 rows"``.
        tail: The share of the text's end in what is kept when it is cut.
    """

    kind: str
    text: str
    language: str = ""
    part: str = ""
    tail: float = 0.25


def bounded(described: Description, limit: int) -> Description:
    """Cut a description's text to about ``limit`` characters, and say so in its ``part``."""
    if len(described.text) <= limit:
        return described
    cut = f"{limit:,} of {len(described.text):,} characters"
    return dataclasses.replace(
        described,
        text=shorten(described.text, limit, tail=described.tail),
        part=f"{described.part}, {cut}" if described.part else cut,
    )


def shorten(text: str, limit: int, *, tail: float = 0.25) -> str:
    """Cut the middle out of a text of more than ``limit`` characters, with a word on it."""
    if len(text) <= limit:
        return text
    last = int(limit * tail)
    left_out = f"[... {len(text) - limit:,} characters left out ...]"
    return f"{text[: limit - last]}\n{left_out}\n{text[len(text) - last :]}"


def fenced(described: Description) -> str:
    """Return the text in a fence that nothing in it closes."""
    longest = max((len(run) for run in re.findall(r"`+", described.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{described.language}\n{described.text}\n{fence}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, at most 200 characters of it."""
    try:
        return (str(error).splitlines() or [""])[0][:200]
    except Exception:  # noqa: BLE001 - the error is of the user's making, and may be broken
        return ""


def instance(value: object, kinds: Any) -> bool:
    """As `isinstance`; a value that fails when asked what it is, is none of the kinds."""
    try:
        return isinstance(value, kinds)
    except Exception:  # noqa: BLE001 - `__class__` may be a property of the user's making
        return False


def is_a(value: object, module: str, *names: str) -> bool:
    """Whether a value is of a class of a module, which is not imported for the question."""
    loaded = sys.modules.get(module)
    # A module that another thread is importing may not have its classes yet.
    classes = tuple(getattr(loaded, name, ()) for name in names)
    return loaded is not None and instance(value, classes)
