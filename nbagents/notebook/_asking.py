"""Asking the person at the keyboard whether a call may run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nbagents.loop import call_on_main

if TYPE_CHECKING:
    from nbagents.messages import FunctionCall
    from nbagents.tools import Tool

__all__ = ["ask_person"]

_YES = ("y", "yes")


async def ask_person(call: FunctionCall, tool: Tool) -> bool:
    """Show exactly what will run, and take ``y`` or ``yes`` for a yes; anything else is a no.

    Where nobody can answer (nbclient, papermill, a front end without input) it is a no.
    """
    try:
        answer = await call_on_main(input, f"Run {_shown(call)}? [y/N] ")
    except (EOFError, NotImplementedError, OSError, RuntimeError):
        return False
    return answer.strip().lower() in _YES


def _shown(call: FunctionCall) -> str:
    from nbagents.rendering import plain

    try:
        arguments = json.loads(call.arguments or "{}")
        inside = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    except (ValueError, AttributeError, RecursionError):
        inside = call.arguments
    # One line of plain text: what a model wrote must not move the cursor or hide a part.
    return " ".join(plain(f"{call.name}({inside})").split())
