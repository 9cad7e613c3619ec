"""What a docstring says of a function: its description and those of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import docstring_parser

__all__ = ["Described", "described"]


class Described(NamedTuple):
    """What a docstring says.

    Attributes:
        description: Its text, without the sections.
        parameters: The description of each parameter that has one.
    """

    description: str
    parameters: dict[str, str]


def described(function: Callable[..., Any]) -> Described:
    """Read the docstring of ``function``, in Google's, NumPy's, Sphinx's or Epydoc's style."""
    text = inspect.getdoc(function) or ""
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return Described(text, {})
    parameters = {
        name.strip().lstrip("*"): " ".join((param.description or "").split())
        for param in parsed.params
        for name in param.arg_name.split(",")
    }
    return Described(parsed.description or "", {k: v for k, v in parameters.items() if v})
