"""A conversation as a panel shows it: from an agent's events to messages and what is new of them.

Pure data: no widgets, no loop, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from itertools import count
from typing import Any

from nbagents.agents import CallAsked, CallStarted, Cleared, TurnEnded, TurnEvent, TurnStarted
from nbagents.errors import RequestError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResultMessage,
    LLMMessage,
    StreamChunk,
    SystemMessage,
    UserMessage,
)
from nbagents.messages._show import summary
from nbagents.notebook._panel.endings import status_of, words_for
from nbagents.notebook._panel.entries import CallState, Entry, call_data, entry_of_prompt
from nbagents.notebook._panel.totals import Totals

__all__ = ["Transcript"]

_LAST = 1_000_000_000  # the place of what stands below all messages that there will be


class Transcript:
    """The messages of a conversation, in order, and the changes that were not taken yet.

    Args:
        name: Who the agent is.
    """

    def __init__(self, name: str) -> None:
        self.busy = False
        self.result: CreateResult | None = None
        self.totals = Totals()
        self._name = name
        self._entries: list[Entry] = []
        self._count = 0
        self._known: dict[str, dict[str, Any]] = {}  # the data of messages that stand
        self._changed: dict[Entry, bool] = {}  # those to send again: whole, or what has grown
        self._removed: list[str] = []
        self._queue: list[Entry] = []
        self._queued = 0

    @property
    def entries(self) -> Sequence[Entry]:
        """All messages."""
        return self._entries

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All messages, as JSON-able data."""
        entries = (*self._entries, *self._queue)
        return [self._known.get(entry.id) or self._data(entry) for entry in entries]

    def remember(self, messages: Sequence[LLMMessage]) -> None:
        """Show what the agent remembers from before it was watched."""
        for message in messages:
            if isinstance(message, FunctionExecutionResultMessage):
                self._take_results(message)
            else:
                self._touch(self._of_memory(message))

    def say(self, text: str) -> None:
        """Add a line of nobody: where a model was found, and the like."""
        self._touch(self._add("system", "nbagents", notes=[text]))

    def queue(self, text: str, notes: Sequence[str]) -> Entry:
        """Show below all else what a person has said and whose turn has not come."""
        self._queued += 1
        number = self._queued
        entry = Entry(f"w{number}", _LAST + number, "user", "user", "waiting", notes=[*notes])
        entry.text.settle(text)
        self._queue.append(entry)
        self._touch(entry)
        return entry

    def unqueue(self, entry: Entry) -> None:
        """Show it no longer: its turn has come, or it was taken back."""
        self._queue.remove(entry)
        self._drop(entry)

    def note(self, notes: Sequence[str]) -> None:
        """Say something about what was asked last."""
        asked = self._asked()
        if asked is not None and notes:
            asked.notes += notes
            self._touch(asked)

    def see(self, event: TurnEvent) -> None:
        """Take what happens."""
        match event:
            case TurnStarted(message):
                self._start(message)
            case StreamChunk():
                self._grow(event)
            case AssistantMessage():
                self._call(event)
            case CallAsked(call):
                self.mark(call.id, "approval")
            case CallStarted(call):
                self.mark(call.id, "running")
            case FunctionExecutionResultMessage():
                self._take_results(event)
                self._touch(self._add("assistant", self._name, status="waiting"))
            case CreateResult():
                self._finish(event)
            case TurnEnded(error):
                self._end(error)
            case Cleared():
                self.forget(self._entries[:1])
                self.totals = Totals()

    def take(self) -> list[dict[str, Any]]:
        """What has changed since it was last taken: messages for the front end, without ``seq``."""
        taken: list[dict[str, Any]] = []
        if self._removed:
            taken.append({"kind": "removed", "ids": self._removed})
            self._removed = []
        for entry, whole in self._changed.items():
            if whole:
                entry.text.looked_at()
                entry.reasoning.looked_at()
                taken.append({"kind": "message", "message": self._data(entry)})
            else:
                taken += _growth(entry)
        self._changed.clear()
        return taken

    def shown(self, call: FunctionCall, asked: Container[str] = ()) -> str:
        """The id under which a call is shown that waits for a word, and none of those ``asked``.

        A call that is not there yet is added. An agent that is asked by a tool calls under ids of
        its own, which may be those of other calls: nobody may be shown one and allow another.
        """
        entry = next((entry for entry in reversed(self._entries) if entry.calls), None)
        entry = entry or self._add("assistant", self._name)
        data = call_data(call, "waiting")
        there = entry.call(call.id)
        same = there is not None and all(there[key] == data[key] for key in ("name", "arguments"))
        if same and call.id not in asked:
            return call.id
        names = (f"{call.id}-{number}" for number in count(2))
        data["id"] = next(n for n in names if n not in asked and entry.call(n) is None)
        entry.calls.append(data)
        self._touch(entry)
        return str(data["id"])

    def message_of(self, call: str) -> str | None:
        """The newest message that shows a call of this id."""
        holding = (entry.id for entry in reversed(self._entries) if entry.call(call) is not None)
        return next(holding, None)

    def mark(self, call: str, state: CallState) -> None:
        """Say where a call stands."""
        for entry in reversed(self._entries):
            data = entry.call(call)
            if data is not None:
                data["state"] = state
                self._touch(entry)
                return

    def question_of(self, identity: str) -> Entry | None:
        """The user's message of that id, or to which the message of that id is the reply."""
        found = None
        for entry in self._entries:
            found = entry if entry.role == "user" else found
            if entry.id == identity:
                return found
        return None

    def forget(self, first: Sequence[Entry]) -> list[Entry]:
        """Take out a message and all that follow; returns them."""
        start = self._entries.index(first[0]) if first else len(self._entries)
        gone, self._entries = self._entries[start:], self._entries[:start]
        for entry in gone:
            self._drop(entry)
        return gone

    def put_back(self, entries: Sequence[Entry], totals: Totals) -> None:
        """Show messages again that were taken out, and what they took."""
        self.totals = totals
        self._entries += entries
        for entry in entries:
            self._touch(entry)

    def remembered(self, first: Entry) -> list[UserMessage]:
        """The user's messages from ``first`` on that the agent remembers."""
        start = self._entries.index(first)
        return [
            entry.said
            for entry in self._entries[start:]
            if entry.said is not None and not entry.forgotten
        ]

    def _start(self, message: UserMessage) -> None:
        self.busy = True
        self._touch(self._put(entry_of_prompt(message, *self._next())))
        self._touch(self._add("assistant", self._name, status="waiting"))

    def _grow(self, chunk: StreamChunk) -> None:
        entry = self._growing()
        (entry.reasoning if chunk.kind == "reasoning" else entry.text).feed(chunk)
        self._touch(entry, whole=entry.status == "waiting")
        entry.status = "streaming"

    def _call(self, message: AssistantMessage) -> None:
        entry = self._growing()
        entry.status = "complete"
        if entry.text:
            entry.text.settle(entry.text.markdown)
        if message.thought and not entry.text and not entry.reasoning:
            entry.reasoning.settle(message.thought)
        if isinstance(message.content, list):
            entry.calls += [call_data(call, "waiting") for call in message.content]
        self._touch(entry)

    def _take_results(self, message: FunctionExecutionResultMessage) -> None:
        called = next((entry for entry in reversed(self._entries) if entry.calls), None)
        if called is not None:
            called.take_results(message.content)
            self._touch(called)

    def _finish(self, result: CreateResult) -> None:
        entry = self._growing()
        entry.text.settle(result.text or result.refusal or entry.text.markdown)
        if result.thought or entry.reasoning:
            entry.reasoning.settle(entry.reasoning.markdown or result.thought or "")
        entry.status = result.status
        entry.footer = summary(result)
        self.result = result
        self.totals.add(result)
        self._touch(entry)

    def _end(self, error: BaseException | None) -> None:
        self.busy = False
        asked = self._asked()
        start = self._entries.index(asked) if asked is not None else len(self._entries)
        turn = self._entries[start:]
        replies = [entry for entry in turn if entry.role == "assistant"]
        # A turn may end while its calls run: then its last reply grows no longer.
        open_ = replies[-1:] if error is not None else [each for each in replies if each.grows]
        for entry in open_:
            self._break_off(entry, error)
            self._touch(entry)
        for entry in turn:
            entry.forgotten = error is not None

    def _break_off(self, entry: Entry, error: BaseException | None) -> None:
        partial = error.partial if isinstance(error, RequestError) else ""
        entry.text.settle(entry.text.markdown or partial)
        entry.reasoning.settle(entry.reasoning.markdown)
        entry.status = status_of(error)
        for call in entry.calls:
            call["state"] = call["state"] if call["state"] in ("done", "denied") else "stopped"
        if error is not None:
            entry.notes.append(words_for(error))

    def _of_memory(self, message: LLMMessage) -> Entry:
        if isinstance(message, UserMessage):
            return self._put(entry_of_prompt(message, *self._next()))
        if isinstance(message, SystemMessage):
            entry = self._add("system", "system")
            entry.text.settle(message.content)
            return entry
        assert isinstance(message, AssistantMessage)
        entry = self._add("assistant", message.source)
        if isinstance(message.content, str):
            entry.text.settle(message.content)
        else:
            entry.calls = [call_data(call, "done") for call in message.content]
        entry.reasoning.settle(message.thought or "")
        return entry

    def _asked(self) -> Entry | None:
        users = (entry for entry in reversed(self._entries) if entry.role == "user")
        return next(users, None)

    def _growing(self) -> Entry:
        """The reply that grows; a panel may have been opened in the middle of one."""
        if self._entries and self._entries[-1].grows:
            return self._entries[-1]
        self.busy = True
        return self._add("assistant", self._name, status="waiting")

    def _next(self) -> tuple[str, int]:
        self._count += 1
        return f"m{self._count}", self._count

    def _add(self, role: str, source: str, **given: Any) -> Entry:
        return self._put(Entry(*self._next(), role, source, **given))

    def _put(self, entry: Entry) -> Entry:
        self._entries.append(entry)
        return entry

    def _touch(self, entry: Entry, *, whole: bool = True) -> None:
        self._known.pop(entry.id, None)
        self._changed[entry] = whole or self._changed.get(entry, False)

    def _drop(self, entry: Entry) -> None:
        self._changed.pop(entry, None)
        self._known.pop(entry.id, None)
        self._removed.append(entry.id)

    def _data(self, entry: Entry) -> dict[str, Any]:
        data = entry.data()
        if not entry.grows:
            self._known[entry.id] = data
        return data


def _growth(entry: Entry) -> list[dict[str, Any]]:
    parts: dict[str, Callable[[], Any]] = {
        "blocks": entry.text.growth,
        "reasoning": entry.reasoning.growth,
    }
    found = ((part, growth()) for part, growth in parts.items())
    return [
        {"kind": "blocks", "id": entry.id, "part": part, **grown._asdict()}
        for part, grown in found
        if grown is not None
    ]
