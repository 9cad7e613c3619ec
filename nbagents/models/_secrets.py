"""Values that must not be seen: keys, tokens, headers."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import quote

from nbagents.errors import ConfigurationError

__all__ = ["Secret", "credentials_in", "hidden", "is_credential", "key_from", "without"]

T = TypeVar("T")

_TELLTALE = 8  # characters of a key by which it is known where a text was cut in the middle of it
_TELLING = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)


class Secret(Generic[T]):
    """Holds a value out of sight: of ``repr``, ``vars``, ``copy``, ``pickle`` and dumps.

    One that was read from an environment variable is pickled as the variable's name, and read
    anew where it is loaded. Any other refuses.

    Args:
        value: What to hold.
        variable: The environment variable that it came from.
    """

    __slots__ = ("__weakref__", "_reveal", "_variable")

    def __init__(self, value: T, variable: str | None = None) -> None:
        # A closure: whoever walks attributes finds a function, not the value.
        self._reveal: Callable[[], T] = lambda: value
        self._variable = variable

    def reveal(self) -> T:
        """The value."""
        return self._reveal()

    def __repr__(self) -> str:
        return f"Secret({self._variable or '...'})"

    def __copy__(self) -> Secret[T]:
        return self

    def __deepcopy__(self, memo: object) -> Secret[T]:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._variable is None:
            _refuse()
        return _from_environment, (self._variable,)


def key_from(
    given: str | Secret[str] | None, variable: str, name: str = "api_key"
) -> Secret[str] | None:
    """Take a key as given, as the argument ``name``, else from the environment variable.

    White space around it is dropped; an empty key is no key.

    Raises:
        ConfigurationError: The key holds what no HTTP header can carry.
    """
    if isinstance(given, Secret):
        return given
    if given is not None:
        return Secret(_clean(given, name)) if given.strip() else None
    value = os.environ.get(variable, "")
    return Secret(_clean(value, variable), variable) if value.strip() else None


def hidden(
    headers: Mapping[str, str] | Secret[Mapping[str, str]] | None,
) -> Secret[Mapping[str, str]] | None:
    """Hide headers: they may hold credentials."""
    return headers if headers is None or isinstance(headers, Secret) else Secret(dict(headers))


def credentials_in(headers: Secret[Mapping[str, str]] | None) -> list[Secret[str]]:
    """The values of those headers whose names say that they are credentials."""
    named = {} if headers is None else headers.reveal()
    return [Secret(str(value).strip()) for name, value in named.items() if is_credential(name)]


def is_credential(name: str) -> bool:
    """Whether a header of this name holds a credential."""
    return _TELLING.search(name) is not None


def without(text: str, secret: str) -> str:
    """Mask a secret in ``text``: as it is, as in a URL, in base64, and where the text cuts it."""
    if len(secret) <= 3:
        return text
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    for form in (secret, quote(secret, safe=""), encoded):
        text = _masked(text, form)
    return text


def _masked(text: str, form: str) -> str:
    pieces: list[str] = []
    beginning, end = form[:_TELLTALE], 0
    while (at := text.find(beginning, end)) >= 0:
        size = next(n for n in range(len(form), 0, -1) if text.startswith(form[:n], at))
        pieces += text[end:at], "***"
        end = at + size
    return "".join((*pieces, text[end:]))


def _clean(key: str, source: str) -> str:
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"The key from {source} holds white space or characters that no key has; copy it again "
            "without quotes or line breaks."
        )
    return key


def _refuse() -> NoReturn:
    raise ConfigurationError(
        "A client that was given a key, a token or headers is not pickled, so that they are "
        "written nowhere; keep the key in an environment variable such as OPENAI_API_KEY, or make "
        "the client where it is used."
    )


def _from_environment(variable: str) -> Secret[str]:
    secret = key_from(None, variable)
    if secret is None:
        raise ConfigurationError(
            f"The client that was saved reads its key from {variable}, which is not set here; "
            "set it and load again."
        )
    return secret
