"""A chat panel on a page, and what a person does with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbagents.testing import ScriptedReply, chunk, stream

if TYPE_CHECKING:
    from playwright.sync_api import Locator

# A data address on the clipboard as an image, as "Copy image" does it.
COPY_PICTURE = """async address => {
    const blob = await (await fetch(address)).blob();
    await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
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
        """Wait until no reply is under way."""
        self.button("Send").wait_for()

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

    def clear(self) -> None:
        """Begin anew, whatever there was."""
        self.rest()
        self.press("Clear the conversation")
        self.messages.first.wait_for(state="detached")
        self.press("Dismiss")


OF_A_MESSAGE = ("Copy message", "Retry", "Edit and branch")
