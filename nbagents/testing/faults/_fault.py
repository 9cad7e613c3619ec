"""What a way to misbehave is: what is sent, and what a client is to make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nbagents.testing._script import ScriptedReply

__all__ = ["Deadline", "Fault", "Group", "Outcome"]

Group = Literal["legal", "broken", "status"]
Deadline = Literal["", "first_byte", "silence"]


@dataclass(frozen=True)
class Outcome:
    """How a reply has to end, whichever way it was asked for.

    Attributes:
        text: What the reader gets to see of the reply: its text, or what had come of it before
            the error (the error's ``partial``).
        status: ``complete``, ``refused`` or ``filtered``; it does not count beside ``error``.
        finish_reason: The result's.
        thought: The reasoning; with function calls, the text beside them as well.
        refusal: The words of a refusal.
        calls: Id, name and arguments of each function call.
        usage: Tokens read and written, as the server reported them; None when it did not, so
            that they are estimated.
        error: The name of the error's class; empty for a result.
        retryable: Whether the error says that the same request may succeed later.
        status_code: The error's HTTP status.
        retry_after: The seconds that the error says to wait.
        says: A piece of the error's message.
    """

    text: str = ""
    status: Literal["complete", "refused", "filtered"] = "complete"
    finish_reason: str = "stop"
    thought: str | None = None
    refusal: str | None = None
    calls: tuple[tuple[str, str, str], ...] = ()
    usage: tuple[int, int] | None = None
    error: str = ""
    retryable: bool = False
    status_code: int | None = None
    retry_after: float | None = None
    says: str = ""


@dataclass(frozen=True)
class Fault:
    """One named way in which a server misbehaves, or behaves well in an unusual way.

    Attributes:
        name: Its name.
        group: ``"legal"`` streams that are unusual, ``"broken"`` ones, or a ``"status"``.
        what: What the server does, in one line.
        replies: What it answers to the requests that follow, one each.
        wanted: How the request has to end, by ``create`` and by ``create_stream``.
        turn: How the turn of an agent without tools has to end, which asks once more after
            function calls; None when it ends as the request does.
        deadline: Which of the client's deadlines ends the wait; empty when none does.
        retries: How often the client has to ask again by itself.
    """

    name: str
    group: Group
    what: str
    replies: Sequence[ScriptedReply]
    wanted: Outcome
    turn: Outcome | None = None
    deadline: Deadline = ""
    retries: int = 0
