"""Turns: one at a time, first come first served, whatever loops and threads they come from."""

from __future__ import annotations

import asyncio
import threading

import pytest

from nbagents.agents._turns import TurnLock, turns_of


async def test_turns_are_taken_in_the_order_they_were_asked_for() -> None:
    lock, order = TurnLock(), []

    async def turn(number: int) -> None:
        async with lock:
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(turn(number) for number in range(20)))
    assert order == list(range(20))
    assert not lock.held


def test_loops_in_several_threads_never_hold_it_together() -> None:
    lock, inside, most = TurnLock(), [0], [0]

    async def turns() -> None:
        for _ in range(50):
            async with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                await asyncio.sleep(0)
                inside[0] -= 1

    threads = [threading.Thread(target=lambda: asyncio.run(turns())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1]
    assert not lock.held


async def test_a_cancelled_wait_gives_up_its_place() -> None:
    lock, order = TurnLock(), []

    async def turn(name: str) -> None:
        async with lock:
            order.append(name)

    async with lock:
        waiting = [asyncio.create_task(turn(name)) for name in "abc"]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == ["a", "c"]
    assert not lock.held


async def test_a_turn_handed_over_at_the_moment_of_cancellation_is_passed_on() -> None:
    lock = TurnLock()
    await lock.__aenter__()
    waiting = asyncio.create_task(lock.__aenter__())
    await asyncio.sleep(0)
    await lock.__aexit__(None, None, None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not lock.held


def test_agents_that_share_a_context_share_its_turns() -> None:
    class Context:
        pass

    one, other = Context(), Context()
    assert turns_of(one) is turns_of(one)
    assert turns_of(one) is not turns_of(other)
