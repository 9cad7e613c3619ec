"""The messages of a panel's conversation, as they grow and as the front end takes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nbagents._unicode import mended_data
from nbagents.agents._calls import not_run
from nbagents.messages._show import arguments_text
from nbagents.notebook._panel.growing import GrowingText

if TYPE_CHECKING:
    from nbagents.messages import FunctionCall, FunctionExecutionResult, Image, UserMessage

__all__ = ["CallState", "Entry", "call_data", "entry_of_prompt"]

CallState: TypeAlias = Literal[
    "waiting", "asked", "approval", "running", "done", "denied", "stopped"
]
"""``asked`` is by the panels' buttons, ``approval`` by a cell or by the user's own code."""

# What `attach` writes of an object: its name and kind, and then the object in a fence.
_ATTACHED = re.compile(r"`([^`\n]+)` \(([^\n]*)\):\n(?=[`~]{3})")


@dataclass(eq=False)
class Entry:
    """One message.

    Attributes:
        id: Names it for the front end; counted, so that nothing differs from run to run.
        at: Its place in the order of all messages that there were.
        role: Whose it is: ``user``, ``assistant`` or ``system``.
        source: Who spoke.
        status: ``waiting`` and ``streaming`` while it grows; else how it ended.
        said: What a user's message said, to be able to ask it again.
        texts: What of it the person has written.
        forgotten: Whether the agent does not remember it: its turn did not come to an end.
    """

    id: str
    at: int
    role: str
    source: str
    status: str = "complete"
    text: GrowingText = field(default_factory=GrowingText)
    reasoning: GrowingText = field(default_factory=GrowingText)
    notes: list[str] = field(default_factory=list)
    footer: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    said: UserMessage | None = None
    texts: list[str] = field(default_factory=list)
    forgotten: bool = False

    @property
    def grows(self) -> bool:
        """Whether more of it is to come."""
        return self.status in ("waiting", "streaming")

    def data(self) -> dict[str, Any]:
        """The message as JSON-able data, whole; a tool or a cell may say half a character."""
        data = {
            "id": self.id,
            "at": self.at,
            "role": self.role,
            "source": self.source,
            "status": self.status,
            "blocks": self.text.blocks,
            "reasoning": self.reasoning.blocks,
            "notes": [*self.notes],
            "footer": self.footer,
            "calls": [dict(call) for call in self.calls],
            "images": [*self.images],
            "markdown": self.text.markdown,
        }
        return {key: mended_data(value) for key, value in data.items()}

    def call(self, identity: str) -> dict[str, Any] | None:
        """The call of that id, if the message has it."""
        return next((call for call in self.calls if call["id"] == identity), None)

    def take_results(self, results: Sequence[FunctionExecutionResult]) -> None:
        """Put the results to their calls."""
        for result in results:
            call = self.call(result.call_id)
            if call is not None:
                denied = call["state"] == "denied" or not_run(result)
                call["result"], call["state"] = result.content, "denied" if denied else "done"
                call["is_error"] = bool(result.is_error) and not denied
        for call in self.calls:  # those of agents that these have asked
            call["state"] = "done" if call["state"] == "running" else call["state"]


def entry_of_prompt(message: UserMessage, identity: str, at: int) -> Entry:
    """A user's message: its text; its images; a line for each object that was attached."""
    entry = Entry(identity, at, "user", message.source, said=message)
    parts: Sequence[str | Image] = (
        [message.content] if isinstance(message.content, str) else message.content
    )
    for part in parts:
        if not isinstance(part, str):
            entry.images.append(part.data_uri)
        elif attached := _ATTACHED.match(part):
            entry.notes.append(f"{attached[1]}: {attached[2]}")
        else:
            entry.texts.append(part)
    entry.text.settle("\n\n".join(entry.texts))
    return entry


def call_data(call: FunctionCall, state: CallState) -> dict[str, Any]:
    """A call as JSON-able data, without a result yet."""
    return {
        "id": call.id,
        "name": call.name,
        "arguments": arguments_text(call),
        "result": "",
        "is_error": False,
        "state": state,
    }
