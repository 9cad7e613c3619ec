"""Texts as they may be shown, whoever has written a key into them."""

from __future__ import annotations

from nbagents._keys.held import known_mask
from nbagents._keys.lengths import in_conversations
from nbagents._keys.looks import without_keys
from nbagents._keys.mask import SHARE
from nbagents._unicode import mended

__all__ = ["in_an_error", "shown"]


def shown(text: str) -> str:
    """The text without the keys that the process holds, and without what has the form of one.

    People put a key where a name, a number or an address belongs, and errors say what was given.
    """
    return known_mask(in_conversations).hide(without_keys(text), share=SHARE)


def in_an_error(text: str) -> str:
    """The text as an error may say it; half a character could not be sent to a front end."""
    return shown(mended(text))
