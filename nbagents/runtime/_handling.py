"""Deliveries being handled: whose turn it is, the task that handles it, and how it ends."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Task, get_running_loop
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from threading import RLock
from typing import Any

from nbagents.runtime._deliveries import Delivery, Line, current, waits_for_itself
from nbagents.runtime._identity import AgentId, handling_agent
from nbagents.runtime._instantiation import leave_factory
from nbagents.runtime._registry import Registry
from nbagents.runtime._tracing import MessageTracer
from nbagents.runtime._turnstile import Turnstile, error_of

__all__ = ["Handling"]

Ended = Callable[[Delivery, Any, BaseException | None], None]


class Handling:
    """Gives each agent its messages, one at a time unless the agent takes several.

    Args:
        registry: The agents.
        turnstile: Where answers pass the intervention handlers.
        tracer: What traces the handling, if anything.
        lock: Held while the state changes.
        ended: Told how each delivery ended: its answer, or the error.
    """

    def __init__(
        self,
        registry: Registry,
        turnstile: Turnstile,
        tracer: MessageTracer | None,
        lock: RLock,
        ended: Ended,
    ) -> None:
        self._registry = registry
        self._turnstile = turnstile
        self._tracer = tracer
        self._lock = lock
        self._report = ended
        self._lines: dict[AgentId, Line] = {}
        self.active: set[Delivery] = set()
        self.waiting = 0

    def line_up(self, delivery: Delivery, loop: AbstractEventLoop) -> None:
        """Begin to handle a delivery, or let it wait its turn."""
        line = self._lines.get(delivery.recipient)
        if line is None:
            line = self._lines[delivery.recipient] = Line()
        delivery.line = line
        if (
            not line.active
            or self._is_concurrent(self._registry.agents.get(delivery.recipient))
            or waits_for_itself(delivery, line)
        ):
            self._begin(delivery, line, loop)
        else:
            line.waiting[delivery] = None
            self.waiting += 1

    def leave(self, delivery: Delivery) -> None:
        """Take a delivery that waits out of its line."""
        if delivery.line is not None and delivery in delivery.line.waiting:
            del delivery.line.waiting[delivery]
            self.waiting -= 1

    def in_line(self, kind: str | None = None) -> list[Delivery]:
        """Return the deliveries that wait their turn, of one agent type or of all."""
        return [one for line in self._of(kind) for one in line.waiting]

    def replace(self, kind: str, loop: AbstractEventLoop) -> None:
        """Let the new agents of a type begin at once, beside what the old ones still handle."""
        lines = list(self._of(kind))
        for agent_id in [one for one in self._lines if one.type == kind]:
            del self._lines[agent_id]
        for line in lines:
            for delivery in list(line.waiting):
                self.leave(delivery)
                self.line_up(delivery, loop)

    def forget(self) -> None:
        """Give up everything, on an event loop that is gone."""
        self._lines.clear()
        self.active.clear()
        self.waiting = 0

    def _of(self, kind: str | None) -> Iterator[Line]:
        return (line for one, line in self._lines.items() if kind is None or one.type == kind)

    def _begin(self, delivery: Delivery, line: Line, loop: AbstractEventLoop) -> None:
        line.active.add(delivery)
        self.active.add(delivery)
        task = loop.create_task(self._handle(delivery, line), context=delivery.variables)
        delivery.task = task
        task.add_done_callback(partial(self._ended, delivery, line))

    async def _handle(self, delivery: Delivery, line: Line) -> Any:
        current.set(delivery)
        handling_agent.set(delivery.recipient)
        leave_factory()
        agent = self._registry.agents.get(delivery.recipient)
        if agent is None:
            agent = await self._registry.find(delivery.recipient)
        delivery.agent = agent
        if line.waiting and self._is_concurrent(agent):
            self._open(line)
        if self._tracer is None and not self._turnstile.handlers:
            return await agent.on_message(delivery.message, ctx=delivery.context)
        with self._span(delivery):
            answer = await agent.on_message(delivery.message, ctx=delivery.context)
            if delivery.answer is None:
                return None
            return await self._turnstile.answer(delivery, answer)

    def _span(self, delivery: Delivery) -> Any:
        if self._tracer is None:
            return nullcontext()
        message_id = delivery.context.message_id
        return self._tracer.span("process", delivery.recipient, delivery.message, message_id)

    def _open(self, line: Line) -> None:
        """Begin all that waits: the agent, now that it is made, takes several messages."""
        with self._lock:
            for one in list(line.waiting):
                self.leave(one)
                self._begin(one, line, get_running_loop())

    def _ended(self, delivery: Delivery, line: Line, task: Task[Any]) -> None:
        with self._lock:
            error = error_of(task)
            line.active.discard(delivery)
            self.active.discard(delivery)
            self._advance(delivery.recipient, line, task.get_loop())
            delivery.end()
            self._report(delivery, None if error else task.result(), error)

    def _advance(self, agent_id: AgentId, line: Line, loop: AbstractEventLoop) -> None:
        if line.active:
            return
        if line.waiting:
            delivery, _ = line.waiting.popitem(last=False)
            self.waiting -= 1
            self._begin(delivery, line, loop)
        elif self._lines.get(agent_id) is line:
            del self._lines[agent_id]

    def _is_concurrent(self, agent: Any) -> bool:
        return bool(getattr(agent, "concurrent_messages", False))
