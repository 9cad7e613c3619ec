"""Finding what must not be written down: keys, in whatever form they stand in a text. Pure."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from nbagents._keys import holds_key, in_conversations, in_records, named_like_secret
from nbagents._keys.forms import forms_of
from nbagents.models._cassette.lines import Record

__all__ = ["holds_secret", "secrets_here"]

_ESCAPE = re.compile(r"\\+u([0-9A-Fa-f]{4})")  # in JSON within JSON the backslash is doubled
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}")


def holds_secret(value: Any, known: Iterable[str] = ()) -> bool:
    """Whether any text in ``value`` holds a known secret, or what looks like a key.

    Also where it is encoded: as in a URL, in JSON, or in base64; and a text whose name in an
    object says that it is one, such as ``password``.
    """
    forms = [form for secret in known for form in forms_of(secret)]
    return _is_named_so(value) or any(
        any(form in text for form in forms) or any(map(holds_key, _readings(text)))
        for text in _texts(value)
    )


def secrets_here(given: Iterable[str] = ()) -> list[str]:
    """The keys and passwords in the environment, and those ``given`` that are no mere word."""
    named = (value for name, value in os.environ.items() if named_like_secret(name))
    return [*filter(in_records, named), *filter(in_conversations, given)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Record):
        yield from _texts(value.request)
        # A key may have come in pieces.
        yield "".join(piece.text for piece in value.pieces)
        yield from _texts(value.details)
    elif isinstance(value, Mapping):
        yield from _texts([*value.keys(), *value.values()])
    elif isinstance(value, Iterable):
        for part in value:
            yield from _texts(part)


def _is_named_so(value: Any) -> bool:
    if isinstance(value, Record):
        return _is_named_so([value.request, value.details])
    if isinstance(value, Mapping):
        named = (part for name, part in value.items() if named_like_secret(str(name)))
        return any(isinstance(part, str) and part for part in named) or any(
            map(_is_named_so, value.values())
        )
    return isinstance(value, list | tuple) and any(map(_is_named_so, value))


def _readings(text: str) -> Iterator[str]:
    """The text, and what it says to who decodes it."""
    yield text
    if "%" in text:
        yield unquote(text)
    if "\\u" in text:
        yield _ESCAPE.sub(lambda escape: chr(int(escape.group(1), 16)), text)
    for match in _BASE64.finditer(text):
        yield _decoded(match.group())


def _decoded(word: str) -> str:
    word = word.translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(word + "=" * (-len(word) % 4)).decode("ascii", "replace")
    except binascii.Error:
        return ""
