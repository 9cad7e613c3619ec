r"""Text whose characters a server, a tool or somebody else cut in two.

JSON writes an emoji as two escapes, ``\ud83d\ude00``, and some servers put them in different
chunks. Each half alone is a lone surrogate: no UTF-8 can hold it, so pydantic, sockets, files and
front ends refuse it. Halves that meet are joined here, and a half that stays alone is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["SurrogateJoiner", "bytes_per_character", "mended", "mended_data"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def mended(text: str) -> str:
    r"""Join surrogate pairs, and replace lone surrogates with U+FFFD."""
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mended_data(value: Any) -> Any:
    """Mend all texts of JSON-able data."""
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, Mapping):
        return {key: mended_data(each) for key, each in value.items()}
    return [*map(mended_data, value)] if isinstance(value, list | tuple) else value


def bytes_per_character(text: str) -> int:
    """The memory that each character of a text takes, which its widest one decides.

    Half an emoji counts as the emoji that it may become.
    """
    widest = max(text, default="")
    return 1 if widest <= "\xff" else 2 if widest < "\ud800" else 4


class SurrogateJoiner:
    """Mends text that comes in pieces, holding back a half until the next piece."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, text: str) -> str:
        """Take a piece; return what can be said so far."""
        if not self._half and text.isascii():
            return text
        text = self._half + text
        self._half = ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return mended(text)

    def close(self) -> str:
        """Return what is still held back."""
        half, self._half = self._half, ""
        return mended(half)
