"""Seeing what validation has made something else of: what is shown to a person has to be what runs.

pydantic takes ``"off"`` for False, ``"5"`` for 5, and a long integer for the nearest float. What is
written as text because JSON has no other way, such as a date or a path, is none of this.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from pydantic import BaseModel

__all__ = ["converted"]

_PLAIN = (bool, int, float, str, type(None))
_Pair: TypeAlias = tuple[Any, Any, Any]


def converted(given: Any, taken: Any, place: str = "") -> str:
    """The first value that became another, in words; empty when there is none.

    Args:
        given: A value as JSON has it.
        taken: What validation made of it.
        place: Where it stands, for the words.
    """
    if type(given) in _PLAIN and type(taken) in _PLAIN and not _same(given, taken):
        return f"{place}: {given!r} would become {taken!r}; give it in its own type"
    for name, was, value in _parts(given, taken):
        if fault := converted(was, value, f"{place}.{name}".lstrip(".")):
            return fault
    return ""


def _same(given: Any, taken: Any) -> bool:
    both = {type(given), type(taken)}
    return len(both) == 1 or (both == {int, float} and bool(given == taken))


def _parts(given: Any, taken: Any) -> Iterable[_Pair]:
    """What both consist of: names or places, and the two values."""
    if isinstance(given, list) and isinstance(taken, list | tuple):
        return zip(range(len(given)), given, taken, strict=False)
    if not isinstance(given, dict):
        return ()
    if isinstance(taken, BaseModel):
        fields = type(taken).model_fields.items()
        taken = {field.alias or name: getattr(taken, name) for name, field in fields}
    if not isinstance(taken, dict):
        return ()
    return ((name, given[name], taken[name]) for name in given.keys() & taken.keys())
