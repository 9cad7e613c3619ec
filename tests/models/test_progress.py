"""How long an attempt to send a request may connect."""

from __future__ import annotations

import asyncio

import pytest

from nbagents.models._progress import Patience, Progress


async def test_patience_that_ends_after_the_deadline_changes_nothing() -> None:
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    patience = None

    async def connect_too_late() -> None:
        nonlocal patience
        async with asyncio.timeout(0) as deadline:
            with Patience(0.01, Progress(), deadline) as patience:
                try:
                    await asyncio.sleep(5)
                finally:  # a connection takes its time to give up
                    await asyncio.sleep(0.2)

    with pytest.raises(TimeoutError):
        await connect_too_late()
    assert patience is not None
    assert not patience.over
    assert not failed
