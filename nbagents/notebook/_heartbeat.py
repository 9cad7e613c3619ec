"""Wakes the kernel's event loop while a cell waits on it, so that an interrupt is seen.

ipykernel answers an interrupt of a cell that awaits by cancelling it, but only notes that for
its loop. A loop that sleeps until something arrives does not look at the note: a request that
waits for its reply would be stopped when the reply comes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["INTERVAL", "keep_interruptible"]

INTERVAL = 0.1
"""Seconds between two wake-ups: the longest that an interrupt has to wait."""


def keep_interruptible(shell: InteractiveShell) -> Callable[[], None]:
    """Wake the kernel's loop every `INTERVAL` seconds while it runs a cell of ``shell``.

    An idle kernel is left asleep. Where there is no kernel nothing is done.

    Returns:
        A function that ends it.
    """
    if getattr(shell, "kernel", None) is None:
        return lambda: None
    heart = _Heart()
    heart.begin_cell()  # the one that loads the extension, and may go on to wait for a reply
    shell.events.register("pre_run_cell", heart.begin_cell)
    shell.events.register("post_run_cell", heart.end_cell)

    def end() -> None:
        shell.events.unregister("pre_run_cell", heart.begin_cell)
        shell.events.unregister("post_run_cell", heart.end_cell)
        heart.stop()

    return end


class _Heart:
    """Beats from the beginning of a cell to its end, cells run by that cell included."""

    def __init__(self) -> None:
        self._cells = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin_cell(self, *_: object) -> None:
        # A subshell's cells run in other threads, which the signal never reaches.
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # the extension is loaded before the kernel serves cells
            return
        self._cells += 1
        if self._cells == 1:
            self._beat(loop)

    def end_cell(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            self._cells = max(0, self._cells - 1)
            if not self._cells:
                self.stop()

    def stop(self) -> None:
        self._cells = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(INTERVAL, self._beat, loop)
