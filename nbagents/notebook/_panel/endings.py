"""How a turn that did not go well is told."""

from __future__ import annotations

from asyncio import CancelledError

from nbagents.errors import ContentFilterError, IncompleteReplyError, NbAgentsError
from nbagents.notebook._description import first_line

__all__ = ["RETRY", "STOPPED", "status_of", "words_for"]

RETRY = " Retry asks again."
"""What is said last where the panel has a button for it."""
STOPPED = f"Stopped. The agent does not remember this exchange.{RETRY}"


def words_for(error: BaseException) -> str:
    """What went wrong, and what to do next, in words for the person."""
    if isinstance(error, NbAgentsError):
        return str(error)
    if isinstance(error, CancelledError | KeyboardInterrupt | GeneratorExit):
        return STOPPED
    return (
        f"{type(error).__name__}: {first_line(error)}; the traceback is in the log `nbagents`."
        f"{RETRY}"
    )


def status_of(error: BaseException | None) -> str:
    """The status of a reply that ended so."""
    kinds = {
        NbAgentsError: "failed",
        IncompleteReplyError: "incomplete",
        ContentFilterError: "filtered",
        CancelledError: "cancelled",
        KeyboardInterrupt: "cancelled",
        GeneratorExit: "cancelled",
    }
    if error is None:
        return "complete"
    return next((s for kind, s in reversed(kinds.items()) if isinstance(error, kind)), "failed")
