"""How many forms of a text a kernel can afford to send.

A message is in memory several times until it has left: the forms, what Python keeps of each as
UTF-8, and the message as it is sent.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from nbagents.rendering._document import MAX_MARKDOWN

__all__ = ["is_heavy", "is_long"]

MAX_MESSAGE = 12 * 1024 * 1024
"""Bytes of a message at the most, where one form of the text would do."""
_ESCAPED = ((1, '"\\\n'), (3, "<>"), (4, "&"))  # characters that JSON and HTML add to one


def is_long(texts: Iterable[str]) -> bool:
    """Whether texts that are shown together are too long for three forms."""
    return sum(map(len, texts)) > MAX_MARKDOWN


def is_heavy(as_html: Sequence[str], as_plain: Sequence[str]) -> bool:
    """Whether texts that are shown together are too much for HTML beside plain text."""
    texts = [*as_html, *as_plain]
    return is_long(texts) and sum(map(_size, texts)) > MAX_MESSAGE


def _size(text: str) -> int:
    """The bytes that a text takes as HTML in a message, or some more."""
    added = sum(size * text.count(letter) for size, letters in _ESCAPED for letter in letters)
    # A letter takes one, two or four bytes in a string, and at most one more as UTF-8.
    width = 1 if text.isascii() else min(4, 1 + sys.getsizeof(text) // len(text))
    return (len(text) + added) * width
