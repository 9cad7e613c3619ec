"""Random sends, publishes, drops, cancels and stops: in the end nothing is left."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from nbagents import (
    AgentId,
    CancellationToken,
    DefaultInterventionHandler,
    DropMessage,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    default_subscription,
    message_handler,
)
from nbagents.errors import MessageDroppedException, RuntimeStateError, UndeliverableException

TYPES = ("a", "b", "c")
EXPECTED = (
    UndeliverableException,
    MessageDroppedException,
    RuntimeStateError,
    ArithmeticError,
)
OUTCOMES = (int, asyncio.CancelledError, *EXPECTED)


@dataclass
class Job:
    """What an agent is to do: by chance, so many levels deep."""

    depth: int
    chance: random.Random = field(repr=False)


@default_subscription
class Worker(RoutedAgent):
    """Waits, asks others, publishes and fails, by chance; never twice at a time but nested."""

    def __init__(self) -> None:
        super().__init__("Works.")
        self.chains: list[int] = []

    @message_handler
    async def on_job(self, message: Job, ctx: MessageContext) -> int:
        chance = message.chance
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice([0, 0, 0.0005]))
        if chance.random() < 0.1:
            raise ArithmeticError("by chance")
        if message.depth and chance.random() < 0.6:
            further = Job(message.depth - 1, chance)
            asked = [
                self.send_message(further, any_agent(chance)) for _ in range(chance.choice([1, 2]))
            ]
            for answer in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(answer, OUTCOMES), repr(answer)
        if message.depth and chance.random() < 0.4:
            await self.publish_message(Job(message.depth - 1, chance), any_topic(chance))
        return message.depth


class Concurrent(Worker, concurrent_messages=True):
    pass


class Meddler(DefaultInterventionHandler):
    """Waits, drops and fails by chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    async def _meddle(self, message: Any) -> Any:
        drawn = self._chance.random()
        if drawn < 0.05:
            return DropMessage
        if drawn < 0.08:
            raise ArithmeticError("an intervention")
        if drawn < 0.3:
            await asyncio.sleep(0)
        return message

    async def on_send(self, message: Any, **_: Any) -> Any:
        return await self._meddle(message)

    async def on_publish(self, message: Any, **_: Any) -> Any:
        return await self._meddle(message)

    async def on_response(self, message: Any, **_: Any) -> Any:
        return await self._meddle(message)


def any_agent(chance: random.Random) -> AgentId:
    return AgentId(chance.choice(TYPES), chance.choice("xy"))


def any_topic(chance: random.Random) -> TopicId:
    return TopicId("default", chance.choice("xy"))


class Scenario:
    """A runtime, and what is done to it, as a seed has it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.runtime = SingleThreadedAgentRuntime(
            intervention_handlers=[Meddler(self.chance)] if self.chance.random() < 0.5 else None,
            ignore_unhandled_exceptions=self.chance.random() < 0.7,
        )
        self.requests: list[asyncio.Task[Any]] = []
        self.tokens: list[CancellationToken] = []

    async def play(self) -> None:
        for kind in TYPES:
            await self._register(kind)
        steps = [
            *[self._send] * 8,
            *[self._publish] * 6,
            *[self._cancel] * 3,
            *[self._start] * 3,
            self._stop,
            self._again,
            self._step,
            self._pause,
        ]
        for _ in range(self.chance.randint(5, 40)):
            with suppress(*EXPECTED):
                await self.chance.choice(steps)()
        await self._end()

    async def _register(self, kind: str) -> None:
        worker = Concurrent if self.chance.random() < 0.2 else Worker
        await worker.register(self.runtime, kind, worker)

    async def _send(self) -> None:
        token = self._token()
        send = self.runtime.send_message(
            Job(3, self.chance), any_agent(self.chance), cancellation_token=token
        )
        self.requests.append(asyncio.create_task(send))

    async def _publish(self) -> None:
        topic, token = any_topic(self.chance), self._token()
        await self.runtime.publish_message(Job(3, self.chance), topic, cancellation_token=token)

    async def _cancel(self) -> None:
        if self.requests and self.chance.random() < 0.5:
            self.chance.choice(self.requests).cancel()
        elif self.tokens:
            self.chance.choice(self.tokens).cancel()

    async def _start(self) -> None:
        self.runtime.start()

    async def _stop(self) -> None:
        end = self.chance.choice([self.runtime.stop, self.runtime.stop_when_idle])
        if self.chance.random() < 0.5:
            await end()
        else:
            self.requests.append(asyncio.create_task(end()))

    async def _again(self) -> None:
        kind = self.chance.choice(TYPES)
        if self.chance.random() < 0.3:
            await self.runtime.remove_agent(kind)
        await self._register(kind)

    async def _step(self) -> None:
        if self.runtime.unprocessed_messages_count:
            await self.runtime.process_next()

    async def _pause(self) -> None:
        await asyncio.sleep(self.chance.choice([0, 0, 0.001]))

    def _token(self) -> CancellationToken | None:
        if self.chance.random() < 0.5:
            return None
        self.tokens.append(CancellationToken())
        return self.tokens[-1]

    async def _end(self) -> None:
        with suppress(*EXPECTED):
            if self.chance.random() < 0.5:
                self.runtime.start()
                await self.runtime.stop_when_idle()
        await asyncio.sleep(0)  # what is sent after closing is a new beginning
        with suppress(*EXPECTED):
            await self.runtime.close()
        for answer in await asyncio.gather(*self.requests, return_exceptions=True):
            assert answer is None or isinstance(answer, OUTCOMES), repr(answer)


async def play(seed: int) -> None:
    before = asyncio.all_tasks()
    scenario = Scenario(seed)
    async with asyncio.timeout(30):
        await scenario.play()
        # What was cancelled needs a moment to unwind.
        if left := asyncio.all_tasks() - before:
            await asyncio.wait(left)
        await asyncio.sleep(0)
    runtime = scenario.runtime
    assert runtime.unprocessed_messages_count == 0
    dispatcher = runtime._dispatcher
    assert not dispatcher.watch
    assert not dispatcher.chores
    assert dispatcher.handling.active == set()
    assert dispatcher.handling._lines == {}
    assert dispatcher._requests == set()
    assert dispatcher._turnstile.inside == {}
    assert [token for token in scenario.tokens if token._callbacks] == []


def play_all(seeds: range) -> None:
    told: list[str] = []
    logging.getLogger("nbagents.runtime").setLevel(logging.CRITICAL)
    try:
        for seed in seeds:
            with asyncio.Runner() as runner:
                runner.get_loop().set_exception_handler(lambda _, it: told.append(it["message"]))
                try:
                    runner.run(play(seed))
                except Exception as error:
                    raise AssertionError(f"seed {seed}") from error
        gc.collect()
    finally:
        logging.getLogger("nbagents.runtime").setLevel(logging.NOTSET)
    assert told == []


@pytest.mark.parametrize("first", range(0, 1_000, 100))
def test_nothing_is_left_a_thousand_times(first: int) -> None:
    play_all(range(first, first + 100))
