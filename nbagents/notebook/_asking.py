"""Asking the person at the keyboard whether a call may run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbagents.loop import call_on_main

if TYPE_CHECKING:
    from nbagents.messages import FunctionCall
    from nbagents.tools import Tool

__all__ = ["ask_person"]

_YES = ("y", "yes")
_LONG = 300  # characters; some three lines


async def ask_person(call: FunctionCall, tool: Tool) -> bool | None:
    """Show exactly what will run, and take ``y`` or ``yes`` for a yes; anything else is a no.

    Where nobody can answer (nbclient, papermill, a front end without input) it
    is None: nobody has said no.
    """
    try:
        answer = await call_on_main(input, _question(call))
    except (EOFError, NotImplementedError, OSError, RuntimeError):
        return None
    return answer.strip().lower() in _YES


def _question(call: FunctionCall) -> str:
    """The call whole; a long one once more in brief below, where the eye is that answers."""
    from nbagents.messages._show import arguments_text, call_brief, call_line

    line = call_line(call)
    if len(line) > _LONG:
        line = f"this?\n{arguments_text(call)}\n{call_brief(call)}"
    return f"Run {line}? [y/N] "
