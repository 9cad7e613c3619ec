"""The panel in a page by itself: its module is loaded as anywidget loads it, its model is a fake.

The fake stands where Jupyter is: it keeps what the panel sends, and says what a kernel would.
Nothing else is faked: the page, its events and its layout are Chromium's own.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbagents.rendering import html_blocks

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

STATIC = Path(__file__).parents[2] / "nbagents" / "notebook" / "static"
ADDRESS = "http://localhost/"  # where browsers allow the clipboard
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>quiet</title>
<body style="margin:0"><p id="before">before</p><main id="cell" style="padding:12px"></main>
<p id="after">after</p></body></html>"""
MOUNT = """async ([esm, css, state]) => {
    const style = document.createElement("style");
    style.textContent = css;
    document.head.append(style);
    const url = URL.createObjectURL(new Blob([esm], {type: "text/javascript"}));
    const widget = await (await import(url)).default();
    const listeners = [];
    window.live = true;
    const owner = {get model() { return {comm_live: window.live}; }};  // anywidget's view
    const model = {
        get: name => state[name],
        set: (name, value) => { state[name] = value; },
        save_changes: () => { window.sent.push({kind: "saved"}); },
        send: content => {
            if (window.broken) throw new Error("no kernel");
            window.sent.push(structuredClone(content));
        },
        on: (name, callback) => listeners.push([name, callback]),
        off: () => {},
    };
    window.sent = [];
    window.state = state;
    window.emit = (name, ...given) => {
        for (const [known, callback] of listeners) {
            if (known === name) callback.call(owner, ...given);
        }
    };
    window.tell = (...contents) => {
        for (const content of contents) window.emit("msg:custom", content);
    };
    window.open_view = async () => {
        const el = document.createElement("div");
        document.getElementById("cell").append(el);
        const signal = new AbortController().signal;
        const close = await widget.render({model, el, signal});
        return { el, close: () => { close(); el.remove(); } };
    };
    await widget.initialize({model, signal: new AbortController().signal});
    window.view = await window.open_view();
}"""
# What the kernel says is painted 50 ms after the paint before at the earliest.
SETTLED = """() => new Promise(done => setTimeout(() =>
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))), 50))"""


class Room:
    """A page with a panel in it.

    Attributes:
        page: Playwright's page.
        asked: The addresses that the page asked for, and the dialogs that it opened.
        failures: Exceptions that nothing in the page caught.
    """

    def __init__(self, browser: Browser, **options: Any) -> None:
        context = browser.new_context(
            viewport={"width": 900, "height": 800},
            permissions=["clipboard-read", "clipboard-write"],
            **options,
        )
        self.page = context.new_page()
        self.page.set_default_timeout(5_000)
        self.asked: list[str] = []
        self.failures: list[str] = []
        self.page.route("**/*", self._answer)
        self.page.on("dialog", lambda dialog: (self.asked.append("dialog"), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.failures.append(str(error)))

    def _answer(self, route: Any) -> None:
        if route.request.url == ADDRESS:
            route.fulfill(body=PAGE, content_type="text/html")
        else:
            self.asked.append(route.request.url)
            route.abort()

    def mount(self, *messages: dict[str, Any], name: str = "tutor", **state: Any) -> None:
        """A new page with a panel that starts from this saved state."""
        self.page.goto(ADDRESS)
        self.mount_in_page(*messages, name=name, **state)
        self.settle()

    def mount_in_page(self, *messages: dict[str, Any], name: str = "tutor", **state: Any) -> None:
        """A panel in the page that is open."""
        self._seq = count(1)
        scripts = [(STATIC / file).read_text() for file in ("panel.js", "panel.css")]
        given = {"messages": list(messages), "name": name, "busy": False, "totals": ""} | state
        self.page.evaluate(MOUNT, [*scripts, given])

    def tell(self, kind: str, **content: Any) -> None:
        """Say what a kernel says, with the next number."""
        if kind != "whole":
            content = {"seq": next(self._seq)} | content
        self.page.evaluate("content => tell(content)", {"kind": kind, **content})
        self.settle()

    def whole(self, *messages: dict[str, Any], seq: int = 0, **content: Any) -> None:
        """Answer the panel's question for everything."""
        given = {"messages": list(messages), "busy": False, "totals": "", "answers": []} | content
        self.tell("whole", seq=seq, **given)
        self._seq = count(seq + 1)

    def settle(self) -> None:
        """Wait until what was said is painted."""
        self.page.evaluate(SETTLED)

    def sent(self, kind: str = "") -> list[dict[str, Any]]:
        """What the panel has sent to the kernel."""
        return [each for each in self.page.evaluate("sent") if kind in ("", each["kind"])]

    def see(self, selector: str) -> Locator:
        """Something in the panel."""
        return self.page.locator(f".nbagents-panel {selector}")

    @property
    def draft(self) -> Locator:
        """Where the person types."""
        return self.see("textarea")

    def press(self, name: str) -> Locator:
        """A button of the panel, by its accessible name."""
        return self.page.get_by_role("button", name=name, exact=True)


def blocks(markdown: str) -> list[str]:
    """Markdown as the blocks of HTML that the kernel sends."""
    return list(html_blocks(markdown, math="mathml"))


def message(identity: str, text: str = "", **changes: Any) -> dict[str, Any]:
    """A message; one whose id starts with ``u`` is the person's."""
    user = identity.startswith("u")
    return {
        "id": identity,
        "role": "user" if user else "assistant",
        "source": "user" if user else "tutor",
        "status": "complete",
        "blocks": blocks(text),
        "reasoning": [],
        "notes": [],
        "footer": "",
        "calls": [],
        "images": [],
        "markdown": text,
        "at": int("".join(filter(str.isdigit, identity)) or 0),
        **changes,
    }
