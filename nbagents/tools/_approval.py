"""Who is asked before a tool runs that changes something."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from nbagents import _hooks
from nbagents.messages import FunctionCall
from nbagents.tools._base import Tool

__all__ = ["NOBODY", "NOT_RUN", "Approve", "asking", "changes_something", "refusal_of"]

logger = logging.getLogger("nbagents")

NOT_RUN = "Not run: "
NOBODY = (
    f"{NOT_RUN}this tool changes something, and nobody can be asked here whether it may. "
    "The agent's author, or the tool's, can pass approve=."
)
_DENIED = f"{NOT_RUN}the person who was asked did not allow it."
_NOT_ASKED = f"{NOT_RUN}asking whether it may failed"

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


def changes_something(tool: Tool) -> bool:
    """Whether somebody's word is needed before it runs."""
    return bool(getattr(tool, "side_effects", False)) or _own(tool) is not None


async def refusal_of(
    call: FunctionCall,
    tool: Tool,
    approve: Approve | bool | None = None,
    *,
    on_asked: Callable[[], None] = lambda: None,
) -> str | None:
    """Why a call may not run, in a line for the model; None when it may.

    A tool's own ``approve`` comes before ``approve``. Without either, tools that are marked as
    having side effects need a person's word. Where asking fails, the failure is logged.
    """
    if not changes_something(tool):
        return None
    try:
        allowed = await _allowed(call, tool, approve, on_asked)
    except Exception as error:
        logger.exception("The function that says whether %s may run failed.", call.name)
        return f"{_NOT_ASKED} ({type(error).__name__})."
    if allowed is None:
        return NOBODY
    return None if allowed else _DENIED


def _own(tool: Tool) -> Any:
    return getattr(tool, "approve", None)


async def _allowed(
    call: FunctionCall, tool: Tool, approve: Approve | bool | None, on_asked: Callable[[], None]
) -> bool | None:
    """What somebody says; None when nobody can be asked."""
    own = _own(tool)
    asked = own if own is not None else approve
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
