"""The turns that panels ask for: what they need of the person and of the kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from nbagents._waits import told_of_waits
from nbagents.agents import asking
from nbagents.loop import call_on_main
from nbagents.messages import Image
from nbagents.notebook._panel.mentions import attached, variables
from nbagents.tools import synchronous_calls
from nbagents.usage import in_no_cell

if TYPE_CHECKING:
    from nbagents.agents import ChatAgent
    from nbagents.messages import FunctionCall
    from nbagents.notebook._panel.entries import CallState
    from nbagents.notebook._panel.transcript import Transcript
    from nbagents.tools import Tool

__all__ = ["Prompt", "Turns"]

T = TypeVar("T")
Prompt: TypeAlias = str | Sequence[str | Image]

KERNEL_BUSY = "The kernel is busy: what needs it goes on when it is free."
MESSAGE_WAITS = "The kernel is busy: your message waits for it."


class Turns:
    """Runs turns on the private loop; says what they wait for, and asks whether calls may run.

    Args:
        transcript: What shows the calls.
        changed: Called when there is something new to be shown.

    Attributes:
        waiting_for: What the turn under way waits for, in words; None when it goes on.
    """

    def __init__(self, transcript: Transcript, changed: Callable[[], None]) -> None:
        self.waiting_for: str | None = None
        self._transcript = transcript
        self._changed = changed
        self._approvals: dict[str, asyncio.Future[bool]] = {}

    async def take(self, agent: ChatAgent, prompt: Prompt) -> None:
        """Take a turn of the agent's; those who watch the agent see what happens in it."""
        with (
            in_no_cell(),  # it is the panel's, whichever cell runs meanwhile
            asking(self.approve),
            synchronous_calls(self.call_when_free),
            told_of_waits(self._wait_for),
        ):
            async with aclosing(agent.stream(prompt)) as events:
                async for _ in events:
                    pass

    async def attached(self, agent: ChatAgent, names: Sequence[str]) -> list[str | Image]:
        """What goes along with a prompt for these variables, when the kernel is free."""
        if not names:
            return []
        vision = bool(agent.client.model_info["vision"])

        def attach() -> list[str | Image]:
            return attached(names, variables(), vision=vision).parts

        return await self.call_when_free(attach, MESSAGE_WAITS)

    def answer(self, call: str, message: str, allowed: bool) -> None:
        """Say whether the call of a message may run; where nobody has asked nothing is done."""
        asked = self._approvals.get(call)
        meant = self._transcript.message_of(call) == message
        if asked is not None and meant and not asked.done():
            asked.set_result(allowed)

    async def approve(self, call: FunctionCall, tool: Tool | None = None) -> bool:
        """Ask by the panels' buttons whether a call may run."""
        asked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        shown = self._transcript.shown(call, self._approvals)
        self._approvals[shown] = asked
        self._mark(shown, "asked")
        try:
            allowed = await asked
        finally:
            del self._approvals[shown]
        if shown != call.id:
            self._mark(shown, "running" if allowed else "denied")
        elif not allowed:
            self._mark(shown, "denied")
        return allowed

    async def call_when_free(self, function: Callable[[], T], busy: str = KERNEL_BUSY) -> T:
        """Call ``function`` on the kernel's main thread; while that is not free, say ``busy``."""
        with self._waiting(busy) as begun:
            loop = asyncio.get_running_loop()

            def call() -> T:
                loop.call_soon_threadsafe(begun)
                return function()

            return await call_on_main(call)

    def _mark(self, call: str, state: CallState) -> None:
        self._transcript.mark(call, state)
        self._changed()

    def _wait_for(self, what: str) -> None:
        self.waiting_for = f"The request waits for {what}." if what else None
        self._changed()

    @contextmanager
    def _waiting(self, text: str) -> Iterator[Callable[[], None]]:
        def over() -> None:
            self.waiting_for = None
            self._changed()

        self.waiting_for = text
        self._changed()
        try:
            yield over
        finally:
            over()
