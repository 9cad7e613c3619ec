"""What panels have asked for, until it is over."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from nbagents.notebook._panel.endings import words_for

if TYPE_CHECKING:
    from nbagents.notebook._panel.entries import Entry
    from nbagents.notebook._panel.viewer import Viewer

__all__ = ["Act", "Ask", "Asked"]

Act: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

logger = logging.getLogger("nbagents")


@dataclass(eq=False)
class Ask:
    """One thing that a panel has asked for.

    Attributes:
        viewer: The panel.
        request: What the panel's front end calls it.
        notes: What there is to say about the message.
        queued: The message, as it is shown while it waits for its turn.
        started: Whether the turn that it is for has begun.
    """

    viewer: Viewer
    request: str | None = None
    notes: Sequence[str] = ()
    queued: Entry | None = None
    started: bool = False


class Asked:
    """The book of what is asked; it is kept on the private loop.

    Args:
        over: Called with each when it is over.
    """

    def __init__(self, over: Callable[[Ask], None]) -> None:
        self._over = over
        self._asks: dict[asyncio.Task[Any], Ask] = {}

    def __bool__(self) -> bool:
        return bool(self._asks)

    def begin(self, ask: Ask, act: Act) -> None:
        """Run something that a panel has asked for, in a context of nobody's."""
        context = contextvars.Context()
        task = context.run(asyncio.create_task, _run(ask, act))
        self._asks[task] = ask
        task.add_done_callback(self._finished)

    def started(self) -> Ask | None:
        """Note that a turn has begun, in its task; what it is for, if a panel has asked."""
        task = asyncio.current_task()
        ask = self._asks.get(task) if task is not None else None
        if ask is not None:
            ask.started = True
        return ask

    def cancel(self, viewer: Viewer | None = None) -> None:
        """End what a panel has asked for, or what all have."""
        for task, ask in self._asks.items():
            if viewer is None or ask.viewer is viewer:
                task.cancel()

    async def ended(self) -> None:
        """Wait until nothing is left."""
        while self._asks:
            await asyncio.wait([*self._asks])

    def _finished(self, task: asyncio.Task[Any]) -> None:
        ask = self._asks.pop(task)
        if task.cancelled() and not ask.started and ask.request is not None:
            ask.viewer.complain("Stopped before it was sent.", ask.request)
        self._over(ask)


async def _run(ask: Ask, act: Act) -> None:
    try:
        await act()
    except Exception as error:  # it is shown in the panel, and logged
        logger.info("What a panel asked for has failed.", exc_info=True)
        if not ask.started:
            ask.viewer.complain(words_for(error), ask.request)
