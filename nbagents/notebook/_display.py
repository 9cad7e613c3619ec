"""A reply while it grows and when it is finished, in a notebook, a terminal or a test.

    live      a notebook: the reply grows, and one static output is left (`_live`)
    final     nothing until the reply is finished: under ``NBAGENTS_RENDER=final``, under pytest
              (nbval does not know updates), in ``%%capture``, in an ``ipywidgets.Output``
    terminal  text as it comes

Live and final leave the same bundle behind.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from nbagents._mode import is_final
from nbagents.notebook._live import LiveDisplay
from nbagents.notebook._outputs import in_output_widget, outputs_of, parent_of
from nbagents.rendering import plain

__all__ = ["FinalDisplay", "ReplyDisplay", "TerminalDisplay", "reply_display"]

Mode = Literal["live", "final", "terminal"]


class ReplyDisplay(Protocol):
    """Where a reply is shown; used in one thread, the one that runs the cell."""

    @property
    def mode(self) -> Mode:
        """How it is shown; decided once."""

    def feed(self, chunk: str) -> None:
        """Take what came; a `StreamChunk` tells text from reasoning by its ``kind``."""

    def wait_for(self, what: str) -> None:
        """Say what the request waits for, ``""`` when that is over; from any thread."""

    def due(self) -> float | None:
        """Seconds until `paint` is worth calling; None when there is nothing to show."""

    def paint(self) -> None:
        """Show what has come."""

    def finish(self, bundle: Mapping[str, str], *, footer: str = "") -> None:
        """Leave ``bundle`` as the one output, in place of everything shown so far.

        A terminal shows what is missing of the reply, and then ``footer`` (plain text).
        """

    def abort(self) -> None:
        """Leave nothing: the reply failed before there was any text."""


def reply_display(shell: Any, *, label: str = "") -> ReplyDisplay:
    """Choose the display for a reply in ``shell``; ``label`` says who is waited for."""
    publisher = shell.display_pub
    if _wants_final(publisher):
        return FinalDisplay(publisher)
    if getattr(publisher, "pub_socket", None) is None:
        return TerminalDisplay()
    return LiveDisplay(publisher, outputs_of(publisher), label=label)


def _wants_final(publisher: Any) -> bool:
    return (
        is_final()
        or type(publisher).__name__ == "CapturingDisplayPublisher"
        or in_output_widget(parent_of(publisher))
    )


class FinalDisplay:
    """Shows the finished reply only."""

    mode: Mode = "final"

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher

    def feed(self, chunk: str) -> None:
        """Take what came; it is in the bundle too."""

    def wait_for(self, what: str) -> None:
        """What is waited for is not shown."""

    def due(self) -> None:
        """Nothing is ever due."""

    def paint(self) -> None:
        """Show nothing yet."""

    def finish(self, bundle: Mapping[str, str], *, footer: str = "") -> None:
        """Show the reply."""
        self._publisher.publish(dict(bundle), {})

    def abort(self) -> None:
        """Leave nothing, as nothing was shown."""


# What may be the start of a newline or of an escape sequence: it is shown with what follows.
_OPEN_END = re.compile(r"(?:\r|[\x1b\x9b][^A-Za-z]{0,40})\Z")


class TerminalDisplay:
    """Writes a reply's text to the terminal as it comes, without control sequences.

    Reasoning is not shown, only that there is some.
    """

    mode: Mode = "terminal"

    def __init__(self) -> None:
        self._held = ""
        self._written = ""
        self._thinking = False

    def feed(self, chunk: str) -> None:
        """Write ``chunk``; the start of an escape sequence waits for its end."""
        if getattr(chunk, "kind", "text") == "reasoning":
            if not self._thinking:
                self._write("(thinking)\n")
            self._thinking = True
            return
        text = self._held + chunk
        open_end = _OPEN_END.search(text)
        end = open_end.start() if open_end else len(text)
        self._held = text[end:]
        self._write(plain(text[:end]))

    def wait_for(self, what: str) -> None:
        """What is waited for is not shown."""

    def due(self) -> None:
        """Nothing is ever due: the text was written at once."""

    def paint(self) -> None:
        """Show what has come, which `feed` has done."""

    def finish(self, bundle: Mapping[str, str], *, footer: str = "") -> None:
        """End the reply's last line and write ``footer``; a reply not written yet is written."""
        self._write(plain(self._held))
        if not self._written:
            footer = bundle.get("text/plain", "")
        self._end_line()
        self._write(plain(footer))
        self._end_line()

    def abort(self) -> None:
        """End the line; what is written stays."""
        self._end_line()

    def _end_line(self) -> None:
        if self._written and not self._written.endswith("\n"):
            self._write("\n")

    def _write(self, text: str) -> None:
        if text:
            self._written = text
            sys.stdout.write(text)
            sys.stdout.flush()
