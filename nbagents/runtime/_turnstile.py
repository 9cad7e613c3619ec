"""Where messages pass the intervention handlers, one by one."""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

from nbagents.runtime._deliveries import Delivery, Envelope
from nbagents.runtime._intervention import InterventionHandler, intervened

__all__ = ["Turnstile", "error_of"]

_inside: ContextVar[bool] = ContextVar("nbagents_inside_intervention", default=False)


class Turnstile:
    """Shows messages to the intervention handlers.

    The queue waits for the message that is in the turnstile, so that slow handlers do not
    change the order. What the handlers themselves send passes beside it.

    Args:
        handlers: The chain of handlers.
        passed: Told of each message that has passed, or the error; the message is changed.
    """

    def __init__(
        self,
        handlers: Sequence[InterventionHandler],
        passed: Callable[[Envelope, BaseException | None], None],
    ) -> None:
        self.handlers = handlers
        self._passed = passed
        self.inside: dict[Task[Any], Envelope] = {}
        self.turning: Task[Any] | None = None

    def enter(self, envelope: Envelope, loop: AbstractEventLoop) -> None:
        """Show a message to the handlers; until it has passed, the queue waits."""
        self.turning = self.show(envelope, loop)

    def show(self, envelope: Envelope, loop: AbstractEventLoop) -> Task[Any]:
        """Show a message to the handlers, beside others."""
        assert envelope.variables is not None
        task = loop.create_task(self._shown(envelope), context=envelope.variables.copy())
        self.inside[task] = envelope
        if isinstance(envelope, Delivery):
            envelope.task = task
        task.add_done_callback(partial(self._done, envelope))
        return task

    def is_asked_from_inside(self) -> bool:
        """Whether an intervention handler is what is running."""
        return bool(self.handlers) and _inside.get()

    async def answer(self, delivery: Delivery, answer: Any) -> Any:
        """Show the answer of an agent to the handlers, and return what becomes of it."""
        sender, recipient = delivery.recipient, delivery.context.sender
        for one in self.handlers:
            change = one.on_response(answer, sender=sender, recipient=recipient)
            answer = await intervened(change, answer, f"{type(one).__name__}.on_response")
        return answer

    def empty(self) -> None:
        """Cancel what the handlers are doing."""
        for task in self.inside:
            task.cancel()

    def forget(self) -> None:
        """Give up what was inside on an event loop that is gone."""
        self.inside.clear()
        self.turning = None

    async def _shown(self, envelope: Envelope) -> Any:
        _inside.set(True)
        message, context = envelope.message, envelope.context
        for one in self.handlers:
            if isinstance(envelope, Delivery):
                name, to = "on_send", envelope.recipient
                change = one.on_send(message, message_context=context, recipient=to)
            else:
                name = "on_publish"
                change = one.on_publish(message, message_context=context)
            message = await intervened(change, message, f"{type(one).__name__}.{name}")
        return message

    def _done(self, envelope: Envelope, task: Task[Any]) -> None:
        self.inside.pop(task, None)
        if self.turning is task:
            self.turning = None
        if isinstance(envelope, Delivery):
            envelope.task = None
        error = error_of(task)
        if error is None:
            envelope.message = task.result()
        self._passed(envelope, error)


def error_of(task: Task[Any]) -> BaseException | None:
    """Return what a task that has ended raised, cancellation too."""
    try:
        return task.exception()
    except CancelledError as cancelled:
        return cancelled
