"""Telling keys and passwords from other values by their looks."""

from __future__ import annotations

import re

__all__ = ["holds_key", "mask_keys", "masked", "named_like_secret", "resembles_key", "without_keys"]

# The forms that the vendors of keys chose so that they are recognised: OpenAI and its like,
# Google, GitHub, Slack, AWS, Hugging Face, Groq, Microsoft Entra, JSON web tokens, PEM files.
# Where many may begin in one word, each looks on for so many characters: a text that repeats a
# beginning would take the square of its length.
_KEY = re.compile(
    r"""(?:
        \bsk-(?=[A-Za-z_-]{0,200}+\d)[\w-]{12,}
      | \bAIza[\w-]{30,}
      | \bgh[pousr]_[A-Za-z0-9]{30,}
      | \bgithub_pat_\w{40,}
      | \bxox[abprs]-[\w-]{10,}
      | \bAKIA[A-Z0-9]{16}\b
      | \b(?:hf|gsk)_[A-Za-z0-9]{30,}
      | (?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}
      | \beyJ[\w-]{10,500}+\.[\w-]{10,}+\.[\w-]+
      | -----BEGIN\ [A-Z ]{0,20}PRIVATE\ KEY-----[^-]*(?:-----END\ [A-Z ]{0,20}PRIVATE\ KEY-----)?
    )""",
    re.VERBOSE,
)

# The same as servers echo them, shortened and starred: rather too much than too little.
_ECHO = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf)[-_][A-Za-z0-9*][\w.*-]{6,}"
    r"|\b(?:AIza|eyJ)[\w.*-]{10,}"
    r"|(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}"
    r"|(?<=(?i:bearer) )[^\s\"',;]{4,}"
    r"|(?<=(?i:basic) )[A-Za-z0-9+/]{16,}={0,2}"
    r"|(?:(?<=(?i:client_secret)=)|(?<=(?i:refresh_token)=)|(?<=(?i:access_token)=)"
    r"|(?<=(?i:client_assertion)=))[^\s\"',;&]{4,}"
    r"|(?<=(?i:api[-_]key)[=:])\s*[^\s\"',;&]{4,}"
    r"|\b[0-9a-f]{32,}\b"
)

# Azure's keys have no mark: 32 hexadecimal digits, or 84 letters and digits.
_LONG_TOKEN = re.compile(r"(?<!sha256:)(?<![A-Za-z0-9])[A-Za-z0-9]{32,}={0,2}(?![A-Za-z0-9])")

_NAMED = re.compile(
    r"(?:^|_)(?:passw(?:or)?d|passphrase|secret|credentials?"
    r"|(?:api|access|secret|private)_?key|(?:access|api|auth|bearer|refresh|session)_?token)$",
    re.IGNORECASE,
)


def holds_key(text: str) -> bool:
    """Whether a key of a well-known form stands anywhere in ``text``."""
    return _KEY.search(text) is not None


def resembles_key(word: str) -> bool:
    """Whether a single word may be a key: of a known form, or long without a pattern."""
    found = _LONG_TOKEN.search(word)
    if found is None:
        return holds_key(word)
    token = found.group()
    return any(c.isdigit() for c in token) and any(c.isalpha() for c in token)


def mask_keys(text: str) -> tuple[str, int]:
    """Replace every key of a well-known form; return the text and how many there were."""
    return _KEY.subn("[key left out]", text)


def without_keys(text: str) -> str:
    """The text, every key of a well-known form masked."""
    return _KEY.sub("***", text)


def masked(text: str) -> str:
    """Hide what looks like a credential in an error: servers echo the key they were given."""
    return _ECHO.sub("***", text)


def named_like_secret(name: str) -> bool:
    """Whether a variable of this name is meant to be kept to oneself, as ``api_key`` is.

    ``key`` and ``token`` alone are not: they are everyday names in data and language work.
    """
    return _NAMED.search(name) is not None
