"""A chat panel on a page, and what a person does with it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from nbagents.testing import ScriptedReply, chunk, stream

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from nbagents.testing._http import RecordedRequest

AGENT = """\
import json, threading, time
import pandas as pd
from nbagents import ChatAgent
from nbagents.models import OpenAIChatCompletionClient
from nbagents.tools import tool

@tool
def area(width: float, height: float) -> str:
    "The area of a rectangle."
    return f"{width * height} by {threading.current_thread().name}"

@tool(side_effects=True)
def remove(name: str) -> str:
    "Remove a file."
    return f"removed {name}"

sales = pd.DataFrame({"city": ["Oslo", "Rome"], "units": [31, 47]})
client = OpenAIChatCompletionClient(model="gpt-4o")
tutor = ChatAgent(client, name="tutor", tools=[area, remove])
panel = tutor.panel()
panel"""
# What the saved copy says below a panel that is there: it stands aside in a template.
COPIED = """text => [...document.querySelectorAll(".nbagents-saved template")]
    .some(copy => copy.content.textContent.includes(text))"""
# Whether the page's first reply has grown beyond so many characters.
LONGER = "n => document.querySelector('.nba-assistant > .nba-body')?.innerText.length > n"
PACE = 0.005  # seconds between words
# A panel paints for some milliseconds in each frame, until all is there.
PAINTED = """async log => {
    for (let before; before !== log.textContent;) {
        before = log.textContent;
        for (let n = 0; n < 3; n++) await new Promise(requestAnimationFrame);
    }
}"""
# A data address on the clipboard as an image, as "Copy image" does it.
COPY_PICTURE = """async address => {
    const blob = await (await fetch(address)).blob();
    await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
}"""

# The lightness of a panel's ground and ink, 0 to 1, by painting them.
LIGHTNESS = """panel => {
    const painter = document.createElement("canvas").getContext("2d");
    const style = getComputedStyle(panel);
    return [style.backgroundColor, style.color].map(colour => {
        painter.fillStyle = colour;
        painter.fillRect(0, 0, 1, 1);
        const [r, g, b] = painter.getImageData(0, 0, 1, 1).data;
        return (r + g + b) / 765;
    });
}"""


def calls(*named: tuple[str, Mapping[str, Any]], say: str | None = None) -> ScriptedReply:
    """A reply that calls tools: names and arguments."""
    asked = [
        {
            "index": index,
            "id": f"call-{index}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for index, (name, arguments) in enumerate(named)
    ]
    return stream(chunk(say, tool_calls=asked), chunk(finish_reason="tool_calls"))


def without_end(word: str, count: int = 400) -> ScriptedReply:
    """A reply that says a word over and over, and then waits for the client to hang up."""
    return stream(*_said(word, count), done=False).but(ending="stall")


class Held:
    """A reply of which the second half waits until it is let go.

    Attributes:
        words: What it says in the end.
        reply: For the server, once.
    """

    def __init__(self, word: str, count: int = 400) -> None:
        self.words = f"{word} " * count
        self._let_go = threading.Event()
        half = stream(*_said(word, count // 2), done=False)
        self.reply = half.but(steps=self._steps(half.steps))

    def let_go(self) -> None:
        """Have it go on to its end."""
        self._let_go.set()

    def _steps(self, half: Sequence[bytes | float]) -> Iterator[bytes | float]:
        yield from half
        while not self._let_go.is_set():
            yield PACE
        yield from half
        yield from stream(chunk(finish_reason="stop")).steps


def _said(word: str, count: int) -> list[Any]:
    each = chunk(f"{word} ") | {"model": "gpt-4o"}
    return [step for _ in range(count) for step in (PACE, each)]


def prompts(request: RecordedRequest) -> list[Any]:
    """What the person said, as the server got it."""
    return [each["content"] for each in request.json()["messages"] if each["role"] == "user"]


class Chat:
    """A panel.

    Args:
        root: Where it is: an element with a panel in it.
    """

    def __init__(self, root: Locator) -> None:
        self.root = root.locator(".nbagents-panel")
        self.page = root.page
        self.log = self.root.get_by_role("log")
        self.draft = self.root.get_by_role("textbox")
        self.messages = self.log.locator(".nba-message")

    def ask(self, text: str) -> None:
        """Type and press Enter."""
        self.draft.fill(text)
        self.draft.press("Enter")

    def see(self, text: str) -> None:
        """Wait until the conversation says ``text``."""
        self.log.get_by_text(text).first.wait_for()

    def rest(self) -> None:
        """Wait until no reply is under way, and all that was said is painted."""
        self.button("Send").wait_for()
        self.log.evaluate(PAINTED)

    def hear(self, text: str) -> None:
        """Wait until screen readers were told ``text`` last; signs go after a while, this stays."""
        self.root.locator(".nba-live", has_text=text).wait_for(state="attached")

    def button(self, name: str) -> Locator:
        """A button, by its accessible name."""
        return self.root.get_by_role("button", name=name, exact=True)

    def press(self, name: str, message: int = -1) -> None:
        """Press a button of a message, or of the panel."""
        within = self.messages.nth(message) if name in OF_A_MESSAGE else self.root
        if name in OF_A_MESSAGE:
            within.hover()
        within.get_by_role("button", name=name, exact=True).click()

    def texts(self) -> list[str]:
        """What the messages say, without names and footers."""
        bodies = self.messages.locator(".nba-body:not(.nba-fold *)")
        return [text.strip() for text in bodies.all_text_contents()]

    def footers(self) -> list[str]:
        """What stands below the replies."""
        found = self.messages.locator(".nba-foot > span:not(.nba-state)").all_text_contents()
        return [text for text in found if text]

    def violations(self) -> list[tuple[str, str]]:
        """What axe finds in the page's panels."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        found = axe.run(self.page, ".nbagents-panel", {"resultTypes": ["violations"]})
        return [
            (each["id"], node["html"][:200])
            for each in found.response["violations"]
            for node in each["nodes"]
        ]

    def is_dark(self) -> bool:
        """Whether it is light on dark; otherwise it is dark on light."""
        back, ink = self.root.evaluate(LIGHTNESS)
        assert abs(back - ink) > 0.6, "it is neither"
        return bool(back < ink)

    def wait_until(self, happened: Callable[[], object]) -> None:
        """Wait until something has happened outside of the page, at most a minute."""
        deadline = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < deadline
            self.page.wait_for_timeout(50)

    def wait_for_copy(self, text: str) -> None:
        """Wait until the copy for the saved notebook says ``text``."""
        self.page.wait_for_function(COPIED, arg=text)

    def clear(self) -> None:
        """Begin anew, whatever there was."""
        self.rest()
        self.press("Clear the conversation")
        self.messages.first.wait_for(state="detached")
        self.press("Dismiss")
        self.rest()


OF_A_MESSAGE = ("Copy message", "Retry", "Edit and branch")
