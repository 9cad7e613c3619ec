"""Filling a prompt's ``{name}`` from the kernel, and nothing else."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nbagents._keys import holds_key
from nbagents.errors import ConfigurationError
from nbagents.notebook._describe import inline, kind_of_block
from nbagents.notebook._description import first_line, shorten
from nbagents.notebook._variables import EXPRESSION, NotThereError, find, refuse_secret
from nbagents.notebook._verbatim import matching_braces, without_code_and_tex

__all__ = ["VALUE_LIMIT", "Expansion", "expand"]

VALUE_LIMIT = 20_000
"""Characters of a value that are filled in at most."""

# Formats that cannot be mistaken for what follows the colon in JSON or a dict: {x:.2f}, {x:8.2f},
# {n:,}, {share:.1%}, {name:>10}, {n:03d}, {when:%Y-%m-%d}.
_FORMAT = (
    r"\+?[0-9]{0,3},?\.[0-9]{1,2}[eEfFgG%]|,d?|%[A-Za-z][A-Za-z%:/., -]*|%"
    r"|[<>^][0-9]{1,3}(?:,?(?:\.[0-9]{1,2})?[dseEfFgG%]?)|0[0-9]{1,2}d"
)
_FIELD = re.compile(rf"\{{({EXPRESSION})(?:!([rs]))?(?::({_FORMAT}))?\}}")
# What else an f-string fills in: {x=}, {name!a}, {name:*^10}, {n:+d}. {n:3} and {n:d} may be JSON.
_SPEC = r"[^\s{}]{1,20}"
_OTHER_FORM = re.compile(
    rf"\{{{EXPRESSION}(?: ?= ?(?:![rsa])?(?::{_SPEC})?|!a(?::{_SPEC})?"
    rf"|(?:![rs])?:(?=.?[<>=^]|[+#]|0[0-9]){_SPEC})\}}"
)
_SUFFIX = re.compile(rf"(?:![rsa])?(?::(?:{_FORMAT}))?$")
_WORD = re.compile(r"[^\W\d]\w*")

_COMPUTED_LIMIT = 200
"""Characters between braces that may be an f-string's."""

_SHOWN = 30
"""Characters of a value that are shown of what was filled in."""


@dataclass(frozen=True)
class Expansion:
    """A prompt with its variables filled in.

    Attributes:
        text: What goes to the model.
        filled: The expressions that were filled in, as written, in order, each once.
        lookalikes: Those that look like a variable and are none; they stay in the text.
        sent: What each field that was filled in became, in short: ``day = 02.01.2025``.
        missing: Why each lookalike is none.
        computed: Fields of an f-string that would have to be computed; they stay as well.
        unknown: Fields of an f-string of a form that no prompt fills in, ``{x=}``; they stay, too.
    """

    text: str
    filled: tuple[str, ...] = ()
    lookalikes: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


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
    sent: dict[str, None] = {}
    lookalikes: dict[str, str] = {}
    computed: dict[str, None] = {}
    unknown: dict[str, None] = {}
    at = 0
    for braces, field in _fields(body):
        if field is None:
            if _is_other_form(braces, namespace):
                unknown[braces] = None
            elif braces not in computed and _is_computed(braces[1:-1], namespace):
                computed[braces] = None
            continue
        if field[1] in lookalikes or keyword.iskeyword(field[1]):
            continue
        try:
            if field[0] not in filled:
                value = find(field[1], namespace)
                filled[field[0]] = _filled(value, field)
                sent[f"{field[1]} = {_in_short(value, field, filled[field[0]])}"] = None
        except NotThereError as error:
            lookalikes[field[1]] = error.reason
            continue
        pieces += body[at : field.start()], filled[field[0]]
        at = field.end()
    names = dict.fromkeys(_FIELD.sub(r"\1", field) for field in filled)
    return Expansion(
        "".join((*pieces, body[at:])),
        tuple(names),
        tuple(lookalikes),
        tuple(sent),
        tuple(lookalikes.values()),
        tuple(computed),
        tuple(unknown),
    )


def _fields(body: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    """Find braces in prose that stand in no others, and their match if they are a field."""
    if "{" not in body:
        return
    prose = without_code_and_tex(body)
    end = 0
    for start, closing in sorted(matching_braces(prose).items()):
        if start < end:
            continue
        end = closing + 1
        yield prose[start:end], _FIELD.fullmatch(prose, start, end)


def _is_other_form(braces: str, namespace: Mapping[str, object]) -> bool:
    """Whether an f-string would fill in this variable of the user's, and `expand` does not."""
    first = _WORD.match(braces, 1)
    if first is None or first.group() not in namespace:
        return False
    return _OTHER_FORM.fullmatch(braces) is not None and not holds_key(braces)


def _is_computed(inside: str, namespace: Mapping[str, object]) -> bool:
    """Whether an f-string would compute this of the user's variables; prose and JSON are none."""
    short = len(inside) <= _COMPUTED_LIMIT and len(inside.splitlines()) == 1
    words = _WORD.findall(inside) if short else ()
    if not any(word in namespace for word in words) or holds_key(inside):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expression = ast.parse(_SUFFIX.sub("", inside).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    if not isinstance(expression, ast.Call | ast.BinOp | ast.Subscript | ast.Attribute | ast.IfExp):
        return False
    nodes = [*ast.walk(expression)]
    if any(isinstance(node, ast.BitOr) for node in nodes):
        return False  # {x | x > 0} is a set
    names = [node for node in nodes if isinstance(node, ast.Name)]
    own = {name.id for name in names if not isinstance(name.ctx, ast.Load)}  # [x for x in ...]
    used = {name.id for name in names} - own
    return any(name in namespace for name in used) and all(
        name in namespace or hasattr(builtins, name) for name in used
    )


def _in_short(value: object, field: re.Match[str], text: str) -> str:
    kind = kind_of_block(value) if field[2] is None and field[3] is None else ""
    text = kind or " ".join(text.split())
    return text if kind or len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


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
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: it would end the cell without a word
        raise ConfigurationError(
            f"{field[0]} raised {type(error).__name__}: {first_line(error)}; nothing was sent."
        ) from error
    return shorten(text, VALUE_LIMIT)
