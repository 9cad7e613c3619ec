"""More requests than may run at once: they wait their turn, are told so, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest

from nbagents._cancellation import CancellationToken
from nbagents._waits import told_of_waits
from nbagents.errors import RequestCancelledError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models import Limits
from nbagents.models._gate import Gate, most_at_once
from nbagents.models._openai import OpenAIChatCompletionClient
from tests.support import DONE, STOP, Server, stream, text

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
SLOW = stream(text("Hello"), 0.4, text(" world"), STOP, DONE)


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbagents.models._connections.most_at_once", lambda: 2)


@pytest.fixture
def slow() -> Iterator[Server]:
    with Server(SLOW) as server:
        yield server


def client_of(server: Server, **given: Limits) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(
        model="gpt-4o", api_key="test-key-1234", base_url=server.base_url, **given
    )


@pytest.mark.usefixtures("two_at_once")
class TestMoreThanMayRun:
    async def test_they_wait_their_turn_and_all_get_their_reply(self, slow: Server) -> None:
        async with client_of(slow) as client:
            replies = await asyncio.gather(*(client.create(HI) for _ in range(5)))
        assert {reply.content for reply in replies} == {"Hello world"}
        assert slow.connections == 2

    async def test_who_waits_is_told_what_for_and_when_it_is_over(self, slow: Server) -> None:
        told: list[str] = []

        async def ask(client: OpenAIChatCompletionClient) -> None:
            with told_of_waits(told.append):
                await client.create(HI)

        async with client_of(slow) as client:
            await asyncio.gather(client.create(HI), client.create(HI), ask(client))
        assert told == ["one of the 2 connections that may be open at once", ""]

    async def test_no_deadline_counts_the_wait(self, slow: Server) -> None:
        limits = Limits(first_byte=0.35, total=0.7)

        async def ask(client: OpenAIChatCompletionClient) -> str:
            return "".join([e async for e in client.create_stream(HI) if isinstance(e, str)])

        async with client_of(slow, limits=limits) as client:
            replies = await asyncio.gather(*(ask(client) for _ in range(5)))
        assert replies == ["Hello world"] * 5

    async def test_one_that_is_cancelled_while_it_waits_takes_nobodys_place(
        self, slow: Server
    ) -> None:
        token = CancellationToken()
        async with client_of(slow) as client:
            running = [asyncio.create_task(client.create(HI)) for _ in range(2)]
            await asyncio.sleep(0.1)
            told = asyncio.create_task(client.create(HI, cancellation_token=token))
            dropped = asyncio.create_task(client.create(HI))
            last = asyncio.create_task(client.create(HI))
            await asyncio.sleep(0.05)
            token.cancel()
            dropped.cancel()
            with pytest.raises(RequestCancelledError):
                await told
            with pytest.raises(asyncio.CancelledError):
                await dropped
            replies = await asyncio.gather(*running, last)
            assert [reply.content for reply in replies] == ["Hello world"] * 3
            again = await asyncio.gather(*(client.create(HI) for _ in range(3)))
        assert len(again) == 3
        assert len(slow.requests) == 6


@pytest.mark.parametrize(("files", "most"), [(256, 128), (1024, 896), (4096, 1000), (-1, 1000)])
def test_how_many_may_run_heeds_the_limit_on_open_files(
    files: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert most_at_once() == most


class TestTheGateItself:
    async def enter(self, gate: Gate, number: int, entered: list[int]) -> None:
        await gate.enter()
        entered.append(number)

    async def test_a_few_begin_at_each_turn_of_the_loop_in_the_order_they_came(self) -> None:
        gate, entered = Gate(100), list[int]()
        tasks = [asyncio.create_task(self.enter(gate, number, entered)) for number in range(30)]
        seen = []
        while len(entered) < 30:
            await asyncio.sleep(0)
            seen.append(len(entered))
        assert entered == list(range(30))
        assert max(after - before for before, after in pairwise([0, *seen])) == 8
        await asyncio.gather(*tasks)

    async def test_who_comes_later_does_not_overtake_who_waits(self) -> None:
        gate, entered = Gate(1), list[int]()
        await gate.enter()
        waiting = asyncio.create_task(self.enter(gate, 1, entered))
        await asyncio.sleep(0)
        gate.leave()
        late = asyncio.create_task(self.enter(gate, 2, entered))
        await asyncio.sleep(0.01)
        assert entered == [1]
        gate.leave()
        await asyncio.gather(waiting, late)
        assert entered == [1, 2]

    async def test_one_that_is_cancelled_as_its_turn_comes_passes_it_on(self) -> None:
        gate, entered = Gate(1), list[int]()
        await gate.enter()
        first = asyncio.create_task(self.enter(gate, 1, entered))
        second = asyncio.create_task(self.enter(gate, 2, entered))
        await asyncio.sleep(0.01)
        gate.leave()
        first.cancel()
        async with asyncio.timeout(5):
            await second
        assert entered == [2]
