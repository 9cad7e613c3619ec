"""The cancellation token: its callbacks may use it, and what has ended is forgotten."""

from __future__ import annotations

import asyncio
import threading

import pytest

from nbagents import CancellationToken


def test_a_callback_may_use_the_token() -> None:
    token, seen = CancellationToken(), []
    token.add_callback(lambda: seen.append(token.is_cancelled()))
    token.add_callback(lambda: token.add_callback(lambda: seen.append("late")))
    cancelling = threading.Thread(target=token.cancel, daemon=True)
    cancelling.start()
    cancelling.join(30)
    assert not cancelling.is_alive()
    assert seen == [True, "late"]


def test_a_callback_that_was_taken_away_is_not_called() -> None:
    token, seen = CancellationToken(), []
    token.add_callback(lambda: seen.append(1))()
    token.cancel()
    token.cancel()
    assert seen == []


async def test_a_future_is_cancelled_from_another_thread_while_its_loop_sleeps() -> None:
    token = CancellationToken()
    waiting = token.link_future(asyncio.ensure_future(asyncio.sleep(30)))
    threading.Timer(0.05, token.cancel).start()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 30)


async def test_a_token_keeps_nothing_of_what_has_ended() -> None:
    token = CancellationToken()
    for _ in range(100):
        await token.link_future(asyncio.ensure_future(asyncio.sleep(0)))
    await asyncio.sleep(0)
    assert token._callbacks == {}
