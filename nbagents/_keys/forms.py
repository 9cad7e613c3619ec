"""How a secret may stand in a text."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

__all__ = ["forms_of"]


def forms_of(secret: str) -> frozenset[str]:
    """A secret as it is, and as in a URL, JSON, HTML, base64 or hexadecimal."""
    found = {secret, html.escape(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    urls = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    found |= urls | {_lower_escapes(url) for url in urls}
    found |= {secret.encode().hex(), secret.encode().hex().upper()}
    return frozenset(found).union(_base64(secret.encode()))


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
