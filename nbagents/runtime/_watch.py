"""Waiting until something about a runtime holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Watch"]

Condition = Callable[[], bool]


class Watch:
    """Those who wait until something holds, which `changed` looks at again."""

    def __init__(self) -> None:
        self._watchers: dict[asyncio.Future[None], Condition] = {}

    def __bool__(self) -> bool:
        return bool(self._watchers)

    def changed(self) -> None:
        """Wake those whose condition holds now."""
        if not self._watchers:
            return
        for future, holds in list(self._watchers.items()):
            if not future.done() and holds():
                future.set_result(None)

    def clear(self) -> None:
        """Forget those who waited on an event loop that is gone."""
        self._watchers.clear()

    async def until(self, condition: Condition) -> None:
        """Wait until ``condition()`` is true."""
        while not condition():
            await self._once(condition)

    async def change(self, seconds: float) -> None:
        """Wait for any change, and ``seconds`` at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._once(lambda: True)
        except TimeoutError:
            pass

    async def _once(self, condition: Condition) -> None:
        future = asyncio.get_running_loop().create_future()
        self._watchers[future] = condition
        try:
            await future
        finally:
            self._watchers.pop(future, None)
