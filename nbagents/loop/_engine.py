"""The private event loop, in a daemon thread: where chat cells, panels and `run` have their turns.

It goes on while a cell computes, and it is the same loop in every cell, so that connections
stay warm between them.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["Engine", "engine"]

T = TypeVar("T")
logger = logging.getLogger("nbagents")


class Engine:
    """An event loop in a thread of its own. The loop starts when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, running."""
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                loop.set_exception_handler(_log)
                thread = threading.Thread(target=_serve, args=(loop,), name="nbagents", daemon=True)
                thread.start()
                atexit.register(self.close)
                # Last: an interrupt on the way here must not leave a loop that does not run.
                self._loop, self._thread = loop, thread
            return self._loop

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in the loop's own thread."""
        return threading.current_thread() is self._thread

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run ``coroutine`` on the loop, with the caller's context variables; from any thread.

        Returns:
            The outcome to wait for, or to cancel.
        """
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call(
        self,
        function: Callable[..., object],
        *args: object,
        context: contextvars.Context | None = None,
    ) -> None:
        """Call ``function`` on the loop, soon; from any thread.

        Not at all when the interpreter ends: no thread begins then, and who waits for one hangs.
        """
        if not sys.is_finalizing():
            self.loop.call_soon_threadsafe(function, *args, context=context)

    def close(self, timeout: float = 1.0) -> None:
        """Cancel what runs, so that its connections are closed, and end the thread.

        Args:
            timeout: Seconds to wait for it.
        """
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        atexit.unregister(self.close)
        loop.call_soon_threadsafe(lambda: loop.create_task(_wind_up()))
        thread.join(timeout)


def engine() -> Engine:
    """Return the process's one engine; a forked process gets a new one."""
    return _current[-1]


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    while True:
        try:
            loop.run_forever()
            break
        except BaseException:  # SystemExit and KeyboardInterrupt of a task pass through the loop
            logger.info("A task ended the event loop; it goes on.", exc_info=True)
    loop.close()


async def _wind_up() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
    asyncio.get_running_loop().stop()


def _log(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # Below WARNING: what the last-resort handler prints would land in somebody's cell.
    logger.info(context["message"], exc_info=context.get("exception"))


# The engines of a process and of those it was forked from. The latter are kept: closing an
# inherited loop takes the parent's wake-up socket out of the selector they share.
_current = [Engine()]

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _current.append(Engine()))
