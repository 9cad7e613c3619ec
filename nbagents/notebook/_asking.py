"""Asking the person at the keyboard whether a call may run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbagents.loop import call_on_main

if TYPE_CHECKING:
    from nbagents.messages import FunctionCall
    from nbagents.tools import Tool

__all__ = ["ask_person"]

_YES = ("y", "yes")


async def ask_person(call: FunctionCall, tool: Tool) -> bool | None:
    """Show exactly what will run, and take ``y`` or ``yes`` for a yes; anything else is a no.

    Where nobody can answer (nbclient, papermill, a front end without input) it
    is None: nobody has said no.
    """
    from nbagents.messages._show import call_line

    try:
        answer = await call_on_main(input, f"Run {call_line(call)}? [y/N] ")
    except (EOFError, NotImplementedError, OSError, RuntimeError):
        return None
    return answer.strip().lower() in _YES
