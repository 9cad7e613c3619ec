"""For whom and for which cell a request is made."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Whereabouts", "attribute", "in_no_cell", "set_whereabouts", "whereabouts"]


class Whereabouts(NamedTuple):
    """Who makes a request, and in which cell; None is unknown."""

    source: str | None = None
    cell: int | None = None


_NOWHERE = Whereabouts()
_attributed: ContextVar[Whereabouts] = ContextVar("nbagents_whereabouts", default=_NOWHERE)
_no_cell: ContextVar[bool] = ContextVar("nbagents_no_cell", default=False)
_default: Callable[[], Whereabouts] | None = None


@contextmanager
def attribute(*, source: str | None = None, cell: int | None = None) -> Iterator[None]:
    """Count the requests made inside, and in tasks started inside, for ``source`` and ``cell``.

    What is left out stays as it was outside; the inner of two that disagree holds.
    """
    outer = _attributed.get()
    token = _attributed.set(_fill(Whereabouts(source, cell), outer))
    try:
        yield
    finally:
        # A generator may be closed in another context than it was started in; that context
        # has its own whereabouts, which are none of ours.
        with suppress(ValueError):
            _attributed.reset(token)


@contextmanager
def in_no_cell() -> Iterator[None]:
    """Count the requests made inside, and in tasks started inside, for no cell that happens to run.

    A cell that `attribute` names inside holds.
    """
    token = _no_cell.set(True)
    try:
        yield
    finally:
        _no_cell.reset(token)


def whereabouts() -> Whereabouts:
    """Who makes the request at hand: as `attribute` says, else as the default function does."""
    said = _attributed.get()
    if _default is None or None not in said:
        return said
    default = _default()
    return _fill(said, default._replace(cell=None) if _no_cell.get() else default)


def set_whereabouts(function: Callable[[], Whereabouts]) -> Callable[[], None]:
    """Let ``function`` answer where nothing is attributed; the notebook knows its current cell.

    Returns:
        A function that takes it away again.
    """
    global _default
    _default = function

    def remove() -> None:
        global _default
        if _default is function:
            _default = None

    return remove


def _fill(said: Whereabouts, rest: Whereabouts) -> Whereabouts:
    return Whereabouts(
        rest.source if said.source is None else said.source,
        rest.cell if said.cell is None else said.cell,
    )
