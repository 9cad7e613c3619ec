"""What clients are given that must not be seen: keys, tokens, headers, queries."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nbagents._keys import (
    SHARE,
    EnvironmentSecret,
    Mask,
    Secret,
    clean,
    in_conversations,
    known_mask,
    named_like_secret,
    resembles_key,
    shown,
)
from nbagents.errors import ConfigurationError

__all__ = [
    "check_no_key",
    "credentials_in",
    "hidden",
    "hidden_arguments",
    "hidden_query",
    "is_credential",
    "key_from",
    "revealed",
    "secrets_in",
    "too_deep",
]

_TELLING = re.compile(
    r"auth|key|token|secret|cookie|passw|signature|credential|^(?:sig|code)$", re.IGNORECASE
)


def key_from(
    given: object, variable: str, name: str = "api_key", *, server: str = ""
) -> Secret[str] | None:
    """Take a key as given, as the argument ``name``, else from the environment variable.

    White space around it is dropped; an empty key is no key.

    Args:
        given: The key, if it was given.
        variable: The environment variable.
        name: The argument.
        server: The variable that says where the key of the environment is sent, if one does.

    Raises:
        ConfigurationError: It is no text, or holds what no HTTP header can carry.
    """
    if isinstance(given, Secret):
        return given
    if given is not None:
        if not isinstance(given, str):
            raise _wrong(name, "text", given)
        return Secret(clean(given, name)) if given.strip() else None
    is_set = os.environ.get(variable, "").strip()
    return EnvironmentSecret(variable, server) if is_set else None


def check_no_key(given: object, name: str, wanted: str = "the name of a model") -> None:
    """See that a name is not a key, put in its place by mistake: names are shown, and written down.

    Args:
        given: The name.
        name: The argument or environment variable that it was given as.
        wanted: What belongs there.

    Raises:
        ConfigurationError: It is a key, which is not shown.
    """
    if isinstance(given, str) and shown(given) != given:
        raise ConfigurationError(
            f"{name} holds what looks like a key. Give {wanted} there, and the key as "
            "api_key or in an environment variable such as OPENAI_API_KEY."
        )


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
        check_no_key(header, f"A name in {name}", "the name of a header")
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
    for each in given:
        check_no_key(each, f"A name in {name}", "the name of a parameter")
    telling = any(is_credential(str(key)) or _is_key(value) for key, value in given.items())
    return Secret(dict(given)) if telling else dict(given)


def hidden_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Create arguments of the API, those out of sight that may hold credentials.

    In the others the keys that the process holds are masked, which is how they would be sent.

    Raises:
        ConfigurationError: Headers or query parameters are no mapping, the body is no JSON, or the
            model is a key.
    """
    if not arguments:
        return {}
    mask = known_mask(in_conversations)
    return {
        _without_keys(name, mask): _hidden_argument(name, part, mask)
        for name, part in arguments.items()
    }


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


def secrets_in(body: Any) -> Iterator[Secret[str]]:
    """The credentials that `hidden_arguments` has found in an ``extra_body``."""
    if isinstance(body, Secret):
        yield body
    elif isinstance(body, Mapping | list):
        for part in body.values() if isinstance(body, Mapping) else body:
            yield from secrets_in(part)


def is_credential(name: str) -> bool:
    """Whether a header or query parameter of this name holds a credential."""
    return _TELLING.search(name) is not None


def _hidden_argument(name: str, given: Any, mask: Mask) -> Any:
    if name == "extra_headers":
        return hidden(given, name)
    if name == "extra_query":
        return hidden_query(given, name)
    if name == "model":
        check_no_key(given, name)
    try:
        return _without_keys(_hidden_parts(given) if name == "extra_body" else given, mask)
    except RecursionError:
        raise too_deep(name) from None


def _hidden_parts(body: Any) -> Any:
    """What a request has beside the API's arguments, the texts hidden that are named as secrets."""
    if isinstance(body, list):
        return [_hidden_parts(part) for part in body]
    if not isinstance(body, Mapping):
        return body
    return {name: _hidden_part(str(name), part) for name, part in body.items()}


def _hidden_part(name: str, part: Any) -> Any:
    # A "key" alone is Azure's, of the search in which a model looks things up.
    named_so = named_like_secret(name) or name.lower() in ("key", "token", "authorization")
    return Secret(part) if named_so and isinstance(part, str) else _hidden_parts(part)


def _without_keys(part: Any, mask: Mask) -> Any:
    if isinstance(part, str):
        return mask.hide(part, share=SHARE)
    if isinstance(part, list | tuple):
        return [_without_keys(each, mask) for each in part]
    if isinstance(part, Mapping):
        return {_without_keys(n, mask): _without_keys(each, mask) for n, each in part.items()}
    return part


def _parts(text: str) -> Iterable[str]:
    scheme, _, rest = text.partition(" ")
    return (text, rest.strip()) if scheme and rest.strip() else (text,)


def _is_key(value: object) -> bool:
    return isinstance(value, str) and resembles_key(value)


def too_deep(name: str) -> ConfigurationError:
    """What to raise for an argument that cannot be walked through."""
    return ConfigurationError(
        f"{name} holds itself, or is nested too deeply to be JSON; change it."
    )


def _wrong(name: str, wanted: str, given: object) -> ConfigurationError:
    return ConfigurationError(f"{name} takes {wanted}, not {type(given).__name__}.")
