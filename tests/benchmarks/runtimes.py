"""The agent runtimes that are compared, each in a process of its own.

``python -m tests.benchmarks.runtimes WORK CONTENDER`` measures once for every line it reads and
prints the number, so that rounds can be taken in turns.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from importlib import import_module
from time import process_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CONTENDERS = {"nbagents": "nbagents", "autogen-core": "autogen_core"}
MESSAGES = 2_000
AGENTS = 100
LISTENERS = 10


@dataclass
class Ping:
    """A message as small as one can be."""

    number: int


class Bench:
    """A started runtime with agents that return what they are sent; by the names alone.

    The same program for each: AutoGen's, with its imports changed.
    """

    def __init__(self, package: str) -> None:
        self.library: Any = import_module(package)
        self.agent = _agent_of(self.library)
        self.handled = 0

    async def begin(self, kinds: int) -> Any:
        """Return a runtime with so many types of agent that hear the default topic."""
        runtime = self.library.SingleThreadedAgentRuntime()
        for number in range(kinds):
            await self.agent.register(runtime, f"echo{number}", lambda: self.agent(self))
        runtime.start()
        return runtime

    def id(self, key: int) -> Any:
        """The id of one of the agents."""
        return self.library.AgentId("echo0", str(key))


def _agent_of(library: Any) -> Any:
    @library.default_subscription
    class Echo(library.RoutedAgent):
        def __init__(self, bench: Bench) -> None:
            super().__init__("Returns what it is sent.")
            self._bench = bench

        @library.message_handler
        async def handle(self, message: Ping, ctx: Any) -> Ping:
            self._bench.handled += 1
            return message

    return Echo


async def send(bench: Bench) -> None:
    """One request after the other, to one agent."""
    runtime = await bench.begin(1)
    for number in range(MESSAGES):
        await runtime.send_message(Ping(number), bench.id(0))
    await runtime.stop()


async def send_to_many(bench: Bench) -> None:
    """All requests at once, to a hundred agents."""
    runtime = await bench.begin(1)
    requests = [runtime.send_message(Ping(one), bench.id(one % AGENTS)) for one in range(MESSAGES)]
    await asyncio.gather(*requests)
    await runtime.stop()


async def publish(bench: Bench) -> None:
    """All messages at once, to one agent that listens."""
    runtime = await bench.begin(1)
    for number in range(MESSAGES):
        await runtime.publish_message(Ping(number), bench.library.DefaultTopicId())
    await runtime.stop_when_idle()


async def publish_to_many(bench: Bench) -> None:
    """A tenth of the messages, to ten agents that listen."""
    runtime = await bench.begin(LISTENERS)
    for number in range(MESSAGES // LISTENERS):
        await runtime.publish_message(Ping(number), bench.library.DefaultTopicId())
    await runtime.stop_when_idle()


WORK: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "send": send,
    "send-to-many": send_to_many,
    "publish": publish,
    "publish-to-many": publish_to_many,
}


def measure(bench: Bench, work: Callable[[Bench], Awaitable[None]]) -> float:
    """Microseconds of CPU a message that is handled."""
    bench.handled = 0
    started = process_time()
    asyncio.run(work(bench))  # type: ignore[arg-type]
    seconds = process_time() - started
    assert bench.handled == MESSAGES, bench.handled
    return seconds / MESSAGES * 1e6


def main(work: str, name: str) -> None:
    """Measure until nobody asks any more; the first two, while caches fill, are for nothing."""
    bench = Bench(CONTENDERS[name])
    for _ in range(2):
        measure(bench, WORK[work])
    print("ready", flush=True)
    for _ in sys.stdin:
        print(measure(bench, WORK[work]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
