"""Files that are closed while their process forks.

SQLite takes a child to hold the locks that its parent holds, which it does not: who closes the
file elsewhere would put the log away that the child goes on to write to.
https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["Held", "hold_at_forks"]


class Held(Protocol):
    """What is held while the process forks."""

    def hold(self) -> None:
        """Close the file, and let nobody open it."""

    def let_go(self) -> None:
        """Let it be opened again: in the parent, and in the child."""


_all: WeakSet[Held] = WeakSet()
_held: list[Held] = []
_turn = threading.Lock()


def hold_at_forks(one: Held) -> None:
    """Hold it at each fork, as long as there is another reference to it."""
    with _turn:
        _all.add(one)


def _hold_all() -> None:
    _turn.acquire()
    for one in [*_all]:
        one.hold()
        _held.append(one)  # not before: an interrupt ends the waiting, and others may have it then


def _let_all_go() -> None:
    for one in _held:
        one.let_go()
    _held.clear()
    _turn.release()


if hasattr(os, "register_at_fork"):  # not on Windows, where there are no forks
    os.register_at_fork(before=_hold_all, after_in_parent=_let_all_go, after_in_child=_let_all_go)
