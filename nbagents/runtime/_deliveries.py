"""Messages on their way: what is queued, what waits its turn, and what waits for what."""

from __future__ import annotations

from asyncio import Future, Task
from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

from nbagents._cancellation import CancellationToken
from nbagents.runtime._identity import AgentId, TopicId
from nbagents.runtime._message_context import MessageContext

__all__ = [
    "Delivery",
    "DeliveryToken",
    "Envelope",
    "Line",
    "Publication",
    "current",
    "waits_for_itself",
]


class Line:
    """An agent's messages: those it is handling, and those that wait their turn."""

    __slots__ = ("active", "waiting")

    def __init__(self) -> None:
        self.active: set[Delivery] = set()
        self.waiting: OrderedDict[Delivery, None] = OrderedDict()


class DeliveryToken(CancellationToken):
    """The token that a handler is given; using it withdraws the delivery."""

    def __init__(self, withdraw: Callable[[Delivery], None]) -> None:
        super().__init__()
        self._withdraw = withdraw
        self.delivery: Delivery | None = None

    def cancel(self) -> None:
        """Cancel what holds the token, and the handler."""
        super().cancel()
        if self.delivery is not None:
            self._withdraw(self.delivery)


class Delivery:
    """One message on its way to one agent.

    Attributes:
        message: The message.
        recipient: The agent.
        context: What the handler is told beside the message.
        variables: The sender's context variables, in which the handler runs; None afterwards.
        token: The handler's token, which is in the context too.
        answer: What the sender awaits; None for a published message.
        parent: The delivery whose handler awaits the answer, if one does.
        requests: The deliveries whose answers this one's handler awaits.
        line: Where it waits or is handled; None while it is in the runtime's queue.
        task: What is being done about it.
        agent: Who is handling it.
        ended: Whether nothing more will be done about it.
    """

    __slots__ = (
        "agent",
        "answer",
        "context",
        "ended",
        "line",
        "message",
        "parent",
        "recipient",
        "requests",
        "task",
        "token",
        "unlink",
        "variables",
    )

    def __init__(
        self,
        message: Any,
        recipient: AgentId,
        context: MessageContext,
        token: DeliveryToken,
        variables: Context,
        answer: Future[Any] | None = None,
        parent: Delivery | None = None,
    ) -> None:
        self.message = message
        self.recipient = recipient
        self.context = context
        self.token = token
        self.variables: Context | None = variables
        self.answer = answer
        self.parent = parent
        self.requests: set[Delivery] = set()
        self.line: Line | None = None
        self.task: Task[Any] | None = None
        self.agent: Any = None
        self.ended = False
        self.unlink: Callable[[], None] | None = None
        token.delivery = self
        if parent is not None:
            parent.requests.add(self)

    def end(self) -> None:
        """Note that nothing more will be done about it, and let go of what it holds."""
        self.ended = True
        # These refer to it: without a cycle it goes at once.
        self.token.delivery = self.variables = None
        if self.parent is not None:
            self.parent.requests.discard(self)
            self.parent = None
        if self.unlink is not None:
            self.unlink()
            self.unlink = None

    def fail(self, error: BaseException) -> None:
        """Raise an error where the sender waits for the answer, if one still does."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)

    def chain(self) -> set[Delivery]:
        """Return it with the deliveries whose handlers wait for it, directly or not."""
        chain: set[Delivery] = set()
        link: Delivery | None = self
        while link is not None and link not in chain:
            chain.add(link)
            link = link.parent
        return chain


@dataclass(eq=False)
class Publication:
    """A published message, before it is known whom it reaches.

    Attributes:
        message: The message.
        topic: Where it was published.
        context: What intervention handlers are told.
        variables: The sender's context variables.
        token: What cancels it: the sender's token, if there is one.
    """

    message: Any
    topic: TopicId
    context: MessageContext
    variables: Context
    token: CancellationToken | None


Envelope: TypeAlias = Delivery | Publication

# The delivery whose handler is running; what it spawns inherits it.
current: ContextVar[Delivery | None] = ContextVar("nbagents_delivery", default=None)


def waits_for_itself(delivery: Delivery, line: Line) -> bool:
    """Whether waiting in ``line`` would never end.

    It would if what the agent is handling waits, over whatever detours, for a handler that
    waits for this delivery.
    """
    if delivery.parent is None:
        return False
    chain = delivery.parent.chain()
    ahead, seen = list(line.active), set(line.active)
    while ahead:
        one = ahead.pop()
        if one in chain:
            return True
        further = set(one.requests)
        if one.line is not None and one in one.line.waiting:
            further |= one.line.active
        ahead.extend(further - seen)
        seen |= further
    return False
