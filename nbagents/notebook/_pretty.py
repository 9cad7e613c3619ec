"""Containers and foreign objects as text, in bounded time and space."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, defaultdict, deque
from itertools import islice
from pprint import pformat
from typing import Any

from nbagents._keys import named_like_secret
from nbagents.notebook._description import instance

__all__ = ["is_container", "is_secret", "pretty", "safe_repr", "without_addresses"]

_BUILT_IN: tuple[type[Any], ...] = (
    dict,
    list,
    tuple,
    set,
    frozenset,
    deque,
    OrderedDict,
    defaultdict,
    Counter,
)
_REPRS = {kind.__repr__ for kind in _BUILT_IN}

_NODES = 1_000
_DEPTH = 8
_STRING = 500
_REPR = 2_000


def is_container(value: Any) -> bool:
    """Whether a value is a container of Python's own, or shows itself as one."""
    return instance(value, _BUILT_IN) and type(value).__repr__ in _REPRS


def pretty(value: object, *, width: int = 100) -> tuple[str, bool]:
    """Return a container as text, and whether that is the whole of it.

    The text has lines of ``width`` characters. At most some 1,000 members are looked at, in 8
    levels, so that a list of ten million takes no longer than one of a thousand.
    """
    trimmer = _Trimmer()
    trimmed = trimmer.trim(value, 0)
    return pformat(trimmed, width=width, sort_dicts=False), not trimmer.left_out


def is_secret(name: object, value: object) -> bool:
    """Whether a member is by its name a password or key, as in ``{"password": "..."}``."""
    return isinstance(name, str) and instance(value, (str, bytes)) and named_like_secret(name)


def safe_repr(value: object) -> str:
    """Return ``repr(value)`` without memory addresses; a word on it where that raises."""
    try:
        text = repr(value)
        return text if instance(value, (str, bytes)) else without_addresses(text)
    except Exception as error:  # noqa: BLE001 - a repr is the user's code and may raise anything
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"


def without_addresses(text: str) -> str:
    """Drop `` at 0x7f...``: it says nothing, and makes every run's request another one."""
    return re.sub(r" at 0x[0-9A-Fa-f]{4,16}\b", "", text)


class _Shown:
    """Stands for a member; its repr is the text to show."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _set_of(value: object, members: list[Any], more: list[_Shown]) -> _Shown:
    """Show a set in the order of its members' texts, which is the same in every run."""
    if not members and not more:
        return _Shown(f"{type(value).__name__}()")
    text = ", ".join([*sorted(map(repr, members)), *map(repr, more)])
    return _Shown(f"frozenset({{{text}}})" if isinstance(value, frozenset) else f"{{{text}}}")


class _Trimmer:
    """Copies a container, as far as it is shown."""

    def __init__(self) -> None:
        self.left_out = False
        self._nodes = _NODES
        self._around: set[int] = set()

    def trim(self, value: Any, depth: int) -> Any:
        self._nodes -= 1
        if not is_container(value):
            return self._leaf(value)
        if id(value) in self._around or depth >= _DEPTH:
            return self._elided("...")
        self._around.add(id(value))
        try:
            return self._members(value, depth + 1)
        finally:
            self._around.discard(id(value))

    def _members(self, value: Any, depth: int) -> Any:
        shown = max(0, min(len(value), self._nodes))
        rest = len(value) - shown
        more = [self._elided(f"... {rest:,} more")] if rest else []
        if isinstance(value, dict):
            pairs = islice(value.items(), shown)
            known = {self._leaf(key): self._value(key, member, depth) for key, member in pairs}
            return known | {mark: _Shown("...") for mark in more}
        members = [self.trim(member, depth) for member in islice(value, shown)]
        if isinstance(value, set | frozenset):
            return _set_of(value, members, more)
        return tuple(members + more) if isinstance(value, tuple) else members + more

    def _value(self, key: object, member: Any, depth: int) -> Any:
        if is_secret(key, member):
            return self._elided("[secret left out]")
        return self.trim(member, depth)

    def _elided(self, text: str) -> _Shown:
        self.left_out = True
        return _Shown(text)

    def _leaf(self, value: Any) -> _Shown:
        if instance(value, (str, bytes)) and len(value) > _STRING:
            return self._elided(f"{value[:_STRING]!r}... ({len(value):,} in all)")
        text = safe_repr(value)
        return self._elided(text[:_REPR] + "...") if len(text) > _REPR else _Shown(text)
