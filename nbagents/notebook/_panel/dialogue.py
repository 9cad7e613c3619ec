"""What is said to and by an agent, as all its panels show it.

There is one dialogue for a conversation, whichever agents and panels share it. All of it lives
on the private loop: the panels post to it, from whatever thread they are called in.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from nbagents._waits import told_of_waits
from nbagents.agents import ChatAgent, TurnEvent, TurnStarted, asking
from nbagents.agents._turns import turns_of
from nbagents.errors import NbAgentsError
from nbagents.loop import call_on_main, engine
from nbagents.messages import Image
from nbagents.notebook._panel.entries import Entry
from nbagents.notebook._panel.inbound import Edit, Send, check
from nbagents.notebook._panel.mentions import attached, variables
from nbagents.notebook._panel.outbox import Outbox
from nbagents.notebook._panel.rewind import memory_of, restore, rewind
from nbagents.notebook._panel.totals import Totals
from nbagents.notebook._panel.transcript import Transcript, words_for
from nbagents.tools import synchronous_calls
from nbagents.usage import in_no_cell

if TYPE_CHECKING:
    from nbagents.messages import FunctionCall
    from nbagents.tools import Tool

__all__ = ["Dialogue", "Viewer", "dialogue_of"]

T = TypeVar("T")
Prompt = str | Sequence[str | Image]

logger = logging.getLogger("nbagents")

KERNEL_BUSY = "The kernel is busy: what needs it goes on when it is free."
MESSAGE_WAITS = "The kernel is busy: your message waits for it."
NOT_OURS = "A cell has asked for this reply: interrupt the kernel to stop it."
STOP_FIRST = "A reply is under way: stop it first, or wait for its end."


class Viewer(Protocol):
    """A panel, as the dialogue knows it; it is called on the private loop."""

    agent: ChatAgent

    def show(self, dialogue: Dialogue, changes: Sequence[Mapping[str, Any]]) -> None:
        """Show what has changed."""

    def complain(self, text: str, request: str | None) -> None:
        """Say that something did not go well; ``request`` was not taken, if it is named."""


class Dialogue:
    """A conversation, those who look at it, and what they do.

    Args:
        name: Who the agent is.
    """

    def __init__(self, name: str) -> None:
        self.transcript = Transcript(name)
        self.waiting_for: str | None = None
        self._viewers: list[Viewer] = []
        self._outbox = Outbox(self._paint)
        self._shown: tuple[bool, str | None] = (False, None)
        self._asking: dict[asyncio.Task[Any], tuple[Viewer, str | None]] = {}
        self._started: set[asyncio.Task[Any]] = set()
        self._approvals: dict[str, asyncio.Future[bool]] = {}
        self._cleared: tuple[Mapping[str, Any], list[Entry], Totals] | None = None
        self._unwatch: Callable[[], None] = lambda: None

    async def join(self, viewer: Viewer) -> None:
        """Take a panel in; the first one has the dialogue begin with what the agent remembers."""
        if not self._viewers:
            self._unwatch = viewer.agent.watch(self._watch)
            self.transcript.remember(await memory_of(viewer.agent.model_context))
        self._viewers.append(viewer)
        self._outbox.flush()

    def leave(self, viewer: Viewer) -> None:
        """Let a panel go, and end what it has asked for; with the last one nobody watches."""
        for task in [task for task, (asker, _) in self._asking.items() if asker is viewer]:
            task.cancel()
        if viewer in self._viewers:
            self._viewers.remove(viewer)
        if not self._viewers:
            self._unwatch()
            _dialogues.pop(viewer.agent.model_context, None)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way or waits for its turn."""
        return not (self.transcript.busy or self._asking)

    def send(self, viewer: Viewer, message: Send) -> None:
        """Ask the agent, when it is its turn."""
        check(message)
        images = [Image.from_uri(uri) for uri in message.images]

        async def ask() -> None:
            prompt: Prompt = message.text
            if message.attach or images:
                parts = await self._attached(viewer.agent, message.attach)
                prompt = [*([message.text] if message.text.strip() else []), *parts, *images]
            await self._turn(viewer.agent, prompt)

        self._begin(viewer, ask, message.request)

    def retry(self, viewer: Viewer, identity: str, edit: Edit | None = None) -> None:
        """Go back to a message and ask it once more, or ask ``edit`` in its place."""
        if edit is not None:
            check(edit)
        if not self.idle:
            raise NbAgentsError(STOP_FIRST)
        question = self.transcript.question_of(identity)
        if question is None or question.said is None:
            raise NbAgentsError("This message is no longer there; send the text anew.")
        prompt = question.said.content if edit is None else _edited(question, edit.text)

        async def ask() -> None:
            said = self.transcript.remembered(question)
            await rewind(viewer.agent.model_context, said)
            self.transcript.forget([question])
            await self._turn(viewer.agent, prompt)

        self._begin(viewer, ask, edit.request if edit is not None else None)

    def stop(self) -> None:
        """End what panels have asked for, also what still waits for its turn."""
        if self.transcript.busy and not self._asking:
            raise NbAgentsError(NOT_OURS)
        for task in self._asking:
            task.cancel()

    def clear(self, viewer: Viewer) -> None:
        """Have the agent forget the conversation, after the turn under way; it can be undone."""

        async def forget() -> None:
            context = viewer.agent.model_context
            async with turns_of(context):
                state = await context.save_state()
            shown = [*self.transcript.entries], self.transcript.totals
            await viewer.agent.clear()
            self._cleared = (state, *shown)

        self._begin(viewer, forget, at_once=True)

    def restore(self, viewer: Viewer) -> None:
        """Bring back what was cleared last."""
        if self._cleared is None:
            raise NbAgentsError("There is nothing to bring back.")
        state, entries, totals = self._cleared

        async def bring_back() -> None:
            await restore(viewer.agent.model_context, state)
            self._cleared = None
            self.transcript.put_back(entries, totals)
            self._outbox.changed()

        self._begin(viewer, bring_back, at_once=True)

    def say(self, text: str) -> None:
        """Add a line that is nobody's."""
        self.transcript.say(text)
        self._outbox.changed()

    def flush(self) -> None:
        """Show all there is now."""
        self._outbox.flush()

    def answer(self, call: str, message: str, allowed: bool) -> None:
        """Say whether the call of a message may run; where nobody has asked nothing is done."""
        asked = self._approvals.get(call)
        meant = self.transcript.message_of(call) == message
        if asked is not None and meant and not asked.done():
            asked.set_result(allowed)

    async def approve(self, call: FunctionCall, tool: Tool | None = None) -> bool:
        """Ask by the panels' buttons whether a call may run."""
        asked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        shown = self.transcript.shown(call, self._approvals)
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

    async def ended(self) -> None:
        """Wait until nothing is under way that a panel has asked for, and until that is shown."""
        while self._asking:
            await asyncio.wait([*self._asking])
        self._outbox.flush()

    def _begin(
        self,
        viewer: Viewer,
        act: Callable[[], Coroutine[Any, Any, None]],
        request: str | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        """Run something that a panel has asked for, in a context of nobody's.

        What is done ``at_once``, unless it waits for a turn, is not shown to be under way.
        """
        context = contextvars.Context()
        task = context.run(asyncio.create_task, self._run(viewer, act, request))
        self._asking[task] = (viewer, request)
        task.add_done_callback(self._finished)
        if not at_once:
            self._outbox.changed()

    async def _run(
        self,
        viewer: Viewer,
        act: Callable[[], Coroutine[Any, Any, None]],
        request: str | None,
    ) -> None:
        try:
            await act()
        except Exception as error:  # it is shown in the panel, and logged
            logger.info("What a panel asked for has failed.", exc_info=True)
            if asyncio.current_task() not in self._started:
                viewer.complain(words_for(error), request)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        viewer, request = self._asking.pop(task)
        if task.cancelled() and task not in self._started and request is not None:
            viewer.complain("Stopped before it was sent.", request)
        self._started.discard(task)
        self._outbox.changed()

    async def _turn(self, agent: ChatAgent, prompt: Prompt) -> None:
        with (
            in_no_cell(),  # it is the panel's, whichever cell runs meanwhile
            asking(self.approve),
            synchronous_calls(self.call_when_free),
            told_of_waits(self._wait_for),
        ):
            async with aclosing(agent.stream(prompt)) as events:
                async for _ in events:
                    pass  # it is seen as those who watch the agent see it

    async def _attached(self, agent: ChatAgent, names: Sequence[str]) -> list[str | Image]:
        if not names:
            return []
        vision = bool(agent.client.model_info["vision"])

        def attach() -> list[str | Image]:
            return attached(names, variables(), vision=vision).parts

        return await self.call_when_free(attach, MESSAGE_WAITS)

    def _watch(self, event: TurnEvent) -> None:
        # Called in the thread of the loop that runs the turn.
        if engine().is_current:
            if isinstance(event, TurnStarted):
                task = asyncio.current_task()
                if task in self._asking:
                    self._started.add(task)
            self._see(event)
        else:
            engine().loop.call_soon_threadsafe(self._see, event)

    def _see(self, event: TurnEvent) -> None:
        try:
            self.transcript.see(event)
        except Exception:
            logger.exception("A panel could not show what happened; open it again.")
            return
        if isinstance(event, TurnStarted):
            self._cleared = None
        self._outbox.changed()

    def _paint(self) -> None:
        changes = self.transcript.take()
        shown = (not self.idle, self.waiting_for)
        if shown != self._shown:
            changes.append({"kind": "busy", "busy": shown[0], "waiting_for": shown[1]})
        self._shown = shown
        for viewer in self._viewers:
            try:
                viewer.show(self, changes)
            except Exception:
                logger.exception("A panel, or what observes it, has failed.")

    def _mark(self, call: str, state: Any) -> None:
        self.transcript.mark(call, state)
        self._outbox.changed()

    def _wait_for(self, what: str) -> None:
        self.waiting_for = f"The request waits for {what}." if what else None
        self._outbox.changed()

    @contextmanager
    def _waiting(self, text: str) -> Iterator[Callable[[], None]]:
        def over() -> None:
            self.waiting_for = None
            self._outbox.changed()

        self.waiting_for = text
        self._outbox.changed()
        try:
            yield over
        finally:
            over()


_dialogues: WeakKeyDictionary[object, Dialogue] = WeakKeyDictionary()


async def dialogue_of(viewer: Viewer) -> Dialogue:
    """Return the one dialogue of an agent's conversation, with the panel in it."""
    context = viewer.agent.model_context
    dialogue = _dialogues.get(context)
    if dialogue is None:
        dialogue = _dialogues[context] = Dialogue(viewer.agent.name)
    await dialogue.join(viewer)
    return dialogue


def _edited(question: Entry, text: str) -> Prompt:
    """A user's message with another text; images and attached objects stay."""
    assert question.said is not None
    content = question.said.content
    if isinstance(content, str):
        return text
    kept = [part for part in content if part not in question.texts]
    return [text, *kept]
