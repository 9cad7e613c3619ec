"""Which addresses a reply may link to."""

from __future__ import annotations

import re

MAX_ADDRESS = 2_000
"""Characters of an address, as common browsers and servers take them; a longer one is text."""

_SAFE_ADDRESS = re.compile(
    r"(?:https?://[^\s/?#\\<>\"'`][^\s\\<>\"'`]*|mailto:[^\s\\<>\"'`/]+)", re.IGNORECASE
)
_BARE_ADDRESS = re.compile(r"\bhttps?://[^\s<>\"'`|\\^{}\u2028\u2029]+", re.IGNORECASE)
_TRAILING = ".,;:!?*_~"


def is_safe_address(address: str) -> bool:
    """Whether an address is absolute, and http, https or mailto."""
    return len(address) <= MAX_ADDRESS and _SAFE_ADDRESS.fullmatch(address) is not None


def split_addresses(text: str) -> list[tuple[str, bool]]:
    """Prose cut into pieces: (piece, whether it is an address written without brackets)."""
    pieces: list[tuple[str, bool]] = []
    end = 0
    for match in _BARE_ADDRESS.finditer(text):
        address = _without_punctuation(match.group())
        pieces.append((text[end : match.start()], False))
        pieces.append((address, is_safe_address(address)))
        end = match.start() + len(address)
    pieces.append((text[end:], False))
    return pieces


def _without_punctuation(address: str) -> str:
    address = address.rstrip(_TRAILING)
    while address.endswith(")") and address.count(")") > address.count("("):
        address = address[:-1].rstrip(_TRAILING)
    return address
