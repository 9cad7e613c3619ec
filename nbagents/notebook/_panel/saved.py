"""The conversation as a saved notebook shows it, without a kernel and without the widget.

A widget's view shows nothing in a notebook that is only read, and a bundle that holds a view
cannot be updated without making the view anew. So a second output stands below the view: the
conversation as it is then, brought up to date after each reply. The panel's style sheet hides it
where the view lives. Front ends bring such an output up to date while the page stays open in
which its cell ran; after that the panel's own front end does, where it can.
"""

from __future__ import annotations

import contextvars
import re
import secrets
import sys
from asyncio import TimerHandle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbagents._mode import is_final
from nbagents.loop import engine
from nbagents.messages import FunctionCall, FunctionExecutionResult
from nbagents.messages._show import calls_markdown, results_markdown, speaker
from nbagents.notebook._panel.endings import RETRY
from nbagents.rendering import STATUS_WORDS, Section, sections_bundle

__all__ = ["SavedCopy", "saved_bundle"]

DELAY = 0.5
"""Seconds after the end of a reply until the copy is brought up to date, at least."""
BYTES_PER_SECOND = 50_000
"""What keeping the copy may cost: a long conversation is copied less often."""
SHOWN = 200
"""Messages that are shown, the newest."""
LONGEST = 50_000
"""Characters of a message that are shown."""

# JupyterLab would draw its table of contents anew after every reply, with entries that lead
# nowhere: the copy is hidden.
_HEADING = re.compile("<(h[1-6])(?=[ >])")


class SavedCopy:
    """An output of the cell that shows a panel; its methods are called on any thread.

    Args:
        hand: Gives the output's data to the panel's front end.

    Attributes:
        by_hand: Whether it is needed: a page shows the output that has not seen its cell run.
    """

    def __init__(self, hand: Callable[[Mapping[str, str]], None]) -> None:
        self.by_hand = False
        self._hand = hand
        self._slot = f"nbagents-{secrets.token_hex(8)}"
        self._published = False
        self._due: TimerHandle | None = None
        self._messages: Sequence[Mapping[str, Any]] = ()

    def publish(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Show the conversation in the cell that is running, if there is a kernel."""
        publisher = _publisher()
        if publisher is not None:
            self._published, self.by_hand = True, False
            self._send(publisher, saved_bundle(messages), update=False)

    def renew(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Show it as it is now, soon; on the private loop."""
        self._messages = messages
        # nbval does not know updates, so that none is sent where outputs are compared.
        if self._published and self._due is None and not is_final():
            loop = engine().loop
            size = 3 * sum(len(message["markdown"]) for message in messages)
            delay = DELAY + size / BYTES_PER_SECOND
            self._due = loop.call_later(delay, self.flush, context=contextvars.Context())

    def flush(self) -> None:
        """Show it as it is now; on the private loop."""
        if self._due is None:
            return
        self._due.cancel()
        self._due = None
        publisher = _publisher()
        if publisher is not None:
            bundle = saved_bundle(self._messages)
            self._send(publisher, bundle, update=True)
            if self.by_hand:
                self._hand(bundle)

    def close(self) -> None:
        """Show it as it is now, for the last time; on the private loop."""
        self.flush()
        self._messages = ()

    def _send(self, publisher: Any, bundle: dict[str, str], *, update: bool) -> None:
        publisher.publish(bundle, {}, transient={"display_id": self._slot}, update=update)


def saved_bundle(messages: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A panel's messages as ``text/html``, ``text/markdown`` and ``text/plain``: all safe."""
    earlier = len(messages) - SHOWN
    bundle = sections_bundle(
        [section for message in messages[-SHOWN:] for section in _sections(message)],
        header=f"{earlier:,} earlier messages" if earlier > 0 else "",
    )
    html = _HEADING.sub(r'<\1 class="jp-toc-ignore"', bundle["text/html"]) if messages else ""
    return {**bundle, "text/html": f'<div class="nbagents-saved">{html}</div>'}


def _sections(message: Mapping[str, Any]) -> list[Section]:
    label = speaker(message["role"], message["source"])
    status = STATUS_WORDS.get(message["status"], "")
    told = (note.removesuffix(RETRY) for note in message["notes"])  # here is no such button
    notes = [*([status] if status else []), *told]
    pictures = len(message["images"])
    if pictures:
        notes.append(f"{pictures} image" + ("s" if pictures > 1 else ""))
    said = [Section(" · ".join([label, *notes]), _cut(message["markdown"]))]
    calls = [
        Section(f"calls {call['name']}", _call(call), folded=True) for call in message["calls"]
    ]
    if calls and not message["markdown"]:
        return calls
    return said + calls


def _call(call: Mapping[str, Any]) -> str:
    asked = FunctionCall(id=call["id"], name=call["name"], arguments=call["arguments"])
    result = FunctionExecutionResult(
        content=call["result"], name=call["name"], call_id=call["id"], is_error=call["is_error"]
    )
    return _cut(f"{calls_markdown([asked])}\n\n{results_markdown([result])}")


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]} …\n\n({len(text) - LONGEST:,} more characters)"


def _publisher() -> Any:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    publisher = getattr(shell, "display_pub", None)
    return publisher if getattr(publisher, "pub_socket", None) is not None else None
