"""Keys that were typed on the line of a magic, where they do not belong."""

from __future__ import annotations

import re

from nbagents._keys import holds_key, resembles_key
from nbagents.errors import ConfigurationError

__all__ = ["is_for_a_key", "refusal", "refuse_keys"]

_FOR_A_KEY = re.compile(
    r"-*(?:(?:openai|azure)[-_]?)*(?:api[-_]?)?(?:key|token|password|secret)(?:=.*)?", re.IGNORECASE
)


def is_for_a_key(word: str) -> bool:
    """Whether a word gives a key, or announces one: ``--api-key``, ``api_key=...``."""
    return _FOR_A_KEY.fullmatch(word) is not None


def refuse_keys(line: str) -> None:
    """Refuse a line with a key on it, without repeating it.

    Raises:
        ConfigurationError: There is one.
    """
    words = line.split()
    given = (word for word in words if "=" in word or word.startswith("-"))
    plain = (word for word in words if not re.search(r"[/\\]|\.\w+$", word))  # the rest are files
    if holds_key(line) or any(map(is_for_a_key, given)) or any(map(resembles_key, plain)):
        raise refusal()


def refusal() -> ConfigurationError:
    """What to do instead."""
    return ConfigurationError(
        "A key does not belong on a magic line: the line stays in the notebook and in the history. "
        'Set it by os.environ["OPENAI_API_KEY"] = getpass.getpass(), in the environment, or from a '
        "keyring; and take this line out (a key that others may have seen must be revoked)."
    )
