"""What is said to and by an agent, as all its panels show it.

There is one dialogue for a conversation, whichever agents and panels share it. All of it lives
on the private loop: the panels post to it, from whatever thread they are called in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from nbagents.agents import TurnEnded, TurnEvent, TurnStarted
from nbagents.agents._turns import turns_of
from nbagents.errors import NbAgentsError
from nbagents.loop import engine
from nbagents.messages import Image
from nbagents.notebook._panel.asked import Ask, Asked
from nbagents.notebook._panel.entries import Entry
from nbagents.notebook._panel.inbound import Edit, Send, check
from nbagents.notebook._panel.mentions import left_out_mentions, unknown_mentions
from nbagents.notebook._panel.outbox import Outbox
from nbagents.notebook._panel.rewind import memory_of, restore, rewind
from nbagents.notebook._panel.spending import Spending
from nbagents.notebook._panel.totals import Totals
from nbagents.notebook._panel.transcript import Transcript
from nbagents.notebook._panel.turns import Prompt, Turns
from nbagents.notebook._panel.viewer import Viewer
from nbagents.usage import UsageRecord, ledger

__all__ = ["Dialogue", "dialogue_of"]

logger = logging.getLogger("nbagents")

NOT_OURS = "A cell has asked for this reply: interrupt the kernel to stop it."
UNDER_WAY = "A reply is under way: wait for it, or stop it."  # panel.js knows these words


class Dialogue:
    """A conversation, those who look at it, and what they do.

    Args:
        name: Who the agent is.

    Attributes:
        transcript: What was said, as it is shown.
        turns: How turns run that panels ask for.
    """

    def __init__(self, name: str) -> None:
        self.transcript = Transcript(name)
        self._viewers: list[Viewer] = []
        self._outbox = Outbox(self._paint)
        self.turns = Turns(self.transcript, self._outbox.changed)
        self._asked = Asked(self._over)
        self._spending = Spending()
        self._shown: tuple[bool, str | None] = (False, None)
        self._cleared: tuple[Mapping[str, Any], list[Entry], Totals] | None = None
        self._unwatch: list[Callable[[], None]] = []

    async def join(self, viewer: Viewer) -> None:
        """Take a panel in; the first one has the dialogue begin with what the agent remembers."""
        if not self._viewers:
            self._unwatch = [viewer.agent.watch(self._watch), ledger.on_add(self._spending.see)]
            self.transcript.remember(await memory_of(viewer.agent.model_context))
        self._viewers.append(viewer)
        self._outbox.flush()

    def leave(self, viewer: Viewer) -> None:
        """Let a panel go, and end what it has asked for; with the last one nobody watches."""
        self._asked.cancel(viewer)
        if viewer in self._viewers:
            self._viewers.remove(viewer)
        if not self._viewers:
            for end in self._unwatch:
                end()
            _dialogues.pop(viewer.agent.model_context, None)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way or waits for its turn."""
        return not (self.transcript.busy or self._asked)

    def send(self, viewer: Viewer, message: Send) -> None:
        """Ask the agent, when it is its turn; until then the message is shown to wait for it."""
        check(message)
        images = [Image.from_uri(uri) for uri in message.images]
        left_out = left_out_mentions(message.text, message.attach)
        ask = Ask(viewer, message.request, [*left_out, *unknown_mentions(message.text)])
        if message.attach or not self.idle:
            ask.queued = self.transcript.queue(message.text, [*_in_words(message), *ask.notes])

        async def act() -> None:
            prompt: Prompt = message.text
            if message.attach or images:
                parts = await self.turns.attached(viewer.agent, message.attach)
                prompt = [*([message.text] if message.text.strip() else []), *parts, *images]
            await self.turns.take(viewer.agent, prompt)

        self._asked.begin(ask, act)
        self._outbox.changed()

    def retry(self, viewer: Viewer, identity: str, edit: Edit | None = None) -> None:
        """Go back to a message and ask it once more, or ask ``edit`` in its place."""
        if edit is not None:
            check(edit)
        if not self.idle:
            raise NbAgentsError(UNDER_WAY)
        question = self.transcript.question_of(identity)
        if question is None or question.said is None:
            raise NbAgentsError("This message is no longer there; send the text anew.")
        prompt = question.said.content if edit is None else _edited(question, edit.text)
        text = "\n".join(question.texts) if edit is None else edit.text
        request = edit.request if edit is not None else None

        async def act() -> None:
            said = self.transcript.remembered(question)
            await rewind(viewer.agent.model_context, said)
            self.transcript.forget([question])
            await self.turns.take(viewer.agent, prompt)

        self._asked.begin(Ask(viewer, request, unknown_mentions(text)), act)
        self._outbox.changed()

    def stop(self) -> None:
        """End what panels have asked for, also what still waits for its turn."""
        if self.transcript.busy and not self._asked:
            raise NbAgentsError(NOT_OURS)
        self._asked.cancel()

    def clear(self, viewer: Viewer) -> None:
        """Have the agent forget the conversation, after the turn under way; it can be undone."""

        async def forget() -> None:
            context = viewer.agent.model_context
            async with turns_of(context):
                state = await context.save_state()
            shown = [*self.transcript.entries], self.transcript.totals
            await viewer.agent.clear()
            self._cleared = (state, *shown)

        self._asked.begin(Ask(viewer), forget)

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

        self._asked.begin(Ask(viewer), bring_back)

    def say(self, text: str) -> None:
        """Add a line that is nobody's."""
        self.transcript.say(text)
        self._outbox.changed()

    def flush(self) -> None:
        """Show all there is now."""
        self._outbox.flush()

    async def ended(self, seconds: float | None = None) -> None:
        """Wait until nothing is under way that a panel has asked for, and until that is shown.

        Raises:
            TimeoutError: It still is, after so many `seconds`.
        """
        async with asyncio.timeout(seconds):
            await self._asked.ended()
        self._outbox.flush()

    def _watch(self, event: TurnEvent) -> None:
        # Called in the thread of the loop that runs the turn, and in the task that does.
        took = self._spending.end() if isinstance(event, TurnEnded) else []
        if isinstance(event, TurnStarted):
            self._spending.begin()
        if not engine().is_current:
            engine().call(self._see, event, None, took)
        else:
            ask = self._asked.started() if isinstance(event, TurnStarted) else None
            self._see(event, ask, took)

    def _see(self, event: TurnEvent, ask: Ask | None, took: Sequence[UsageRecord]) -> None:
        try:
            if ask is not None:
                self._take_out(ask)
            self.transcript.see(event)
            if ask is not None:
                self.transcript.note(ask.notes)
            if isinstance(event, TurnEnded) and event.error is not None:
                self.transcript.totals.add_broken_off(took)
        except Exception:
            logger.exception("A panel could not show what happened; open it again.")
            return
        if isinstance(event, TurnStarted):
            self._cleared = None
        self._outbox.changed()

    def _over(self, ask: Ask) -> None:
        self._take_out(ask)
        self._outbox.changed()

    def _take_out(self, ask: Ask) -> None:
        """Show the message of what was asked no longer to wait."""
        if ask.queued is not None:
            self.transcript.unqueue(ask.queued)
            ask.queued = None

    def _paint(self) -> None:
        changes = self.transcript.take()
        shown = (not self.idle, self.turns.waiting_for)
        if shown != self._shown:
            changes.append({"kind": "busy", "busy": shown[0], "waiting_for": shown[1]})
        self._shown = shown
        for viewer in self._viewers:
            try:
                viewer.show(self, changes)
            except Exception:
                logger.exception("A panel, or what observes it, has failed.")


_dialogues: WeakKeyDictionary[object, Dialogue] = WeakKeyDictionary()


async def dialogue_of(viewer: Viewer) -> Dialogue:
    """Return the one dialogue of an agent's conversation, with the panel in it."""
    context = viewer.agent.model_context
    dialogue = _dialogues.get(context)
    if dialogue is None:
        dialogue = _dialogues[context] = Dialogue(viewer.agent.name)
    await dialogue.join(viewer)
    return dialogue


def _in_words(message: Send) -> list[str]:
    """What goes along with a message, while it is not there yet."""
    images = len(message.images)
    return [*message.attach, *([f"{images} image{'s' if images > 1 else ''}"] if images else [])]


def _edited(question: Entry, text: str) -> Prompt:
    """A user's message with another text; images and attached objects stay."""
    assert question.said is not None
    content = question.said.content
    if isinstance(content, str):
        return text
    kept = [part for part in content if part not in question.texts]
    return [text, *kept]
