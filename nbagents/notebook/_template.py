"""Filling a prompt's ``{name}`` from the kernel, and nothing else."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nbagents._keys import holds_key
from nbagents.errors import ConfigurationError
from nbagents.notebook._describe import inline
from nbagents.notebook._description import first_line, shorten
from nbagents.notebook._variables import EXPRESSION, NotThereError, find, refuse_secret
from nbagents.notebook._verbatim import matching_braces, without_code_and_tex

__all__ = ["VALUE_LIMIT", "Expansion", "expand"]

VALUE_LIMIT = 20_000
"""Characters of a value that are filled in at most."""

# Formats that cannot be mistaken for what follows the colon in JSON or a dict: {x:.2f}, {n:,},
# {share:.1%}, {when:%Y-%m-%d}.
_FORMAT = r"\+?,?\.[0-9]{1,2}[eEfFgG%]|,d?|%[A-Za-z][A-Za-z%:/., -]*|%"
_FIELD = re.compile(rf"\{{({EXPRESSION})(?:!([rs]))?(?::({_FORMAT}))?\}}")


@dataclass(frozen=True)
class Expansion:
    """A prompt with its variables filled in.

    Attributes:
        text: What goes to the model.
        filled: The expressions that were filled in, as written, in order, each once.
        lookalikes: Those that look like a variable and are none; they stay in the text.
    """

    text: str
    filled: tuple[str, ...] = ()
    lookalikes: tuple[str, ...] = ()


def expand(body: str, namespace: Mapping[str, object]) -> Expansion:
    """Fill ``{name}``, ``{name.attribute}`` and ``{name[...]}`` where ``name`` is in the namespace.

    Filled is what stands outside code, TeX and other braces; all else, ``{{`` included, stays as
    written, and so do braces within a value. A value of more than `VALUE_LIMIT` characters is
    cut, with a word on it. ``{name!r}``, and formats such as ``{x:.2f}`` and ``{n:,}``, work.

    Args:
        body: The prompt as written.
        namespace: The user's variables.

    Raises:
        ConfigurationError: A property raised, the format does not fit the value, or the value is
            a key or password.
    """
    pieces: list[str] = []
    filled: dict[str, str] = {}
    lookalikes: dict[str, None] = {}
    at = 0
    for field in _fields(body):
        if field[1] in lookalikes or keyword.iskeyword(field[1]):
            continue
        try:
            if field[0] not in filled:
                filled[field[0]] = _filled(find(field[1], namespace), field)
        except NotThereError:
            lookalikes[field[1]] = None
            continue
        pieces += body[at : field.start()], filled[field[0]]
        at = field.end()
    names = dict.fromkeys(_FIELD.sub(r"\1", field) for field in filled)
    return Expansion("".join((*pieces, body[at:])), tuple(names), tuple(lookalikes))


def _fields(body: str) -> Iterator[re.Match[str]]:
    """Find what has the form of a field, is prose, and stands in no other braces."""
    if "{" not in body:
        return
    prose = without_code_and_tex(body)
    end = 0
    for start, closing in sorted(matching_braces(prose).items()):
        if start < end:
            continue
        end = closing + 1
        field = _FIELD.fullmatch(prose, start, end)
        if field:
            yield field


def _filled(value: object, field: re.Match[str]) -> str:
    expression = field[1]
    refuse_secret(expression, value)
    text = _text(value, field)
    if holds_key(text):
        raise ConfigurationError(
            f"{{{expression}}} holds what looks like a key, so nothing was sent; take it out."
        )
    return text


def _text(value: object, field: re.Match[str]) -> str:
    _, conversion, form = field.groups()
    try:
        if form:
            text = format(repr(value) if conversion == "r" else value, form)
        elif conversion:
            text = repr(value) if conversion == "r" else str(value)
        else:
            text = inline(value, VALUE_LIMIT)
    except Exception as error:
        raise ConfigurationError(
            f"{field[0]} raised {type(error).__name__}: {first_line(error)}; nothing was sent."
        ) from error
    return shorten(text, VALUE_LIMIT)
