"""Taking credentials out of text, in whatever form they stand in it. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

__all__ = ["SHARE", "forms_of", "without"]

SHARE = 0.5
"""Of a key, by which it is known within a conversation: keys of others begin as it does."""

_SHORTEST = 4  # characters of what is worth hiding; shorter stands in every other word
_TELLTALE = 8  # characters of a key by which it is known where a text was cut in the middle of it


def without(text: str, secrets: Iterable[str], *, share: float = 0.0) -> str:
    """Mask secrets in ``text``: in each of their forms, and where the text cuts them.

    Args:
        text: The text.
        secrets: What to mask.
        share: How much of a form has to be there to be masked, unless the text ends in it. By
            default its first characters will do, which others' keys may have too (``sk-proj-``).
    """
    forms, beginnings, pattern = _sought(tuple(secrets))
    if not any(beginning in text for beginning in beginnings):
        return text
    pieces: list[str] = []
    end = 0
    while found := pattern.search(text, end):
        at = found.start()
        there = max(_in_common(text, at, form, share) for form in forms)
        pieces += (text[end:at], "***") if there else (text[end : at + 1],)
        end = at + max(there, 1)
    return "".join((*pieces, text[end:]))


@lru_cache(maxsize=16)
def _sought(secrets: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str], re.Pattern[str]]:
    """The forms of secrets, how they begin, and a pattern of the beginnings."""
    forms = frozenset(form for secret in secrets for form in forms_of(secret))
    beginnings = frozenset(form[:_TELLTALE] for form in forms)
    # The longest of all: of two forms that begin alike, one would leave the end of the other.
    longest_first = sorted(beginnings, key=len, reverse=True)
    return forms, beginnings, re.compile("|".join(map(re.escape, longest_first)))


def _in_common(text: str, at: int, form: str, share: float) -> int:
    """How much of a form stands at a place in the text; 0 when it is too little to tell."""
    if not text.startswith(form[:_TELLTALE], at):
        return 0
    size, beyond = min(len(form), _TELLTALE), len(form) + 1
    while beyond - size > 1:
        middle = (size + beyond) // 2
        if text.startswith(form[:middle], at):
            size = middle
        else:
            beyond = middle
    return size if size >= int(len(form) * share) or at + size == len(text) else 0


@lru_cache(maxsize=64)
def forms_of(secret: str) -> tuple[str, ...]:
    """How a secret may stand in a text: as it is, as in a URL, JSON, HTML, base64 or hexadecimal.

    The longest come first. One that is too short to be told from other words has no form.
    """
    if len(secret) < _SHORTEST:
        return ()
    found = {secret, html.escape(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    urls = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    found |= urls | {_lower_escapes(url) for url in urls}
    found |= {secret.encode().hex(), secret.encode().hex().upper()}
    found |= set(_base64(secret.encode()))
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def _base64(secret: bytes) -> Iterator[str]:
    """The letters that are the secret's own, wherever in what was encoded it began."""
    for before in range(3):
        padded = b"\0" * before + secret
        # The first letters hold bits of what stood before, the last bits of what follows.
        first, last = (0, 2, 3)[before], len(padded) * 8 // 6
        for encoded in (base64.b64encode(padded), base64.urlsafe_b64encode(padded)):
            yield encoded.decode()[first:last]


def _lower_escapes(url: str) -> str:
    first, *rest = url.split("%")
    return "%".join([first, *(each[:2].lower() + each[2:] for each in rest)])
