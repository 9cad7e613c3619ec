"""Hostile replies in a live, trusted JupyterLab: nothing runs, and nothing is fetched."""

from __future__ import annotations

import pytest

from nbagents.testing import text
from tests.rendering.hostile import CANARY, HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

# One of each kind; all of them are tried on the page that tests/rendering makes.
NAMES = [
    "script",
    "script in TeX",
    "image with a handler",
    "svg",
    "iframe",
    "meta refresh",
    "style sheet",
    "wrapper's end",
    "image",
    "TeX link",
    "TeX that ends its element",
]
LIVE = "() => [...document.querySelectorAll('.nbagents a')].map(link => link.protocol)"


def test_hostile_replies_run_nothing_and_fetch_nothing(chatting, window, server):
    server.will_reply(*(text(f"Before. {HOSTILE[name]}\n\nAfter.", pace=0.01) for name in NAMES))
    notebook = chatting(*["%%chat -m gpt-4o --fresh\nGo."] * len(NAMES))
    cells = notebook.page.locator(".jp-Cell").count()
    notebook.run_all()
    notebook.wait_idle()
    for number in range(1, len(NAMES) + 1):
        assert "Before." in notebook.text(number), NAMES[number - 1]
        assert "After." in notebook.text(number), NAMES[number - 1]
    assert notebook.page.evaluate("'pwned' in window") is False
    assert notebook.page.locator(".jp-Cell").count() == cells
    assert set(notebook.page.evaluate(LIVE)) <= {"http:", "https:", "mailto:"}
    assert window.strays == []


def test_a_planted_hole_is_seen(window):
    pixel = f"{CANARY}/pixel.png"
    planted = f"<img src='{pixel}'>{HOSTILE['script']}"
    window.lab.write("hole.ipynb", f'from IPython.display import HTML\nHTML("""{planted}""")')
    notebook = window.open("hole.ipynb")
    notebook.run(0)
    notebook.page.wait_for_function("'pwned' in window")
    notebook.wait_idle()
    assert pixel in window.strays
    window.strays.clear()
    window.page.evaluate("delete window.pwned")
