"""Characters that command a terminal or break JSON are taken out of text."""

from __future__ import annotations

import html
import re

# ECMA-48, in its 7-bit form and in the 8-bit form (U+0080 to U+009F). An unfinished string
# sequence loses its introducer only, so that it cannot swallow the rest of a reply.
_ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[\]PX^_]"
    r"|\x1b[ -/]*[0-Z\\`-~]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NEWLINE = re.compile(r"\r\n?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Invisible "tag" letters can carry text that nobody sees. They are kept where Unicode uses
# them, behind the black flag (the flags of England, Scotland, Wales).
_TAG = re.compile(r"(\U0001f3f4[\U000e0020-\U000e007f]{1,7})|[\U000e0000-\U000e007f]")
_BIDI_OVERRIDE = re.compile(r"[\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    r"""Text without control characters, escape sequences, lone surrogates and hidden letters.

    Tabs and newlines stay, ``\r\n`` and ``\r`` become ``\n``, a lone surrogate (which cannot
    be sent as UTF-8) becomes U+FFFD.
    """
    text = _NEWLINE.sub("\n", text)
    if text.isascii() and text.isprintable():
        return text
    text = _SURROGATE.sub("\ufffd", text)
    text = _CONTROL.sub("", _ESCAPE_SEQUENCE.sub("", text))
    return text if text.isascii() else _TAG.sub(r"\1", text)


def escape(text: str) -> str:
    """Text for HTML, in content and in quoted attributes."""
    return html.escape(clean(text), quote=True)


def plain(text: str) -> str:
    """Text for a terminal: clean, and without characters that reorder what follows them."""
    return _BIDI_OVERRIDE.sub("", clean(text))
