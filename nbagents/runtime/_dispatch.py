"""The queue of a runtime: what is taken from it when, and what has become of each message."""

from __future__ import annotations

import asyncio
import logging
from asyncio import AbstractEventLoop, CancelledError, Task
from collections import OrderedDict
from collections.abc import Sequence
from contextvars import copy_context
from threading import RLock
from typing import Any

from nbagents._cancellation import CancellationToken
from nbagents.errors import (
    MessageDroppedException,
    RuntimeStateError,
    UndeliverableException,
)
from nbagents.runtime._deliveries import Delivery, DeliveryToken, Envelope, Publication, current
from nbagents.runtime._handling import Handling
from nbagents.runtime._identity import AgentId, TopicId
from nbagents.runtime._idleness import Idleness
from nbagents.runtime._intervention import InterventionHandler
from nbagents.runtime._message_context import context_of
from nbagents.runtime._outcomes import Outcomes
from nbagents.runtime._registry import Registry
from nbagents.runtime._topics import Topics
from nbagents.runtime._tracing import MessageTracer
from nbagents.runtime._turnstile import Turnstile
from nbagents.runtime._watch import Watch

__all__ = ["Dispatcher"]

_log = logging.getLogger("nbagents.runtime")


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
        self.lock = RLock()
        self.loop: AbstractEventLoop | None = None
        self.watch = Watch()
        self.outcomes = Outcomes(ignore_unhandled, self.discard)
        self._turnstile = Turnstile(interventions, self._passed)
        self.handling = Handling(registry, self._turnstile, tracer, self.lock, self._ended)
        self.started = False
        self._started_on: AbstractEventLoop | None = None
        self._queue: OrderedDict[Envelope, None] = OrderedDict()
        self._requests: set[Delivery] = set()
        self.idleness = Idleness(self.watch, self.handling, lambda: self.unprocessed)
        self.chores: set[Task[None]] = set()

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
        under_way = self._requests or self.handling.active or self.handling.waiting
        return not (under_way or self._turnstile.inside or self.watch or self._registry.busy)

    def _forget(self) -> None:
        """Give up what was under way on a closed loop; what was published and queued stays."""
        self.started = self.started and not (self._started_on and self._started_on.is_closed())
        self.outcomes.refusal = None
        for delivery in self._requests:
            self._queue.pop(delivery, None)
        self._requests.clear()
        self._turnstile.forget()
        self.idleness.forget()
        self.watch.clear()
        self.handling.forget()
        self._registry.forget_making()

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
        self.outcomes.refuse()
        own = DeliveryToken(self._withdraw_soon)
        delivery = Delivery(
            message,
            recipient,
            context_of(sender, None, own, message_id),
            own,
            copy_context(),
            self.loop.create_future(),
            current.get(),
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
        if self.outcomes.refusal is not None:
            _log.info("A message to %s is discarded. %s", topic, self.outcomes.refusal)
            return
        if token is None and self._turnstile.handlers:
            token = CancellationToken()  # an intervention handler may use it
        context = context_of(sender, topic, token or CancellationToken(), message_id)
        self._accept(Publication(message, topic, context, copy_context(), token))

    @property
    def unprocessed(self) -> int:
        """How many messages no handler has begun with."""
        return len(self._queue) + len(self._turnstile.inside) + self.handling.waiting

    def _accept(self, envelope: Envelope) -> None:
        assert self.loop is not None
        if self._turnstile.is_asked_from_inside():
            # The queue stands still until the intervention handler has its answer.
            self._turnstile.show(envelope, self.loop)
        elif self._queue or self._turnstile.turning or not self._is_serving():
            self._queue[envelope] = None
            self.pump()
            self.watch.changed()
        else:
            self._take(envelope)

    def _is_serving(self) -> bool:
        return self.started or bool(self._requests)

    def pump(self) -> None:
        """Hand out what is queued, unless nobody asks for it or an intervention is awaited."""
        while self._queue and self._turnstile.turning is None and self._is_serving():
            self._take(self._queue.popitem(last=False)[0])

    async def step(self) -> None:
        """Hand out the next message that is queued; wait a moment for one if there is none."""
        if not self._queue:
            await self.watch.change(0.1)
        if self._queue and self._turnstile.turning is None:
            self._take(self._queue.popitem(last=False)[0])
        if self._turnstile.turning is not None:
            await asyncio.wait([self._turnstile.turning])
        # One pass of the loop for a handler that waits for nothing, and one for its end.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _take(self, envelope: Envelope) -> None:
        assert self.loop is not None
        if self._turnstile.handlers:
            self._turnstile.enter(envelope, self.loop)
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
            self.outcomes.failed(error, f"A subscription failed for the topic {envelope.topic}")
            return
        for recipient in recipients:
            if recipient != envelope.context.sender:
                self._hand_to(recipient, envelope)

    def _hand_to(self, recipient: AgentId, published: Publication) -> None:
        assert self.loop is not None
        given = published.context
        own = DeliveryToken(self._withdraw_soon)
        context = context_of(given.sender, given.topic_id, own, given.message_id)
        variables = published.variables.copy()
        delivery = Delivery(published.message, recipient, context, own, variables)
        self._link(delivery, published.token)
        if not delivery.ended:
            self.handling.line_up(delivery, self.loop)

    def _passed(self, envelope: Envelope, error: BaseException | None) -> None:
        """Go on with a message that the intervention handlers have seen."""
        with self.lock:
            if isinstance(envelope, Delivery):
                if envelope.ended:
                    self._requests.discard(envelope)
                elif error is None:
                    self._hand_out(envelope)
                else:
                    envelope.end()
                    self._ended(envelope, None, error)
            elif error is None and self.outcomes.refusal is None:
                self._hand_out(envelope)
            elif isinstance(error, MessageDroppedException):
                _log.info("%s", error)
            elif error is not None and not isinstance(error, CancelledError):
                what = f"An intervention handler failed for {envelope.topic}"
                self.outcomes.failed(error, what)
            self.pump()
            self.watch.changed()

    def _ended(self, delivery: Delivery, answer: Any, error: BaseException | None) -> None:
        self._requests.discard(delivery)
        self.outcomes.settle(delivery, answer, error)
        self.watch.changed()

    def raise_unhandled(self) -> None:
        """Raise the error that has halted the runtime, if one has; it can be used again."""
        error = self.outcomes.take_unhandled()
        if error is not None:
            self.started = False
            raise error

    def _link(self, delivery: Delivery, token: CancellationToken | None) -> None:
        if token is not None:
            delivery.unlink = token.add_callback(delivery.token.cancel)

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
        unbegun = [*self._queue, *self._turnstile.inside.values(), *self.handling.in_line()]
        for envelope in unbegun:
            if isinstance(envelope, Delivery):
                if kind is None or envelope.recipient.type == kind:
                    self._discard(envelope, why)
            elif kind is None:
                self._queue.pop(envelope, None)
                _log.info("A message to %s is discarded. %s", envelope.topic, why)
        if kind is None:
            self._turnstile.empty()

    def _discard(self, delivery: Delivery, why: str) -> None:
        delivery.fail(UndeliverableException(why))
        if delivery.task is not None:
            delivery.task.cancel()
        self._drop(delivery)

    def start(self) -> None:
        """Hand out messages from now on.

        Raises:
            RuntimeStateError: The runtime is being stopped.
        """
        if self.outcomes.refusal is not None:
            raise RuntimeStateError(f"{self.outcomes.refusal} It cannot be started now.")
        self.started, self._started_on = True, self.loop
        self.pump()

    def require_started(self) -> None:
        """Raise a `RuntimeStateError` unless the runtime is started, or halted by an error."""
        if not self.started and self.outcomes.unhandled is None:
            raise RuntimeStateError("The runtime is not started; there is nothing to stop.")

    def is_running(self) -> bool:
        """Whether it is started, and no error has halted it."""
        return self.started and self.outcomes.unhandled is None

    async def halt(self, why: str, *, cancel: bool = False) -> None:
        """Discard what is queued, and wait for, or cancel, what is handled."""
        self.started, self.outcomes.refusal = False, why
        self.discard(why)
        if cancel:
            here = current.get()
            for delivery in self.handling.active - (here.chain() if here else set()):
                delivery.fail(UndeliverableException(why))
                delivery.token.cancel()
        try:
            await self.idleness.reached()
            # A handler that stops the runtime would wait for its own agent to be done.
            while self.chores and current.get() is None:
                await asyncio.wait(self.chores)
        finally:
            self.outcomes.refusal = None
