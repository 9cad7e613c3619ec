"""Where functions run that block: where the caller or the notebook says, else in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from nbagents import _hooks

__all__ = ["SynchronousCaller", "as_failure", "call_synchronously", "synchronous_calls"]

SynchronousCaller: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls a function of no arguments somewhere, and gives its result: `asyncio.to_thread` is one."""

_caller: ContextVar[SynchronousCaller | None] = ContextVar("nbagents_caller", default=None)


@contextmanager
def synchronous_calls(caller: SynchronousCaller | None) -> Iterator[None]:
    """Have the synchronous tools that are run inside, and in tasks started inside, run there.

    Args:
        caller: For example `asyncio.to_thread`, the default outside notebooks, or one that hands
            over to the main thread, where the user's objects live. None changes nothing.
    """
    token = _caller.set(caller or _caller.get())
    try:
        yield
    finally:
        _caller.reset(token)


async def call_synchronously(function: Callable[[], Any]) -> Any:
    """Call ``function`` where synchronous tools run, and return what it returned."""

    def guarded() -> Any:
        try:
            return function()
        except (StopIteration, SystemExit) as error:
            raise as_failure(error) from error

    return await (_caller.get() or _hooks.call_synchronously or asyncio.to_thread)(guarded)


def as_failure(error: BaseException) -> RuntimeError:
    """An ordinary error for what would do harm on its way through an event loop.

    No future can carry a StopIteration, so that whoever waits for it would wait for ever, and
    SystemExit ends the loop, with all that runs on it.
    """
    return RuntimeError(f"{type(error).__name__}({error}) was raised")
