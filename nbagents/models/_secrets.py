"""Values that must not be seen: keys, tokens, headers."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NoReturn, TypeVar
from weakref import WeakSet

from nbagents._keys import resembles_key
from nbagents.errors import ConfigurationError

__all__ = [
    "Secret",
    "credentials_in",
    "hidden",
    "hidden_arguments",
    "hidden_query",
    "is_credential",
    "key_from",
    "keys_in_use",
    "known_secrets",
    "revealed",
    "unmistakable",
]

T = TypeVar("T")

_TELLING = re.compile(
    r"auth|key|token|secret|cookie|passw|signature|credential|^(?:sig|code)$", re.IGNORECASE
)


class Secret(Generic[T]):
    """Holds a value out of sight: of ``repr``, ``vars``, ``copy``, ``pickle`` and dumps.

    One that was read from an environment variable is pickled as the variable's name, and read
    anew where it is loaded. Any other refuses.

    Args:
        value: What to hold.
        variable: The environment variable that it came from; empty for what is no secret, and
            stands in where none is needed. It is pickled as None.
    """

    __slots__ = ("__weakref__", "_reveal", "_variable")

    def __init__(self, value: T, variable: str | None = None) -> None:
        # A closure: whoever walks attributes finds a function, not the value.
        self._reveal: Callable[[], T] = lambda: value
        self._variable = variable
        with _lock:
            _alive.add(self)

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
        if not self._variable:
            return _nothing, ()
        return _from_environment, (self._variable,)


_lock = threading.Lock()
_alive: WeakSet[Secret[Any]] = WeakSet()
_LONG, _LONG_ENOUGH = 24, 12
_SHORTEST = 8  # of what is looked for in others' words: "none" is a key to a server that needs none


def known_secrets() -> list[str]:
    """The keys and tokens that the process holds at this time, but for the shortest."""
    with _lock:
        held = list(_alive)
    values = [each.reveal() for each in held if each._variable != ""]
    words = dict.fromkeys(value for value in values if isinstance(value, str))
    return [word for word in words if len(word) >= _SHORTEST]


def unmistakable(secrets: Iterable[str]) -> list[str]:
    """Those that stand in no sentence by chance, as ``lm-studio`` and ``not-needed`` do.

    They are long, or long enough and with digits; in what people and models say, no others are
    looked for.
    """
    return [
        word
        for word in secrets
        if len(word) >= _LONG or (len(word) >= _LONG_ENOUGH and any(map(str.isdigit, word)))
    ]


def keys_in_use() -> list[str]:
    """The keys that the process holds at this time and that stand in no sentence by chance."""
    return unmistakable(known_secrets())


def key_from(given: object, variable: str, name: str = "api_key") -> Secret[str] | None:
    """Take a key as given, as the argument ``name``, else from the environment variable.

    White space around it is dropped; an empty key is no key.

    Raises:
        ConfigurationError: It is no text, or holds what no HTTP header can carry.
    """
    if isinstance(given, Secret):
        return given
    if given is not None:
        if not isinstance(given, str):
            raise _wrong(name, "text", given)
        return Secret(_clean(given, name)) if given.strip() else None
    value = os.environ.get(variable, "")
    return Secret(_clean(value, variable), variable) if value.strip() else None


def hidden(given: object, name: str = "default_headers") -> Secret[Mapping[str, str]] | None:
    """Hide headers, given as the argument ``name``: they may hold credentials.

    Raises:
        ConfigurationError: They are no mapping of text to text.
    """
    if given is None or isinstance(given, Secret):
        return given
    if not isinstance(given, Mapping):
        raise _wrong(name, "a mapping of names to values", given)
    for header, value in given.items():
        if not isinstance(header, str):
            raise _wrong(f"A name in {name}", "text", header)
        if not isinstance(value, str):
            raise _wrong(f"{name}[{header!r}]", "text", value)
    return Secret(dict(given))


def hidden_query(given: object, name: str = "default_query") -> Any:
    """Hide query parameters if there is a credential among them; others may be seen.

    Raises:
        ConfigurationError: They are no mapping.
    """
    if given is None or isinstance(given, Secret):
        return given
    if not isinstance(given, Mapping):
        raise _wrong(name, "a mapping of names to values", given)
    telling = any(is_credential(str(key)) or _is_key(value) for key, value in given.items())
    return Secret(dict(given)) if telling else dict(given)


def hidden_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Create arguments of the API, those out of sight that may hold credentials.

    Raises:
        ConfigurationError: Headers or query parameters are no mapping.
    """
    shown = dict(arguments)
    if "extra_headers" in shown:
        shown["extra_headers"] = hidden(shown["extra_headers"], "extra_headers")
    if "extra_query" in shown:
        shown["extra_query"] = hidden_query(shown["extra_query"], "extra_query")
    return shown


def revealed(value: Any) -> Any:
    """What a secret holds; anything else as it is."""
    return value.reveal() if isinstance(value, Secret) else value


def credentials_in(
    *given: Secret[Mapping[str, str]] | Mapping[str, Any] | None,
) -> list[Secret[str]]:
    """The values in headers and queries that are credentials by their names or their form.

    What stands behind a scheme, as in ``Bearer ...``, is one by itself.
    """
    found: list[str] = []
    for each in given:
        for name, value in (revealed(each) or {}).items():
            text = str(value).strip()
            if is_credential(str(name)) or _is_key(value):
                found += _parts(text)
    return [Secret(text) for text in dict.fromkeys(found)]


def is_credential(name: str) -> bool:
    """Whether a header or query parameter of this name holds a credential."""
    return _TELLING.search(name) is not None


def _parts(text: str) -> Iterable[str]:
    scheme, _, rest = text.partition(" ")
    return (text, rest.strip()) if scheme and rest.strip() else (text,)


def _is_key(value: object) -> bool:
    return isinstance(value, str) and resembles_key(value)


def _clean(key: str, source: str) -> str:
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"The key from {source} holds white space or characters that no key has; copy it again "
            "without quotes or line breaks."
        )
    return key


def _wrong(name: str, wanted: str, given: object) -> ConfigurationError:
    return ConfigurationError(f"{name} takes {wanted}, not {type(given).__name__}.")


def _refuse() -> NoReturn:
    raise ConfigurationError(
        "A client that was given a key, a token or headers is not pickled, so that they are "
        "written nowhere; keep the key in an environment variable such as OPENAI_API_KEY, or make "
        "the client where it is used."
    )


def _nothing() -> None:
    return None


def _from_environment(variable: str) -> Secret[str]:
    secret = key_from(None, variable)
    if secret is None:
        raise ConfigurationError(
            f"The client that was saved reads its key from {variable}, which is not set here; "
            "set it and load again."
        )
    return secret
