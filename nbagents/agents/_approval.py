"""Who is asked before a tool runs that changes something."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from nbagents import _hooks
from nbagents.messages import FunctionCall
from nbagents.tools import Tool

__all__ = ["Approve", "approved", "asking"]

Approve: TypeAlias = Callable[[FunctionCall, Tool], bool | Awaitable[bool]]
"""Says whether a call may run; it is shown exactly what will run."""

_asker: ContextVar[Approve | None] = ContextVar("nbagents_asker", default=None)


@contextmanager
def asking(asker: Approve) -> Iterator[None]:
    """Let ``asker`` ask the person for turns that are started inside."""
    token = _asker.set(asker)
    try:
        yield
    finally:
        _asker.reset(token)


async def approved(
    call: FunctionCall,
    tool: Tool,
    approve: Approve | bool | None,
    *,
    on_asked: Callable[[], None] = lambda: None,
) -> bool | None:
    """Whether a call may run; None when somebody should be asked and nobody can.

    A tool's own ``approve`` comes before the agent's. Without either, tools that are marked as
    having side effects need a person's word.
    """
    own = getattr(tool, "approve", None)
    asked = own if own is not None else approve
    if own is None and not getattr(tool, "side_effects", False):
        return True
    if isinstance(asked, bool):
        return asked
    asked = asked or _asker.get() or _hooks.ask_person
    if asked is None:
        return None
    on_asked()
    answer: Any = asked(call, tool)
    if inspect.isawaitable(answer):
        answer = await answer
    if answer is None and asked is _hooks.ask_person:
        return None
    # Nothing but True is a yes: "no", which a person may have typed, would count as one.
    return answer is True
