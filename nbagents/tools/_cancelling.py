"""Waiting that a cancellation token ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from nbagents._cancellation import CancellationToken

__all__ = ["until_cancelled"]

T = TypeVar("T")


async def until_cancelled(coroutine: Coroutine[Any, Any, T], token: CancellationToken) -> T:
    """Run ``coroutine``, and cancel it when the token is used or the caller is cancelled.

    Raises:
        asyncio.CancelledError: It was cancelled, or the token had been used before.
    """
    if token.is_cancelled():
        coroutine.close()
        raise asyncio.CancelledError
    task = asyncio.ensure_future(coroutine)
    token.link_future(task)
    return await task
