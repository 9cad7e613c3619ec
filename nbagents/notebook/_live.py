"""A reply that grows in the output area of a cell.

Finished blocks are shown in outputs that are not sent again, only the last output is updated.
When the reply is complete, all of them give way to one output with the final bundle, so that
what a notebook keeps depends on no update: some front ends drop them.

Where the cell holds nothing else, `clear_output` takes the growing form away. Where it does, it
must not: then the reply grows within a single output, which is emptied by an update.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from nbagents.notebook._ends import END, LONGEST, end_html
from nbagents.notebook._outputs import CellOutputs, parent_of
from nbagents.notebook._pace import Pace
from nbagents.rendering import GROWING, STYLE, Block, BlockStream, block_html, escape

__all__ = ["LiveDisplay"]

PATIENCE = 0.3
"""Seconds without a sign of the model before the cell says that it waits."""
GLIMPSE = 160
"""Characters of the reasoning that are shown while the model thinks."""
MOST_KEPT = 3_000
"""Characters of finished blocks that are sent again with the tail, for it not to leave them."""


class LiveDisplay:
    """Shows a growing reply through IPython's display publisher.

    The growing form is ``text/html`` alone: a console that shows plain text gets the final
    bundle only, and no piece of it twice.
    """

    mode: Literal["live", "final", "terminal"] = "live"

    def __init__(
        self,
        publisher: Any,
        outputs: CellOutputs | None,
        *,
        label: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._outputs = outputs
        self._parent = parent_of(publisher)
        self._label = label
        self._clock = clock
        self._started = clock()
        self._pace = Pace(clock)
        self._blocks = BlockStream()
        self._kept: list[str] = []  # blocks that are finished and stand in the tail's output
        self._painted = 0  # characters of the tail that are shown
        self._new: list[str] = []
        self._due = False
        self._reasoning = ""
        self._thinking = False
        self._slots: list[str] = []  # the display ids of what is shown
        self._open = False  # the last output is the tail's, to be updated
        self._alone = self._shown() == 0
        self._text = ""
        self._size = 0
        self._end = ""  # of a reply that has grown too long to be set; what is new is in it
        self._awaited = ""
        self._awaited_shown = ""

    def feed(self, chunk: str) -> None:
        """Take what came; it is shown by the next `paint`."""
        self._thinking = getattr(chunk, "kind", "text") == "reasoning"
        if self._thinking:
            self._reasoning = (self._reasoning + chunk)[-4 * GLIMPSE :]
        else:
            self._take(chunk)
        self._due = True
        self._pace.received(len(chunk))

    def wait_for(self, what: str) -> None:
        """Say what the request waits for, ``""`` when that is over; from any thread."""
        self._awaited = what

    def due(self) -> float | None:
        """Seconds until there is something to show and the last update is long enough ago."""
        if self._due or (self._slots and self._awaited != self._awaited_shown):
            return self._pace.wait()
        if self._slots:
            return None
        return max(0.0, self._started + PATIENCE - self._clock())

    def paint(self) -> None:
        """Show what has come: blocks that are finished, and the rest in an output to update."""
        started = self._clock()
        text = "".join(self._new)
        self._new.clear()
        self._due = False
        self._awaited_shown = self._awaited
        if self._end:
            self._put_end()
        elif self._alone:
            self._paint_blocks(text)
        else:
            self._text += text
            self._put(STYLE + self._tail(self._text))
        self._pace.painted(self._clock() - started)

    def finish(self, bundle: Mapping[str, str], *, footer: str = "") -> None:
        """Leave ``bundle`` in place of what was shown; ``footer`` is in it already."""
        self._retract(wait=True)
        self._publisher.publish(dict(bundle), {})

    def abort(self) -> None:
        """Leave nothing of what was shown."""
        self._retract(wait=False)

    def _take(self, chunk: str) -> None:
        """Keep what is to be shown: of a long reply no more than its end, however it is paced."""
        self._size += len(chunk)
        if self._size <= LONGEST:
            self._new.append(chunk)
        else:
            self._end = (self._end + "".join(self._new) + chunk)[-END:]
            self._new.clear()

    def _paint_blocks(self, text: str) -> None:
        if not self._slots:
            self._put(STYLE + GROWING)
            self._open = False
        blocks = self._blocks.feed(text)
        if blocks:
            self._put_finished(blocks)
        self._painted = len(self._blocks.tail.source)
        tail = self._tail(self._blocks.tail)
        if tail or self._open:  # what an open output says may be over
            self._put(tail)

    def _put_finished(self, blocks: list[Block]) -> None:
        """Show blocks that are finished, and begin a new output for the tail.

        Where the beginning of the tail is shown with them, as that of a list is until its line
        is known to be one, they stay together: it would be gone until the next message is shown.
        """
        self._kept += blocks
        together = sum(len(block.source) for block in blocks) < self._painted
        if not together or sum(map(len, self._kept)) > MOST_KEPT:
            self._put(self._set(*self._kept))
            self._open = False
            self._kept.clear()

    def _put_end(self) -> None:
        """Show the end of a long reply, in the place of its last block or of all of it."""
        html = end_html(self._end, self._size)
        self._put(("" if self._alone else STYLE) + _wrapped(html))

    def _tail(self, markdown: str) -> str:
        tail = [markdown] if markdown.strip() else []
        html = self._set(*self._kept, *tail) if self._kept or tail else ""
        if self._thinking:
            glimpse = " ".join(self._reasoning[-GLIMPSE:].split())
            return html + _note(f"thinking\u2026 {glimpse}")
        if self._awaited_shown:
            return html + _note(f"\u2026 waits for {self._awaited_shown}")
        waiting = not html and len(self._slots) - self._open < 2  # no block is shown
        return _note(f"\u2026 {self._label}") if waiting else html

    def _set(self, *blocks: str) -> str:
        part = ""
        if self._alone:
            first = len(self._slots) - self._open < 2  # after the style sheet
            part = "nb-part" if first else "nb-part nb-next"
        return block_html(*blocks, style=False, part=part)

    def _put(self, html: str) -> None:
        """Show ``html`` in the open output, or in a new one."""
        update = self._open
        if not update:
            self._slots.append(f"nbagents-{secrets.token_hex(8)}")
        self._open = True
        self._publish({"text/html": html}, self._slots[-1], update=update)
        self._pace.sent(len(html))

    def _retract(self, *, wait: bool) -> None:
        if not self._slots:
            return
        if self._alone and self._shown() == len(self._slots):
            self._publisher.clear_output(wait=wait)
        else:
            for slot in self._slots:
                self._publish({}, slot, update=True)
        self._slots.clear()
        self._open = False

    def _shown(self) -> int | None:
        """The outputs of the cell, ours and others'; None when nobody counts."""
        # What is printed is counted once it is sent.
        sys.stdout.flush()
        sys.stderr.flush()
        return self._outputs.count(self._parent) if self._outputs else None

    def _publish(self, bundle: dict[str, str], slot: str, *, update: bool) -> None:
        self._publisher.publish(bundle, {}, transient={"display_id": slot}, update=update)


def _note(text: str) -> str:
    return _wrapped(f'<p class="nb-note">{escape(text.strip())}</p>')


def _wrapped(html: str) -> str:
    return f'<div class="nbagents mathjax_ignore tex2jax_ignore">{html}</div>'
