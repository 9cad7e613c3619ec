"""Seeing what validation has made something else of: what is shown to a person has to be what runs.

pydantic takes ``"off"`` for False, ``"5"`` for 5, and a long integer for the nearest float; and it
leaves out what a nested model does not know: somebody who allows ``{"dry_run": true}`` thinks that
it is there. What is written as text because JSON has no other way, such as a date or a path, is
none of this, nor is what a tool's own validators do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeAlias

from pydantic import AliasChoices, BaseModel, RootModel
from pydantic.fields import FieldInfo

__all__ = ["converted"]

_PLAIN = (bool, int, float, str, type(None))
_DEEPEST = 100  # what is nested deeper nobody can read
_Pair: TypeAlias = tuple[Any, Any, Any]
_LEFT_OUT = object()
_OPAQUE = object()


def converted(given: Any, taken: Any) -> str:
    """The first value that became another, or nothing, in words; empty when there is none.

    Args:
        given: A value as JSON has it.
        taken: What validation made of it.
    """
    if _deeper_than(_DEEPEST, given):
        return f"they are nested more than {_DEEPEST} deep"
    return _fault(given, taken, "")


def _fault(given: Any, taken: Any, place: str) -> str:
    if taken is _LEFT_OUT:
        return f"{place}: it would be left out, as there is no such argument"
    if isinstance(taken, RootModel):
        return _fault(given, taken.root, place)
    if type(given) in _PLAIN and type(taken) in _PLAIN and not _same(given, taken):
        return f"{place}: {given!r} would become {taken!r}; give it in its own type"
    for name, was, value in _parts(given, taken):
        if fault := _fault(was, value, f"{place}.{name}".lstrip(".")):
            return fault
    return ""


def _deeper_than(most: int, value: Any) -> bool:
    level = [value]
    for _ in range(most):
        level = [part for each in level for part in _inside(each)]
    return any(isinstance(each, list | dict) for each in level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _same(given: Any, taken: Any) -> bool:
    both = {type(given), type(taken)}
    return len(both) == 1 or (both == {int, float} and bool(given == taken))


def _parts(given: Any, taken: Any) -> Iterable[_Pair]:
    """What both consist of: names or places, and the two values."""
    if isinstance(given, list):
        return _items(given, taken)
    if not isinstance(given, dict):
        return ()
    if isinstance(taken, BaseModel):
        known = _by_name(given, taken, type(taken).model_fields)
        return _named(given, known | (taken.model_extra or {}))
    if dataclasses.is_dataclass(taken):
        fields = getattr(taken, "__pydantic_fields__", None)
        return _named(given, _by_name(given, taken, fields) if fields else _of_dataclass(taken))
    if isinstance(taken, tuple) and hasattr(taken, "_asdict"):
        return _named(given, taken._asdict())
    return _entries(given, taken) if isinstance(taken, Mapping) else ()


def _named(given: Mapping[str, Any], taken: Mapping[str, Any]) -> Iterator[_Pair]:
    for name, value in given.items():
        yield name, value, taken.get(name, _LEFT_OUT)


def _items(given: list[Any], taken: Any) -> Iterable[_Pair]:
    if isinstance(taken, Set):
        return ((place, each, _in_set(each, taken)) for place, each in enumerate(given))
    if isinstance(taken, Sequence | Iterator) and not isinstance(taken, str | bytes):
        return zip(range(len(given)), given, taken, strict=False)
    return ()


def _in_set(given: Any, taken: Set[Any]) -> Any:
    """What a value became in a set, which has no order: itself, or one that it may have become."""
    if type(given) not in _PLAIN or given in [each for each in taken if _same(given, each)]:
        return given
    return next((each for each in taken if type(each) in _PLAIN), _OPAQUE)


def _entries(given: Mapping[str, Any], taken: Mapping[Any, Any]) -> Iterator[_Pair]:
    """Those of a dictionary, whose keys may have become numbers; none may have become another's."""
    yield from ((name, given[name], taken[name]) for name in given if name in taken)
    others = [value for key, value in taken.items() if key not in given]
    for name in given:
        if name not in taken:
            yield name, given[name], others.pop(0) if others else _LEFT_OUT


def _of_dataclass(taken: Any) -> dict[str, Any]:
    kept = {field.name for field in dataclasses.fields(taken)}
    known = type(taken).__dataclass_fields__  # with those that are only passed on
    return {name: getattr(taken, name) if name in kept else _OPAQUE for name in known}


def _by_name(
    given: Mapping[str, Any], taken: Any, fields: Mapping[str, FieldInfo]
) -> dict[str, Any]:
    """The fields' values by the names that may be given for them, the first that is given."""
    config = getattr(type(taken), "model_config", {})
    found = {}
    for field_name, field in fields.items():
        names, is_path = _names(field)
        if not names or config.get("populate_by_name") or config.get("validate_by_name"):
            names = [*names, field_name]
        used = [name for name in names if name in given][:1]
        value = _OPAQUE if is_path else getattr(taken, field_name, _OPAQUE)
        found.update(dict.fromkeys(used, value))
    return found


def _names(field: FieldInfo) -> tuple[list[str], bool]:
    """The aliases that may be given, and whether one leads to a part of what is given."""
    alias = field.validation_alias or field.alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias] if alias else []
    names = [each if isinstance(each, str) else str(each.path[0]) for each in choices]
    return names, not all(isinstance(each, str) for each in choices)
