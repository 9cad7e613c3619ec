"""What the place where nbagents runs lends to the layers below it; a notebook lends both.

Attributes:
    ask_person: Asks whether a call (first argument) of a tool (second) may run; None means that
        nobody could be asked.
    call_synchronously: Calls a function where the user's own code runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["lend"]

ask_person: Callable[[Any, Any], Awaitable[bool | None]] | None = None
call_synchronously: Callable[[Callable[[], Any]], Awaitable[Any]] | None = None


def lend(
    *,
    ask: Callable[[Any, Any], Awaitable[bool | None]],
    call: Callable[[Callable[[], Any]], Awaitable[Any]],
) -> Callable[[], None]:
    """Lend both.

    Returns:
        A function that takes them back.
    """
    global ask_person, call_synchronously
    ask_person, call_synchronously = ask, call

    def take_back() -> None:
        global ask_person, call_synchronously
        if ask_person is ask:
            ask_person = call_synchronously = None

    return take_back
