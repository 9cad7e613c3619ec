"""Hostile replies in JupyterLab and in what nbconvert makes of them, in a real Chromium.

``python -m tests.torture.pages NAME ...`` prints each figure as a line of JSON. It is a process
of its own, because Playwright wants no event loop beside its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbconvert
from nbformat.v4 import new_code_cell, new_notebook, new_output

from nbagents.testing import LoopbackServer, chunk, stream
from tests.browser.lab import Lab, Notebook, Window, chromium
from tests.rendering.hostile import CANARY, HOSTILE
from tests.torture.figures import Figure

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from playwright.sync_api import Browser

SETUP = """import os
os.environ.update(OPENAI_API_KEY="x", OPENAI_BASE_URL="{}")
%load_ext nbagents"""
RUN = "pwned++"
TRIES = 4
HOLES = {
    "script": f"<script>window.pwned = 1; window.{RUN}</script>",
    "image": f'<img src="{CANARY}/planted.png">',
    "dialog": "<script>alert(1)</script>",
    "frame": '<iframe srcdoc="x"></iframe>',
    "overlay": '<p style="position:fixed;inset:0">over</p>',
    "clobbering": '<b id="document">x</b>',
    "link": '<a href="javascript:void 0">x</a>',
    "page": "<style>body { opacity: 0.5 }</style>",
}
"""What must be seen: a way out for each of the things that are looked at."""

# Runs a cell and waits for its last word, on the page's own clock; in milliseconds.
SHOW = """([number, word]) => new Promise(resolve => {
    const started = performance.now();
    const cell = document.querySelectorAll(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell");
    const look = () => {
        const shown = cell[number].querySelector(".jp-Cell-outputArea")?.textContent ?? "";
        const late = performance.now() - started > 30000;
        if (shown.includes(word) || late) resolve(late ? -1 : performance.now() - started);
        else requestAnimationFrame(look);
    };
    jupyterapp.shell.currentWidget.content.activeCellIndex = number;
    jupyterapp.commands.execute("notebook:run-cell");
    look();
})"""
# What may not be inside of an output, and what of the page around it may not change.
INSIDE = """outputs => {
    const odd = [];
    for (const element of outputs.flatMap(output => [...output.querySelectorAll("*")])) {
        const name = element.localName;
        if (["script", "iframe", "frame", "form", "input", "object", "embed", "link", "meta",
             "base", "img", "video", "audio", "svg", "button", "template"].includes(name)
            && !element.closest("mjx-container, .MathJax")) odd.push(name);
        if (element.id && !element.closest("mjx-container")) odd.push("#" + element.id);
        for (const attribute of element.attributes)
            if (attribute.name.startsWith("on")) odd.push(attribute.name);
        if (name === "a" && !["http:", "https:", "mailto:"].includes(element.protocol))
            odd.push(element.protocol);
        if (["fixed", "sticky"].includes(getComputedStyle(element).position)) odd.push("fixed");
    }
    return odd;
}"""
AROUND = """() => ({
    pwned: "pwned" in window, title: document.title,
    // JupyterLab puts cells into the page as they come into sight.
    cells: window.jupyterapp?.shell.currentWidget.content.widgets.length
        ?? document.querySelectorAll(".jp-Cell").length,
    frames: document.querySelectorAll("iframe, frame, object, embed, base, form").length,
    body: ["display", "opacity", "visibility", "position"].map(
        name => getComputedStyle(document.body)[name]),
    bar: [...document.querySelectorAll("#jp-top-panel, #jp-menu-panel")].map(
        bar => JSON.stringify(bar.getBoundingClientRect())),
})"""


def figures(names: Sequence[str]) -> Iterator[Figure]:
    """What came of each text, and of the planted holes."""
    with Lab() as lab, chromium() as browser, LoopbackServer() as server:
        window = Window(lab, browser)
        yield from _in_lab(window, server, names)
        notebook = lab.read("hostile.ipynb")
        yield from _as_page(browser, lab.folder, notebook, len(names))
        yield from _holes_in_lab(window)


def _in_lab(window: Window, server: LoopbackServer, names: Sequence[str]) -> Iterator[Figure]:
    cells = ["%%chat -m gpt-4o --fresh\nGo."] * (len(names) + 1)
    window.lab.write("hostile.ipynb", SETUP.format(server.base_url), *cells)
    notebook = window.open("hostile.ipynb")
    notebook.run(0)
    notebook.wait_idle()
    _shown(notebook, server, 1, "Ok.")  # the first one imports the SDK
    before = window.page.evaluate(AROUND)
    odd, moved, unseen, times = [], [], [], {}
    for number, name in enumerate(names, 2):
        tries = [_shown(notebook, server, number, HOSTILE[name])]
        while tries[-1] > 1_000 and len(tries) < TRIES:  # the machine may be busy
            tries.append(_shown(notebook, server, number, HOSTILE[name], len(tries)))
        times[name] = min(tries)
        if times[name] < 0:
            unseen.append(name)
        inside = _inside(notebook, number)
        if inside:
            odd.append((name, inside[:5]))
        after = window.page.evaluate(AROUND)
        if after != before:
            moved.append((name, after))
    for one in (*odd, *moved, *unseen):
        print(one, file=sys.stderr)
    notebook.wait_idle()
    notebook.save()
    what = f"{len(names)} hostile replies in JupyterLab"
    yield Figure(f"{what}: not shown to their end", len(unseen), 0)
    yield Figure(f"{what}: with active or misplaced elements", len(odd), 0)
    yield Figure(f"{what}: that changed something outside of the message", len(moved), 0)
    yield Figure(f"{what}: requests and dialogs", len(window.strays), 0)
    slowest = max(times, key=lambda name: times[name])
    yield Figure(f"{what}: slowest ({slowest})", times[slowest] / 1_000, 1.0, "s", timed=True)


def _shown(
    notebook: Notebook, server: LoopbackServer, number: int, text: str, attempt: int = 0
) -> float:
    """Milliseconds until a reply is on the screen to its last word; -1 when it never was."""
    last = f"After{number}x{attempt}."
    events = [chunk(f"Before. {text}"), chunk(f"\n\n{last}", "stop")]
    server.will_reply(stream(*map(json.dumps, events)))
    notebook.look_at(number)
    return float(notebook.page.evaluate(SHOW, [number, last]))


def _inside(notebook: Notebook, number: int) -> list[str]:
    outputs = notebook.output(number).locator(".jp-OutputArea-output")
    odd: list[str] = outputs.evaluate_all(INSIDE)
    return odd


def _holes_in_lab(window: Window) -> Iterator[Figure]:
    """Whether it is seen when somebody shows what came as HTML."""
    sources = [f"from IPython.display import HTML\nHTML({html!r} + 'After.')" for html in
               HOLES.values()]  # fmt: skip
    window.close_all()
    window.lab.write("holes.ipynb", *sources)
    notebook = window.open("holes.ipynb")
    odd: list[str] = []
    for number in range(len(HOLES)):
        notebook.run(number)
        notebook.wait_for_text(number, "After.")
        odd += _inside(notebook, number)
    notebook.wait_idle()
    window.page.wait_for_timeout(100)
    unseen = _unseen({"asked": window.strays, "odd": odd, "around": window.page.evaluate(AROUND)})
    yield Figure(f"holes planted in JupyterLab and not seen {unseen or ''}", len(unseen), 0)


def _unseen(page: dict[str, Any]) -> list[str]:
    """The holes that nothing shows of."""
    seen = {
        "script": page["around"]["pwned"],
        "image": f"{CANARY}/planted.png" in page["asked"],
        "dialog": "dialog" in page["asked"],
        "frame": "iframe" in page["odd"],
        "overlay": "fixed" in page["odd"],
        "clobbering": "#document" in page["odd"],
        "link": "javascript:" in page["odd"],
        "page": "0.5" in page["around"]["body"],
    }
    return [name for name, is_seen in seen.items() if not is_seen]


def _as_page(
    browser: Browser, folder: Path, notebook: NotebookNode, count: int
) -> Iterator[Figure]:
    """What nbconvert makes of the saved notebook, opened from the disk."""
    harmless = _page_of(browser, folder, _notebook_of("<p>Hello</p>"))
    hostile = _page_of(browser, folder, notebook)
    asked = [one for one in hostile["asked"] if one not in harmless["asked"]]
    missing = [n for n in range(2, count + 2) if f"After{n}x" not in hostile["text"]]
    for one in (*asked, *hostile["odd"][:5], *missing):
        print("nbconvert:", one, file=sys.stderr)
    what = f"{count} hostile replies as nbconvert's HTML"
    yield Figure(f"{what}: not shown to their end", len(missing), 0)
    yield Figure(f"{what}: active or misplaced elements", len(hostile["odd"]), 0)
    yield Figure(f"{what}: requests and dialogs beside the template's own", len(asked), 0)
    yield Figure(f"{what}: ways in which the page around is not as it was", _changes(
        harmless["around"], hostile["around"], len(notebook.cells)), 0)  # fmt: skip
    unseen = _unseen(_page_of(browser, folder, _notebook_of(*HOLES.values())))
    yield Figure(f"holes planted in nbconvert's HTML and not seen {unseen or ''}", len(unseen), 0)


def _changes(harmless: dict[str, Any], hostile: dict[str, Any], cells: int) -> int:
    expected = harmless | {"cells": cells, "title": hostile["title"]}
    return sum(hostile[name] != value for name, value in expected.items())


def _notebook_of(*pages: str) -> NotebookNode:
    outputs = [new_output("display_data", {"text/html": html}) for html in pages]
    return new_notebook(cells=[new_code_cell("x", outputs=outputs)])


def _page_of(browser: Browser, folder: Path, notebook: NotebookNode) -> dict[str, Any]:
    """What a page does when it is opened; nothing that it asks for is there."""
    html, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    file = folder / "page.html"
    file.write_text(html, encoding="utf-8")
    page = browser.new_page()
    asked: list[str] = []

    def route(one: Any) -> None:
        if one.request.url == file.as_uri():
            one.continue_()
        else:
            asked.append(one.request.url)
            one.abort()

    page.route("**/*", route)
    page.on("dialog", lambda dialog: (asked.append("dialog"), dialog.dismiss()))
    page.goto(file.as_uri(), wait_until="load", timeout=180_000)
    page.wait_for_timeout(100)
    seen = {
        "asked": sorted(set(asked)),
        "odd": page.locator(".jp-OutputArea-output").evaluate_all(INSIDE),
        "around": page.evaluate(AROUND),
        "text": page.evaluate("document.body.textContent"),
    }
    page.close()
    return seen


if __name__ == "__main__":
    for figure in figures(sys.argv[1:] or list(HOSTILE)):
        print(json.dumps(asdict(figure)), flush=True)
