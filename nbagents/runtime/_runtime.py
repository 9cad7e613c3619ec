"""The runtime: where agents live, and what carries messages between them."""

from __future__ import annotations

import asyncio
import uuid
from asyncio import CancelledError
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbagents._cancellation import CancellationToken, shown_as
from nbagents.errors import RuntimeStateError
from nbagents.runtime._deliveries import Delivery
from nbagents.runtime._dispatch import Dispatcher
from nbagents.runtime._hosting import AgentHost
from nbagents.runtime._identity import AgentId, TopicId
from nbagents.runtime._intervention import InterventionHandler
from nbagents.runtime._registry import Registry
from nbagents.runtime._topics import Topics
from nbagents.runtime._tracing import tracer_for

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

__all__ = ["SingleThreadedAgentRuntime"]

# How often `stop_when` looks, beside after every message.
_CHECK_SECONDS = 0.1


class SingleThreadedAgentRuntime(AgentHost):
    """Carries messages between agents within one process.

    Messages are handed out in the order in which they came; agents handle them side by side,
    each agent one at a time (see `BaseAgent`). Nobody waits for ever: a request is answered
    whether the runtime is started or not, and fails with `UndeliverableException` if the
    runtime is stopped before its turn comes. Published messages wait for `start`,
    `process_next`, or a request. A sender that is cancelled, by its task or by its token,
    cancels the handler.

    What an agent raises goes to the sender. Errors in the handling of published messages are
    logged.

    Any event loop may use the runtime, one after the other; while messages are under way,
    calls from other threads' loops are handed over to the loop of those messages.

    Args:
        intervention_handlers: A chain of handlers that see every message on its way.
        tracer_provider: Makes OpenTelemetry spans of messages; by default the process's own,
            if OpenTelemetry is in use.
        ignore_unhandled_exceptions: False halts the runtime at the first error in the handling
            of a published message; `stop`, `stop_when_idle`, `stop_when` or `process_next`
            raises it.
    """

    def __init__(
        self,
        *,
        intervention_handlers: list[InterventionHandler] | None = None,
        tracer_provider: TracerProvider | None = None,
        ignore_unhandled_exceptions: bool = True,
    ) -> None:
        self._registry = Registry(self)
        self._topics = Topics()
        self._tracer = tracer_for(tracer_provider)
        self._dispatcher = Dispatcher(
            self._registry,
            self._topics,
            tuple(intervention_handlers or ()),
            self._tracer,
            ignore_unhandled_exceptions,
        )

    @property
    def unprocessed_messages_count(self) -> int:
        """How many messages no agent has begun to handle."""
        return self._dispatcher.unprocessed

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send a message to one agent and return its answer.

        Args:
            message: The message: an object of any type that the agent has a handler for.
            recipient: The agent; made now, if it is the first message for it.
            sender: The agent that sends it; None from outside.
            cancellation_token: Cancels the wait, and the handler.
            message_id: The message's own name; by default a new one.

        Raises:
            UndeliverableException: There is no such agent, or the runtime was stopped first.
            MessageDroppedException: An intervention handler dropped it, or the answer.
            Exception: Whatever the handler raised.
        """
        message_id = message_id or str(uuid.uuid4())
        arguments = (message, recipient, sender, cancellation_token, message_id)
        if self._tracer is None:
            return await self._send(*arguments)
        with self._tracer.span("send", recipient, message, message_id):
            return await self._send(*arguments)

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> None:
        """Give a message to all agents that subscribe to the topic, but for the sender.

        Returns at once; what the handlers return goes nowhere.

        Args:
            message: The message: an object of any type that the agents have handlers for.
            topic_id: The topic.
            sender: The agent that publishes it; None from outside.
            cancellation_token: Cancels the handlers.
            message_id: The message's own name; by default a new one.
        """
        message_id = message_id or str(uuid.uuid4())
        arguments = (message, topic_id, sender, cancellation_token, message_id)
        if self._tracer is None:
            await self._publish(*arguments)
            return
        with self._tracer.span("publish", topic_id, message, message_id):
            await self._publish(*arguments)

    def start(self) -> None:
        """Hand out messages from now on; a second call does nothing.

        Raises:
            RuntimeStateError: No event loop is running, or the runtime is busy on another one
                or being stopped.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeStateError(
                "No event loop is running; call start() in a cell or an async function."
            ) from None
        with self._dispatcher.lock:
            if not self._dispatcher.enter(loop):
                raise RuntimeStateError(
                    "The runtime has messages under way on another event loop; start it there."
                )
            self._dispatcher.start()

    async def process_next(self) -> None:
        """Hand out the next queued message, for those who do not `start` the runtime.

        With none queued it waits a tenth of a second for one. Requests need no help.

        Raises:
            Exception: What a handler of a published message raised, if such errors are not
                ignored.
        """

        async def step() -> None:
            self._dispatcher.raise_unhandled()
            await self._dispatcher.step()

        await self._at_home(step)

    async def stop(self) -> None:
        """Stop, discarding what is queued; what agents are handling comes to its end.

        Senders whose messages are discarded get an `UndeliverableException`. A handler may
        call this; it is not waited for.

        Raises:
            RuntimeStateError: The runtime is not started.
            Exception: What a handler of a published message raised, if such errors are not
                ignored.
        """

        async def stop() -> None:
            self._dispatcher.require_started()
            await self._dispatcher.halt("The runtime was stopped before the message's turn came.")
            self._dispatcher.raise_unhandled()

        await self._at_home(stop)

    async def stop_when_idle(self) -> None:
        """Stop as soon as no message is queued or being handled.

        Raises:
            RuntimeStateError: The runtime is not started.
            Exception: What a handler of a published message raised, if such errors are not
                ignored.
        """

        async def stop() -> None:
            self._dispatcher.require_started()
            await self._dispatcher.idleness.reached()
            self._dispatcher.started = False
            self._dispatcher.raise_unhandled()

        await self._at_home(stop)

    async def stop_when(self, condition: Callable[[], bool]) -> None:
        """Stop as soon as a condition holds, as `stop` does.

        Args:
            condition: Called after every message, and ten times a second.

        Raises:
            RuntimeStateError: The runtime is not started.
            Exception: What the condition raised; or a handler of a published message, if such
                errors are not ignored.
        """

        async def stop() -> None:
            self._dispatcher.require_started()
            while self._dispatcher.is_running() and not condition():
                await self._dispatcher.watch.change(_CHECK_SECONDS)
            if self._dispatcher.started:
                await self._dispatcher.halt("The runtime was stopped: a condition was met.")
            self._dispatcher.raise_unhandled()

        await self._at_home(stop)

    async def close(self) -> None:
        """Stop, cancel what agents are handling, and close all agents.

        Raises:
            ExceptionGroup: What the agents' ``close`` raised.
            Exception: What a handler of a published message raised, if such errors are not
                ignored.
        """
        await self._at_home(self._close)

    async def _close(self) -> None:
        await self._dispatcher.halt("The runtime was closed.", cancel=True)
        errors = []
        for agent in self.agents.values():
            try:
                await agent.close()
            except Exception as error:  # noqa: BLE001 - raised below, with the others'
                errors.append(error)
        if errors:
            raise ExceptionGroup("Agents failed to close.", errors)
        self._dispatcher.raise_unhandled()

    async def _send(self, *arguments: Any) -> Any:
        delivery: Delivery | None = None
        with self._dispatcher.lock:
            if self._dispatcher.enter(asyncio.get_running_loop()):
                delivery = self._dispatcher.request(*arguments)
        if delivery is None:
            return await self._elsewhere(self._send(*arguments))
        assert delivery.answer is not None
        try:
            return await delivery.answer
        except CancelledError as error:
            delivery.token.cancel()
            shown_as(error, "the message was withdrawn, and what handled it stopped.")
            raise

    async def _publish(self, *arguments: Any) -> None:
        with self._dispatcher.lock:
            home = self._dispatcher.enter(asyncio.get_running_loop())
            if home:
                self._dispatcher.publish(*arguments)
        if not home:
            await self._elsewhere(self._publish(*arguments))
