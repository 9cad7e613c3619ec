"""The hostile texts in a real browser: no script runs, nothing is fetched, nothing else moves."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from nbagents.rendering import reply_bundle
from tests.rendering.hostile import CANARY, HOSTILE

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
)
PAGE = """<!doctype html><meta charset="utf-8"><title>quiet</title>
<p id="before">before</p><main>{}</main><p id="after">after</p>"""
# What a reader sees of the page beside the message, and how the elements of it stand.
OUTSIDE = """() => ({
    pwned: "pwned" in window,
    title: document.title,
    parents: ["before", "after"].map(id => document.getElementById(id)?.parentElement?.tagName),
    texts: ["before", "after"].map(id => document.getElementById(id)?.innerText),
    top: document.getElementById("before")?.getBoundingClientRect().top,
    shown: getComputedStyle(document.body).display,
    hit: document.elementFromPoint(20, document.getElementById("before")
        .getBoundingClientRect().top + 5)?.id,
})"""
QUIET = {
    "pwned": False,
    "title": "quiet",
    "parents": ["BODY", "BODY"],
    "texts": ["before", "after"],
    "shown": "block",
    "hit": "before",
}
LET_THROUGH = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


# Size is tried without a browser.
NAMED = {name: text[:4_000] for name, text in HOSTILE.items()}


class Room:
    """A page that cannot reach anything, and knows who tried."""

    def __init__(self, browser):
        self.page = browser.new_page()
        self.asked: list[str] = []
        self.page.route("**/*", self._refuse)
        self.page.on("dialog", lambda dialog: (self.asked.append("dialog"), dialog.dismiss()))
        self.page.goto("about:blank")

    def _refuse(self, route):
        self.asked.append(route.request.url)
        route.abort()

    def show(self, content):
        self.asked.clear()
        self.page.set_content(PAGE.format(content), wait_until="load")
        self.page.wait_for_timeout(30)
        seen = self.page.evaluate(OUTSIDE)
        self.page.evaluate("delete window.pwned")
        seen.pop("top")
        return seen, list(self.asked)


@pytest.fixture(scope="module")
def room():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=FLAGS.split()
        )
        yield Room(browser)
        browser.close()


@pytest.mark.parametrize("name", NAMED)
def test_a_hostile_reply_does_nothing_as_html_or_as_markdown_that_lets_html_through(room, name):
    bundle = reply_bundle(NAMED[name], reasoning=NAMED[name][:500], footer=NAMED[name][:100])
    assert room.show(bundle["text/html"] + LET_THROUGH.render(bundle["text/markdown"])) == (
        QUIET,
        [],
    )


@pytest.mark.parametrize(
    "name", ["script", "image with a handler", "svg", "iframe", "style sheet", "image"]
)
def test_a_planted_hole_is_seen(room, name):
    assert room.show(LET_THROUGH.render(HOSTILE[name])) != (QUIET, [])


def test_a_planted_request_is_seen(room):
    _seen, asked = room.show(f'<img src="{CANARY}/pixel.png">')
    assert asked == [f"{CANARY}/pixel.png"]
