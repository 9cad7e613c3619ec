"""Cancelling: the token by which a caller does it, and how it shows in a cell."""

from __future__ import annotations

import threading
from asyncio import CancelledError, Future
from collections.abc import Callable
from typing import Any

__all__ = ["CancellationToken", "shown_as"]


class CancellationToken:
    """Cancels the pending calls it was handed to, from any thread.

    Callbacks run outside the token's lock, once, in the order they were added; a callback may
    use the token again. What has ended is forgotten, so a token can live as long as a session.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._callbacks: dict[object, Callable[[], None]] = {}

    def cancel(self) -> None:
        """Cancel every pending call that holds this token. A second call does nothing."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        for callback in callbacks:
            callback()

    def is_cancelled(self) -> bool:
        """Whether `cancel` has been called."""
        return self._cancelled

    def add_callback(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` on cancellation, or at once if that has been.

        Returns:
            A function that takes the callback away again.
        """
        key = object()
        with self._lock:
            cancelled = self._cancelled
            if not cancelled:
                self._callbacks[key] = callback
        if cancelled:
            callback()
        return lambda: self._forget(key)

    def link_future(self, future: Future[Any]) -> Future[Any]:
        """Cancel ``future`` on cancellation, whichever thread that comes from."""
        loop = future.get_loop()

        def cancel() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(future.cancel)

        remove = self.add_callback(cancel)
        if not future.done():
            future.add_done_callback(lambda _: remove())
        return future

    def _forget(self, key: object) -> None:
        with self._lock:
            self._callbacks.pop(key, None)


def shown_as(error: CancelledError, message: str) -> None:
    """Have IPython show ``error`` as one line instead of the frames of the libraries below.

    The error stays the one that asyncio raised. IPython takes some two seconds to set the
    traceback of a request that the kernel's interrupt cancels.
    """
    if not hasattr(error, "_render_traceback_"):
        error.__dict__["_render_traceback_"] = lambda: [f"{type(error).__name__}: {message}"]
