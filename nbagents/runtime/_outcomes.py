"""What becomes of messages in the end: answers, errors, and the errors that nobody awaits."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

from nbagents.errors import UndeliverableException
from nbagents.runtime._deliveries import Delivery

__all__ = ["Outcomes"]

_log = logging.getLogger("nbagents.runtime")


class Outcomes:
    """Gives senders their answers, and shows the errors of published messages.

    Args:
        ignore_unhandled: Whether such errors are only logged; else the first halts the runtime.
        halt: Called with the reason when one does.

    Attributes:
        refusal: Why no message is taken; None while messages are.
    """

    def __init__(self, ignore_unhandled: bool, halt: Callable[[str], None]) -> None:
        self._ignore_unhandled = ignore_unhandled
        self._halt = halt
        self.unhandled: BaseException | None = None
        self.refusal: str | None = None

    def refuse(self) -> None:
        """Raise an `UndeliverableException` if no message is taken."""
        if self.refusal is not None:
            raise UndeliverableException(self.refusal) from self.unhandled

    def settle(self, delivery: Delivery, answer: Any, error: BaseException | None) -> None:
        """Give the sender the answer, or the error."""
        what = f"{delivery.recipient} failed with a {type(delivery.message).__name__}"
        if delivery.answer is None:
            withdrawn = delivery.token.is_cancelled()
            if error is not None and not (withdrawn and isinstance(error, CancelledError)):
                self.failed(error, f"{what} that was published")
        elif delivery.answer.done():
            if error is not None and not isinstance(error, CancelledError):
                _log.error("%s for whose answer nobody waits", what, exc_info=error)
        elif error is not None:
            delivery.fail(error)
        else:
            delivery.answer.set_result(answer)

    def failed(self, error: BaseException, what: str) -> None:
        """Show an error that no sender awaits."""
        _log.error("%s: %s", what, error, exc_info=error)
        if not self._ignore_unhandled and self.unhandled is None:
            self.unhandled = error
            self.refusal = (
                f"The runtime has halted: {what}. Await its stop() to see the error; then start "
                "it again."
            )
            self._halt(self.refusal)

    def take_unhandled(self) -> BaseException | None:
        """Return the error that has halted the runtime, which is forgotten then."""
        error, self.unhandled = self.unhandled, None
        if error is not None:
            self.refusal = None
        return error
