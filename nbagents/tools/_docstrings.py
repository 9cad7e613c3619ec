"""What a docstring says of a function: its description and those of its parameters.

Google's, NumPy's and Sphinx's styles are read, as far as they describe parameters. The parsers
on PyPI read more; none is worth a package in every user's environment for this much.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from textwrap import dedent
from typing import Any, NamedTuple

__all__ = ["Described", "described"]

_PARAMETERS = frozenset(
    {"args", "arguments", "params", "parameters", "keyword args", "keyword arguments",
     "other parameters"}
)  # fmt: skip
_SECTIONS = _PARAMETERS | {
    "attributes", "example", "examples", "note", "notes", "raises", "references", "return",
    "returns", "see also", "todo", "warning", "warnings", "warns", "yield", "yields",
}  # fmt: skip

_GOOGLE_ENTRY = re.compile(r"\*{0,2}(?P<names>\w+)\s*(?:\(.*?\))?\s*:(?P<text>.*)")
_NUMPY_ENTRY = re.compile(r"(?P<names>[\w*]+(?:\s*,\s*[\w*]+)*)\s*(?::.*)?(?P<text>)$")
_SPHINX_ENTRY = re.compile(
    r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?(?P<names>\w+)\s*:(?P<text>.*)"
)
_SPHINX_FIELD = re.compile(r":[a-z]+[^:`]*:(?:\s|$)")


class Described(NamedTuple):
    """What a docstring says.

    Attributes:
        description: Its text before the first section.
        parameters: The description of each parameter that has one, on one line.
    """

    description: str
    parameters: dict[str, str]


def described(function: Callable[..., Any]) -> Described:
    """Read the docstring of ``function``."""
    lines = (inspect.getdoc(function) or "").splitlines()
    preamble, *sections = _sections(lines)
    end = next((n for n, line in enumerate(preamble) if _SPHINX_FIELD.match(line)), len(preamble))
    parameters = dict(_entries(preamble[end:], _SPHINX_ENTRY))
    for title, underline, *body in sections:
        if title.strip(" :").lower() in _PARAMETERS:
            numpy = _is_underline(underline)
            text = dedent("\n".join(body if numpy else [underline, *body])).splitlines()
            parameters.update(_entries(text, _NUMPY_ENTRY if numpy else _GOOGLE_ENTRY))
    return Described("\n".join(preamble[:end]).strip(), parameters)


def _sections(lines: Sequence[str]) -> list[list[str]]:
    """The lines before the first section, then those of each, its title first."""
    found: list[list[str]] = [[]]
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        title = line.rstrip(" :").lower()
        is_title = title in _SECTIONS and (line.rstrip().endswith(":") or _is_underline(following))
        if is_title and following:
            found.append([])
        found[-1].append(line)
    return found


def _entries(lines: Sequence[str], pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Names and texts: an entry begins without indentation, and what is indented continues it."""
    names: list[str] = []
    words: list[str] = []
    for line in [*lines, "end"]:
        if line[:1].isspace() or not line:
            words += line.split()
            continue
        if words:
            yield from ((name, " ".join(words)) for name in names)
        match = pattern.match(line)
        names = [name.strip(" *") for name in match["names"].split(",")] if match else []
        words = match["text"].split() if match else []


def _is_underline(line: str) -> bool:
    return len(line.strip()) >= 3 and set(line.strip()) == {"-"}
