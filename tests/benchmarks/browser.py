"""What a reader of JupyterLab waits for: a rich reply of 15 KB, by ``%%chat`` and by hand.

A reply that is not whole in time leaves a page that does not answer: measure it last.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.benchmarks.kernels import BY_HAND, CHAT
from tests.benchmarks.server import reply
from tests.browser.lab import SECONDS, Lab, Window, chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNKS = 2_500
PATIENCE = 60
"""Seconds after the stream's end until a reader gives up."""

SETUP = """\
import os
os.environ.update(OPENAI_API_KEY="x", OPENAI_BASE_URL="{}")
%load_ext nbagents"""

# Notes when the reply is whole, formulas and all, and how long the page could not react: the
# sum of all tasks of more than 50 ms.
WATCH = """(cell, whole) => {
    window.seen = {blocked: 0, wholeAt: null};
    new PerformanceObserver(list => {
        for (const task of list.getEntries()) seen.blocked += task.duration;
    }).observe({type: "longtask"});
    const output = cell.querySelector(".jp-Cell-outputArea");
    const look = () => {
        if (output.querySelectorAll("tbody tr").length === whole.rows
            && output.querySelectorAll("mjx-container").length === whole.formulas
            && output.textContent.includes(whole.end))
            seen.wholeAt = performance.timeOrigin + performance.now();
        else
            requestAnimationFrame(look);
    };
    look();
}"""


@dataclass
class Seen:
    """What was seen of a reply.

    Attributes:
        behind: Seconds from the stream's end until the whole reply was on screen; None when it
            was not within `PATIENCE`.
        blocked: Seconds in which the page could not react; None when that was not awaited.
    """

    behind: float | None
    blocked: float | None


def available() -> bool:
    """Whether there is a Chromium to measure in."""
    return shutil.which("chromium") is not None


@contextmanager
def lab() -> Iterator[Window]:
    """A window with JupyterLab in it."""
    with Lab() as server, window_of(server) as window:
        yield window


@contextmanager
def window_of(server: Lab) -> Iterator[Window]:
    """A window of a browser of its own; it is closed even if its page does not answer."""
    with chromium() as browser:
        yield Window(server, browser)
    for session in server.ask("GET", "sessions"):
        server.ask("DELETE", f"sessions/{session['id']}")


def chat(window: Window, address: str, per_second: int | None) -> Seen:
    """A reply in a ``%%chat`` cell; None for as fast as it can be read."""
    return _seen(window, address, per_second, CHAT, f"{CHUNKS:,} tokens")


def by_hand(window: Window, address: str, per_second: int) -> Seen:
    """A reply in a hand-written cell that shows the whole text again with every chunk."""
    return _seen(window, address, per_second, BY_HAND, "")


def _seen(window: Window, address: str, per_second: int | None, cell: str, end: str) -> Seen:
    pace = f"/per-second/{per_second}" if per_second else ""
    window.lab.write("bench.ipynb", SETUP.format(f"{address}/chunks/{CHUNKS}{pace}/v1"), cell)
    notebook = window.open("bench.ipynb")
    notebook.run(0)
    notebook.wait_idle()
    notebook.cell(1).evaluate(WATCH, _whole() | {"end": end})
    started = time.time()
    notebook.run(1)
    ended = end_of_stream(address, started)
    page = notebook.page
    try:
        page.wait_for_function("() => seen.wholeAt", timeout=PATIENCE * SECONDS)
    except PlaywrightTimeoutError:
        # It may not answer for minutes: it is not asked for more.
        return Seen(None, None)
    page.wait_for_timeout(SECONDS)  # what it does then counts as well
    seen = page.evaluate("seen")
    window.close_all()
    return Seen(seen["wholeAt"] / 1_000 - ended, seen["blocked"] / 1_000)


def end_of_stream(address: str, started: float) -> float:
    """When the stream ended that was asked for after ``started``; waits for it."""
    while True:
        with urllib.request.urlopen(f"{address}/ended") as response:
            ended: float = json.load(response)
        if ended > started:
            return ended
        time.sleep(0.1)


def _whole() -> dict[str, int]:
    """How many formulas and rows of tables the whole reply has."""
    text = "".join(reply(CHUNKS))
    return {
        "formulas": text.count("$") // 2,
        "rows": len(re.findall(r"^\| [EM]", text, re.MULTILINE)),
    }
