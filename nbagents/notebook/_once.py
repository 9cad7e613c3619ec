"""What a magic has shown is not shown again as the value of its cell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["show_no_more"]


class _PassOver:
    """A ``sys.displayhook`` that leaves out what is on screen already."""

    def __init__(self, hook: Callable[[object], object]) -> None:
        self.shown: list[object] = []
        self._hook = hook

    def __call__(self, value: object) -> None:
        if not any(value is shown for shown in self.shown):
            self._hook(value)


def show_no_more(shell: Any, value: object) -> None:
    """Do not show this very object until the end of the running cell.

    So a magic can show its result and return it: ``r = %chat ...`` has it, and ``%chat ...`` is
    not followed by the same once more. At the end of a cell IPython puts its own
    ``sys.displayhook`` back.
    """
    if not shell.display_trap.is_active:
        return
    if not isinstance(sys.displayhook, _PassOver):
        sys.displayhook = _PassOver(sys.displayhook)
    sys.displayhook.shown.append(value)
