"""The queue of a runtime: what is taken from it when, and what has become of each message."""

from __future__ import annotations

import asyncio
import logging
import uuid
from asyncio import AbstractEventLoop, CancelledError, Task
from collections import OrderedDict
from collections.abc import Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from threading import RLock
from typing import Any

from nbagents._cancellation import CancellationToken
from nbagents.errors import (
    MessageDroppedException,
    RuntimeStateError,
    UndeliverableException,
)
from nbagents.runtime._deliveries import Delivery, Envelope, Publication, current
from nbagents.runtime._handling import Handling
from nbagents.runtime._identity import AgentId, TopicId
from nbagents.runtime._intervention import InterventionHandler, intervened
from nbagents.runtime._message_context import MessageContext
from nbagents.runtime._registry import Registry
from nbagents.runtime._topics import Topics
from nbagents.runtime._tracing import MessageTracer
from nbagents.runtime._watch import Watch

__all__ = ["Dispatcher"]

_log = logging.getLogger("nbagents.runtime")
_intervening: ContextVar[bool] = ContextVar("nbagents_intervening", default=False)


class Dispatcher:
    """Takes messages and gives them to agents, in the order in which they came.

    Messages are handed out while the runtime is started, and while somebody waits for an
    answer, so that nobody waits for ever. Meanwhile they lie in the queue.
    """

    def __init__(
        self,
        registry: Registry,
        topics: Topics,
        interventions: Sequence[InterventionHandler],
        tracer: MessageTracer | None,
        ignore_unhandled: bool,
    ) -> None:
        self._registry = registry
        self._topics = topics
        self._interventions = interventions
        self._ignore_unhandled = ignore_unhandled
        self.lock = RLock()
        self.loop: AbstractEventLoop | None = None
        self.watch = Watch()
        self.handling = Handling(registry, interventions, tracer, self.lock, self._handled)
        self.started = False
        self._started_on: AbstractEventLoop | None = None
        self.refusal: str | None = None
        self._unhandled: BaseException | None = None
        self._queue: OrderedDict[Envelope, None] = OrderedDict()
        self._requests: set[Delivery] = set()
        self._seeing: dict[Task[Any], Envelope] = {}
        self._turnstile: Task[Any] | None = None
        self._excused: list[set[Delivery]] = []
        self.chores: set[Task[None]] = set()

    # Where it runs

    def enter(self, loop: AbstractEventLoop) -> bool:
        """Whether the runtime is at home on ``loop``; with nothing under way it moves there.

        Raises:
            RuntimeStateError: What is under way belongs to a loop that stands still.
        """
        if self.loop is loop:
            return True
        if self.loop is not None and self.loop.is_closed():
            self._forget()
        elif self.loop is not None and not self._is_vacant():
            if self.loop.is_running():
                return False
            raise RuntimeStateError(
                "The runtime has messages under way on another event loop, which is not running; "
                "run that loop, or make another runtime."
            )
        self.loop = loop
        return True

    def _is_vacant(self) -> bool:
        under_way = self._requests or self.handling.active or self.handling.waiting or self._seeing
        return not (under_way or self.watch or self._registry.busy)

    def _forget(self) -> None:
        """Give up what was under way on a closed loop; what was published and queued stays."""
        self.started = self.started and not (self._started_on and self._started_on.is_closed())
        self.refusal, self._turnstile = None, None
        for delivery in self._requests:
            self._queue.pop(delivery, None)
        self._requests.clear()
        self._seeing.clear()
        self._excused.clear()
        self.watch.clear()
        self.handling.forget()
        self._registry.forget_making()

    # What comes in

    def request(
        self,
        message: Any,
        recipient: AgentId,
        sender: AgentId | None,
        token: CancellationToken | None,
        message_id: str | None,
    ) -> Delivery:
        """Take a message to one agent; its ``answer`` is to be awaited.

        Raises:
            UndeliverableException: There is no such agent, or the runtime is stopping.
        """
        assert self.loop is not None
        if not self._registry.knows(recipient):
            raise UndeliverableException(f"There is no agent {recipient}. {self._registry.hint()}")
        if self.refusal is not None:
            raise UndeliverableException(self.refusal) from self._unhandled
        parent = current.get()
        delivery = Delivery(
            message,
            recipient,
            _context(sender, None, CancellationToken(), message_id),
            copy_context(),
            self.loop.create_future(),
            parent if parent is not None and not parent.ended else None,
        )
        self._link(delivery, token)
        if not delivery.ended:
            self._requests.add(delivery)
            self._accept(delivery)
        return delivery

    def publish(
        self,
        message: Any,
        topic: TopicId,
        sender: AgentId | None,
        token: CancellationToken | None,
        message_id: str | None,
    ) -> None:
        """Take a message for all that subscribe to a topic."""
        if self.refusal is not None:
            _log.info("A message to %s is discarded. %s", topic, self.refusal)
            return
        context = _context(sender, topic, token or CancellationToken(), message_id)
        self._accept(Publication(message, topic, context, copy_context()))

    @property
    def unprocessed(self) -> int:
        """How many messages no handler has begun with."""
        return len(self._queue) + len(self._seeing) + self.handling.waiting

    def _accept(self, envelope: Envelope) -> None:
        if _intervening.get():
            # The queue stands still until the intervention handler has its answer.
            self._see(envelope)
        elif self._queue or self._turnstile or not self._is_serving():
            self._queue[envelope] = None
            self.pump()
            self.watch.changed()
        else:
            self._take(envelope)

    def _is_serving(self) -> bool:
        return self.started or bool(self._requests)

    def pump(self) -> None:
        """Hand out what is queued, unless nobody asks for it or an intervention is awaited."""
        while self._queue and self._turnstile is None and self._is_serving():
            self._take(self._queue.popitem(last=False)[0])

    async def step(self) -> None:
        """Hand out the next message that is queued; wait a moment for one if there is none."""
        if not self._queue:
            await self.watch.change(0.1)
        if self._queue and self._turnstile is None:
            self._take(self._queue.popitem(last=False)[0])
        if self._turnstile is not None:
            await asyncio.wait([self._turnstile])
        # One pass of the loop for a handler that waits for nothing, and one for its end.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _take(self, envelope: Envelope) -> None:
        if self._interventions:
            self._turnstile = self._see(envelope)
        else:
            self._hand_out(envelope)

    def _hand_out(self, envelope: Envelope) -> None:
        assert self.loop is not None
        if isinstance(envelope, Delivery):
            self.handling.line_up(envelope, self.loop)
            return
        try:
            recipients = self._topics.recipients(envelope.topic)
        except Exception as error:  # noqa: BLE001 - subscriptions are other people's code
            self._failed(error, f"A subscription failed for the topic {envelope.topic}")
            return
        for recipient in recipients:
            if recipient != envelope.context.sender:
                self._hand_to(recipient, envelope)

    def _hand_to(self, recipient: AgentId, published: Publication) -> None:
        assert self.loop is not None
        given = published.context
        context = _context(given.sender, given.topic_id, CancellationToken(), given.message_id)
        delivery = Delivery(published.message, recipient, context, published.variables.copy())
        self._link(delivery, given.cancellation_token)
        if not delivery.ended:
            self.handling.line_up(delivery, self.loop)

    # Interventions

    def _see(self, envelope: Envelope) -> Task[Any]:
        assert self.loop is not None
        variables = envelope.variables.copy()
        task = self.loop.create_task(self._shown(envelope), context=variables)
        self._seeing[task] = envelope
        if isinstance(envelope, Delivery):
            envelope.task = task
        task.add_done_callback(partial(self._seen, envelope))
        return task

    async def _shown(self, envelope: Envelope) -> Any:
        _intervening.set(True)
        message, context = envelope.message, envelope.context
        for one in self._interventions:
            if isinstance(envelope, Delivery):
                name, to = "on_send", envelope.recipient
                change = one.on_send(message, message_context=context, recipient=to)
            else:
                name = "on_publish"
                change = one.on_publish(message, message_context=context)
            message = await intervened(change, message, f"{type(one).__name__}.{name}")
        return message

    def _seen(self, envelope: Envelope, task: Task[Any]) -> None:
        with self.lock:
            self._seeing.pop(task, None)
            if self._turnstile is task:
                self._turnstile = None
            error = _error_of(task)
            if error is None:
                envelope.message = task.result()
            if isinstance(envelope, Delivery):
                self._request_seen(envelope, error)
            elif error is None and self.refusal is None:
                self._hand_out(envelope)
            elif isinstance(error, MessageDroppedException):
                _log.info("%s", error)
            elif error is not None and not isinstance(error, CancelledError):
                self._failed(error, f"An intervention handler failed for {envelope.topic}")
            self.pump()
            self.watch.changed()

    def _request_seen(self, delivery: Delivery, error: BaseException | None) -> None:
        delivery.task = None
        if delivery.ended:
            self._requests.discard(delivery)
        elif error is None:
            self._hand_out(delivery)
        else:
            delivery.end()
            self._handled(delivery, None, error)

    # How it ends

    def _handled(self, delivery: Delivery, answer: Any, error: BaseException | None) -> None:
        self._requests.discard(delivery)
        what = f"{delivery.recipient} failed with a {type(delivery.message).__name__}"
        if delivery.answer is None:
            withdrawn = delivery.context.cancellation_token.is_cancelled()
            if error is not None and not (withdrawn and isinstance(error, CancelledError)):
                self._failed(error, f"{what} that was published")
        elif delivery.answer.done():
            if error is not None and not isinstance(error, CancelledError):
                _log.error("%s for whose answer nobody waits", what, exc_info=error)
        elif error is not None:
            _raise_in(delivery, error)
        else:
            delivery.answer.set_result(answer)
        self.watch.changed()

    def _failed(self, error: BaseException, what: str) -> None:
        _log.error("%s: %s", what, error, exc_info=error)
        if not self._ignore_unhandled and self._unhandled is None:
            self._unhandled = error
            self.refusal = (
                f"The runtime has halted: {what}. Await its stop() to see the error; then start "
                "it again."
            )
            self.discard(self.refusal)

    def raise_unhandled(self) -> None:
        """Raise the error that has halted the runtime, if one has; it can be used again."""
        error, self._unhandled = self._unhandled, None
        if error is not None:
            self.started, self.refusal = False, None
            raise error

    def _link(self, delivery: Delivery, token: CancellationToken | None) -> None:
        own = delivery.context.cancellation_token
        own.add_callback(partial(self._withdraw_soon, delivery))
        if token is not None:
            delivery.unlink = token.add_callback(own.cancel)

    def _withdraw_soon(self, delivery: Delivery) -> None:
        if delivery.ended or self.loop is None or self.loop.is_closed():
            return
        try:
            here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            here = False
        if here:
            self._withdraw(delivery)
        else:
            self.loop.call_soon_threadsafe(self._withdraw, delivery)

    def _withdraw(self, delivery: Delivery) -> None:
        """Stop what is being done about a delivery: nobody waits for it any longer."""
        with self.lock:
            if delivery.ended:
                return
            if delivery.answer is not None:
                delivery.answer.cancel()
            if delivery.task is not None:
                delivery.task.cancel()
                return
            self._drop(delivery)

    def _drop(self, delivery: Delivery) -> None:
        self._queue.pop(delivery, None)
        self.handling.leave(delivery)
        self._requests.discard(delivery)
        delivery.end()
        self.watch.changed()

    def discard(self, why: str, kind: str | None = None) -> None:
        """Fail what no handler has begun with; of one agent type only, if ``kind`` is given."""
        unbegun = [*self._queue, *self._seeing.values(), *self.handling.in_line()]
        for envelope in unbegun:
            if isinstance(envelope, Delivery):
                if kind is None or envelope.recipient.type == kind:
                    self._discard(envelope, why)
            elif kind is None:
                self._queue.pop(envelope, None)
                _log.info("A message to %s is discarded. %s", envelope.topic, why)
        if kind is None:
            for task in self._seeing:
                task.cancel()

    def _discard(self, delivery: Delivery, why: str) -> None:
        _raise_in(delivery, UndeliverableException(why))
        if delivery.task is not None:
            delivery.task.cancel()
        self._drop(delivery)

    # Starting and stopping

    def start(self) -> None:
        """Hand out messages from now on.

        Raises:
            RuntimeStateError: The runtime is being stopped.
        """
        if self.refusal is not None:
            raise RuntimeStateError(f"{self.refusal} It cannot be started now.")
        self.started, self._started_on = True, self.loop
        self.pump()

    def require_started(self) -> None:
        """Raise a `RuntimeStateError` unless the runtime is started, or halted by an error."""
        if not self.started and self._unhandled is None:
            raise RuntimeStateError("The runtime is not started; there is nothing to stop.")

    def is_running(self) -> bool:
        """Whether it is started, and no error has halted it."""
        return self.started and self._unhandled is None

    def is_idle(self) -> bool:
        """Whether nothing is queued or handled, but for the handlers that wait for just that."""
        if self.unprocessed:
            return False
        return all(any(one in own for own in self._excused) for one in self.handling.active)

    async def until_idle(self) -> None:
        """Wait until nothing is queued or handled; a handler does not wait for itself."""
        here = current.get()
        own = here.chain() if here is not None else set()
        self._excused.append(own)
        self.watch.changed()
        try:
            await self.watch.until(self.is_idle)
        finally:
            if own in self._excused:
                self._excused.remove(own)

    async def halt(self, why: str, *, cancel: bool = False) -> None:
        """Discard what is queued, and wait for, or cancel, what is handled."""
        self.started, self.refusal = False, why
        self.discard(why)
        if cancel:
            here = current.get()
            for delivery in self.handling.active - (here.chain() if here else set()):
                _raise_in(delivery, UndeliverableException(why))
                delivery.context.cancellation_token.cancel()
        try:
            await self.until_idle()
            # A handler that stops the runtime would wait for its own agent to be done.
            while self.chores and current.get() is None:
                await asyncio.wait(self.chores)
        finally:
            self.refusal = None


def _context(
    sender: AgentId | None,
    topic: TopicId | None,
    token: CancellationToken,
    message_id: str | None,
) -> MessageContext:
    return MessageContext(sender, topic, topic is None, token, message_id or str(uuid.uuid4()))


def _error_of(task: Task[Any]) -> BaseException | None:
    try:
        return task.exception()
    except CancelledError as cancelled:
        return cancelled


def _raise_in(delivery: Delivery, error: BaseException) -> None:
    if delivery.answer is not None and not delivery.answer.done():
        delivery.answer.set_exception(error)
        # A sender that is cancelled at this moment does not come for it, and that is no news.
        delivery.answer.exception()
