"""Messages and agents that several tests use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nbagents import (
    AgentId,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    default_subscription,
    message_handler,
)


@dataclass
class Text:
    words: str


@dataclass
class Ask:
    """Ask to pass a text on to another agent, and return what that answers."""

    words: str
    route: tuple[AgentId, ...] = ()


@default_subscription
class Echo(RoutedAgent):
    """Returns what it is told, and remembers it."""

    def __init__(self) -> None:
        super().__init__("Returns what it is told.")
        self.heard: list[str] = []
        self.closed = 0

    @message_handler
    async def on_text(self, message: Text, ctx: MessageContext) -> Text:
        self.heard.append(message.words)
        return Text(f"{self.id}: {message.words}")

    async def close(self) -> None:
        self.closed += 1


class Failing(RoutedAgent):
    """Raises whatever it is told."""

    def __init__(self) -> None:
        super().__init__("Fails.")

    @message_handler
    async def on_text(self, message: Text, ctx: MessageContext) -> None:
        raise ValueError(message.words)


@default_subscription
class Slow(RoutedAgent):
    """Notes when it begins and ends, and ends when it is let."""

    def __init__(self) -> None:
        super().__init__("Takes its time.")
        self.notes: list[str] = []
        self.begun = asyncio.Event()
        self.let = asyncio.Event()

    @message_handler
    async def on_text(self, message: Text, ctx: MessageContext) -> Text:
        self.notes.append(f"begin {message.words}")
        self.begun.set()
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            token = ctx.cancellation_token
            self.notes.append(f"cancel {message.words} {token.is_cancelled()}")
            raise
        self.notes.append(f"end {message.words}")
        return message


class Passing(RoutedAgent):
    """Asks the first agent of a route, which asks the next."""

    def __init__(self) -> None:
        super().__init__("Passes on.")

    @message_handler
    async def on_ask(self, message: Ask, ctx: MessageContext) -> Text:
        await asyncio.sleep(0)
        if not message.route:
            return Text(f"{self.id}: {message.words}")
        answer = await self.send_message(Ask(message.words, message.route[1:]), message.route[0])
        return Text(f"{self.id} < {answer.words}")


ECHO = AgentId("echo", "default")
SLOW = AgentId("slow", "default")
TOPIC = DefaultTopicId()


async def runtime_with(**factories: type[RoutedAgent]) -> SingleThreadedAgentRuntime:
    """A runtime in which these classes are registered."""
    runtime = SingleThreadedAgentRuntime()
    for name, factory in factories.items():
        await factory.register(runtime, name, factory)
    return runtime


async def settle() -> None:
    """Let everything happen that needs no waiting."""
    for _ in range(20):
        await asyncio.sleep(0)
