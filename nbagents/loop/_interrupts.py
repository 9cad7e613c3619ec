"""What the kernel's interrupt (SIGINT) does while a reply is under way.

Python's own handler raises KeyboardInterrupt between any two bytecodes of the main thread, also
of code that is about to close a stream. Here the signal only asks the turn to stop; the code
that waits for the turn raises `Interrupted` once nothing is left running.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["InterruptGuard", "Interrupted"]

GRACE = 0.5
"""Seconds in which further interrupts count as the same one: people press the button twice."""


class Interrupted(KeyboardInterrupt):
    """The user's interrupt, after everything it had to stop has stopped.

    A KeyboardInterrupt, so that ``except Exception`` lets it pass and Run All stops.
    """

    def __init__(self, message: str = "stopped; what had been shown is kept.") -> None:
        super().__init__(message)

    def _render_traceback_(self) -> list[str]:
        return [f"Interrupted: {self}"]


class InterruptGuard:
    """Holds SIGINT on the main thread; in other threads it does nothing.

    Until `hold` the signal raises `Interrupted` at once, afterwards it calls what `hold` was
    given, once, and `Interrupted` is raised when the ``with`` block ends.

    Attributes:
        requested: Whether the signal has come.
        raising: Whether it shall also raise KeyboardInterrupt then, because user code runs.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None
        self._stop: Callable[[], None] | None = None
        self.raising = False
        self._raised_at = 0.0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            # None: a handler that was not set from Python and could not be restored.
            self._previous = signal.getsignal(signal.SIGINT)
            if self._previous is not None:
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # an inner guard's: what comes now repeats the same request
        self.requested = self.requested or isinstance(error, Interrupted)
        self._release()
        if self.requested and not isinstance(error, KeyboardInterrupt):
            raise Interrupted

    def hold(self, stop: Callable[[], None]) -> None:
        """From now on a signal calls ``stop`` instead of raising; one that has come does it now."""
        self._stop = stop
        if self.requested:
            stop()

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        if self._stop is None:
            self._release()
            raise Interrupted
        if first:
            self._stop()
        if self.raising and time.monotonic() - self._raised_at > GRACE:
            self._raised_at = time.monotonic()
            raise KeyboardInterrupt

    def _release(self) -> None:
        # A signal that comes while handlers change hands must not raise: `signal.signal` would
        # end before it has set anything.
        self._stop = self._stop or _nothing
        previous, self._previous = self._previous, None
        if previous is not None:
            _restore(previous, quietly=self.requested)


def _nothing() -> None:
    pass


def _restore(previous: Any, *, quietly: bool) -> None:
    """Set ``previous`` again; ``quietly``: once the cell has ended, until then mind repetitions.

    A second interrupt while IPython reports the first would leave the cell without an error,
    and ipykernel 6 without a reply.
    """
    shell = _shell() if quietly else None
    if shell is None:
        signal.signal(signal.SIGINT, previous)
        return
    until = time.monotonic() + GRACE

    def handle(signum: int, frame: FrameType | None) -> None:
        if time.monotonic() > until:
            restore()
            signal.raise_signal(signal.SIGINT)

    def restore() -> None:
        if signal.getsignal(signal.SIGINT) is handle:
            signal.signal(signal.SIGINT, previous)

    def at_end() -> None:
        shell.events.unregister("post_execute", at_end)
        restore()

    signal.signal(signal.SIGINT, handle)
    # A kernel sets its own handler again after each request, when the reply has been sent.
    if getattr(shell, "kernel", None) is None:
        shell.events.register("post_execute", at_end)


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None
