"""A coroutine of ours as the value of a cell: most likely an ``await`` was forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["show_unawaited"]


def show_unawaited(shell: InteractiveShell) -> Callable[[], None]:
    """Have ``shell`` show what to write where one of our coroutines is a cell's value.

    It stays the coroutine that it is, and others' are shown as ever.

    Returns:
        A function that ends it.
    """
    display: Any = shell.display_formatter
    formatter = display.formatters["text/plain"]
    before = formatter.for_type(CoroutineType, _show)

    def undo() -> None:
        if formatter.type_printers.get(CoroutineType) is _show:
            formatter.pop(CoroutineType)
            formatter.for_type(CoroutineType, before)

    return undo


def _show(coroutine: Any, printer: Any, cycle: bool) -> None:
    begun = inspect.getcoroutinestate(coroutine) != inspect.CORO_CREATED
    ours = not begun and coroutine.cr_frame.f_globals.get("__name__", "").startswith("nbagents.")
    printer.text(_advice(coroutine) if ours else repr(coroutine))


def _advice(coroutine: Any) -> str:
    name = f"{coroutine.__name__}_sync"
    owner = coroutine.cr_frame.f_locals.get("self")
    other = f", or call {name}(...)" if hasattr(owner, name) else ""
    return f"<{coroutine.__qualname__}(...) has not begun: put await before it{other}>"
