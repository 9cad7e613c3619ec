"""Hostile replies in JupyterLab and in what nbconvert makes of them, in a real Chromium.

``python -m tests.torture.pages NAME ...`` prints each figure as a line of JSON. It is a process
of its own, because Playwright wants no event loop beside its own.
"""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbconvert
import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

from nbagents.notebook._panel.saved import LONGEST
from nbagents.testing import LoopbackServer
from tests.browser.lab import Lab, Window, chromium
from tests.rendering.hostile import HOSTILE
from tests.torture import places
from tests.torture.figures import Figure
from tests.torture.looking import AROUND, HOLES, INSIDE, unseen

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from playwright.sync_api import Browser


def figures(names: Sequence[str]) -> Iterator[Figure]:
    """What came of each text, and of the planted holes."""
    with Lab() as lab, chromium() as browser, LoopbackServer() as server:
        window = Window(lab, browser)
        cells = places.Cells(window, server, len(names))
        yield from places.figures(cells, names)
        yield from _as_page(browser, _saved(cells), "cells", names)
        panel = places.InPanel(window, server, len(names))
        yield from places.figures(panel, names)
        yield from _as_page(browser, _saved(panel), "panels", names, LONGEST / 2)
        yield from _holes_in_lab(window)
        yield from _holes_in_page(browser, lab.folder)


def _saved(place: places.Cells | places.InPanel) -> Path:
    """The notebook, as it was saved; it is closed, and JupyterLab loaded anew."""
    place.settle()
    path: str = place.page.evaluate("jupyterapp.shell.currentWidget.context.path")
    place.notebook.save()
    place.window.close_all()
    place.page.reload()
    place.window.wait_loaded()
    return Path(place.window.lab.folder, path)


def _holes_in_lab(window: Window) -> Iterator[Figure]:
    """Whether it is seen when somebody shows what came as HTML."""
    sources = [f"from IPython.display import HTML\nHTML({html!r} + 'After.')" for html in
               HOLES.values()]  # fmt: skip
    window.lab.write("holes.ipynb", *sources)
    notebook = window.open("holes.ipynb")
    odd: list[str] = []
    for number in range(len(HOLES)):
        notebook.run(number)
        notebook.wait_for_text(number, "After.")
        odd += notebook.output(number).locator(".jp-OutputArea-output").evaluate_all(INSIDE)
    notebook.wait_idle()
    window.page.wait_for_timeout(100)
    missed = unseen({"asked": window.strays, "odd": odd, "around": window.page.evaluate(AROUND)})
    yield Figure(f"holes planted in JupyterLab and not seen {missed or ''}", len(missed), 0)


def _holes_in_page(browser: Browser, folder: Path) -> Iterator[Figure]:
    missed = unseen(_page_of(browser, folder, _notebook_of(*HOLES.values())))
    yield Figure(f"holes planted in nbconvert's HTML and not seen {missed or ''}", len(missed), 0)


def _as_page(
    browser: Browser, saved: Path, where: str, names: Sequence[str], longest: float = math.inf
) -> Iterator[Figure]:
    """What nbconvert makes of the saved notebook, opened from the disk.

    Replies beyond ``longest`` characters need not be there to their end.
    """
    notebook = nbformat.read(saved, as_version=4)
    harmless = _page_of(browser, saved.parent, _quiet(notebook))
    hostile = _page_of(browser, saved.parent, notebook)
    asked = [one for one in hostile["asked"] if one not in harmless["asked"]]
    whole = [n for n, name in enumerate(names, 2) if len(HOSTILE[name]) < longest]
    missing = [n for n in whole if f"After{n}x" not in hostile["text"]]
    for one in (*asked, *hostile["odd"][:5], *missing):
        print("nbconvert:", one, file=sys.stderr)
    what = f"{len(names)} hostile replies in {where} as nbconvert's HTML"
    yield Figure(f"{what}: not shown to their end", len(missing), 0)
    yield Figure(f"{what}: active or misplaced elements", len(hostile["odd"]), 0)
    yield Figure(f"{what}: requests and dialogs beside the template's own", len(asked), 0)
    yield Figure(f"{what}: ways in which the page around is not as it was", sum(
        hostile["around"][name] != value for name, value in harmless["around"].items()
    ), 0)  # fmt: skip


def _quiet(notebook: NotebookNode) -> NotebookNode:
    """The notebook with a harmless word in place of every text that is shown."""
    quiet: NotebookNode = copy.deepcopy(notebook)
    for cell in quiet["cells"]:
        for output in cell["outputs"]:
            data = output.get("data", {})
            data.update({kind: "Hello" for kind in data if kind.startswith("text/")})
    for state in quiet["metadata"].get("widgets", {}).values():
        for model in state["state"].values():
            model["state"].pop("messages", None)
    return quiet


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
