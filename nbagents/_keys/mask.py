"""Taking secrets out of texts, in whatever form they stand there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from nbagents._keys.lengths import TELLTALE

__all__ = ["BEGINNING", "SHARE", "Mask"]

SHARE = 0.5
"""Of a key, by which it is known within a conversation: keys of others begin as it does."""

BEGINNING = 4
"""Characters by which a secret is suspected: few, for `re` remembers the patterns it compiles."""


class Mask:
    """Hides secrets in texts. It holds them, so it is to be let go of soon.

    Args:
        forms: How they may stand there, see `forms_of`.

    Attributes:
        forms: The same, the longest first: of two that begin alike, one would leave the end of
            the other.
    """

    def __init__(self, forms: Iterable[str]) -> None:
        self.forms = sorted(set(forms), key=len, reverse=True)
        self._beginnings = {form[:TELLTALE] for form in self.forms}

    @cached_property
    def suspect(self) -> re.Pattern[str]:
        """Finds where one of them may begin."""
        starts = sorted({form[:BEGINNING] for form in self.forms})
        return re.compile("|".join(map(re.escape, starts)) or r"(?!)")

    def hide(self, text: str, *, share: float = 0.0) -> str:
        """The text with its secrets masked: in each of their forms, and where the text cuts them.

        Args:
            text: The text.
            share: How much of a form has to be there to be masked, unless the text ends in it. By
                default its first characters will do, which others' keys may have too
                (``sk-proj-``).
        """
        if not any(beginning in text for beginning in self._beginnings):
            return text
        pieces: list[str] = []
        end = 0
        while found := self.suspect.search(text, end):
            at = found.start()
            there = max(_in_common(text, at, form, share) for form in self.forms)
            pieces += (text[end:at], "***") if there else (text[end : at + 1],)
            end = at + max(there, 1)
        return "".join((*pieces, text[end:]))


def _in_common(text: str, at: int, form: str, share: float) -> int:
    """How much of a form stands at a place in the text; 0 when it is too little to tell."""
    if not text.startswith(form[:TELLTALE], at):
        return 0
    size, beyond = min(len(form), TELLTALE), len(form) + 1
    while beyond - size > 1:
        middle = (size + beyond) // 2
        if text.startswith(form[:middle], at):
            size = middle
        else:
            beyond = middle
    return size if size >= int(len(form) * share) or at + size == len(text) else 0
