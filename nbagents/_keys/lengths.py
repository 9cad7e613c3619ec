"""How long a secret has to be to be looked for: a short one stands in texts by chance.

Servers that need no key are given ``none``, ``lm-studio`` or ``sk-no-key-required``, and local ones
at times a key of four letters. Where such a word would mostly be just a word it is left alone.
"""

from __future__ import annotations

__all__ = ["TELLTALE", "in_conversations", "in_errors", "in_records"]

TELLTALE = 8
"""Characters at its beginning by which a secret is known where a text was cut within it."""


def in_errors(secret: str) -> bool:
    """Whether to look for it in an error about a request that was sent with it."""
    return len(secret) >= 4


def in_records(secret: str) -> bool:
    """Whether to look for it in what is written down: logs, files."""
    return len(secret) >= 8


def in_conversations(secret: str) -> bool:
    """Whether to look for it in what people and models say: it stands in no sentence by chance.

    It is long, or long enough and has digits.
    """
    return len(secret) >= 24 or (len(secret) >= 12 and any(map(str.isdigit, secret)))
