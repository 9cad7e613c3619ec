"""The tour in JupyterLab, and the notebook that it leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

from tests.browser.lab import CURRENT

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

TOUR = Path(__file__).parents[2] / "notebooks/01_first_chat.ipynb"
FIRST = 3  # the first cell that chats
# Notes how much a cell's output says, with every change, while the cell runs.
WATCH_TEXT = """cell => {
    window.lengths = [];
    new MutationObserver(() => {
        const running = cell.querySelector(".jp-InputPrompt").textContent.includes("*");
        const text = cell.querySelector(".jp-Cell-outputArea").innerText;
        if (running && lengths.at(-1) !== text.length) lengths.push(text.length);
    }).observe(cell.querySelector(".jp-Cell-outputArea"), {childList: true, subtree: true});
}"""


@pytest.fixture(scope="module")
def toured(window):
    """The tour, run from top to bottom."""
    shutil.copy(TOUR, window.lab.folder / "tour.ipynb")
    window.command("application:toggle-left-area")
    notebook = window.open("tour.ipynb")
    notebook.look_at(FIRST)
    notebook.cell(FIRST).evaluate(WATCH_TEXT)
    notebook.run_all()
    notebook.wait_idle()
    notebook.save()
    yield notebook
    window.command("application:toggle-left-area")


def test_the_tour_runs_and_its_first_reply_grows_while_its_cell_runs(toured, lab):
    kinds = [
        output.output_type
        for cell in lab.read("tour.ipynb").cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    assert len(kinds) >= 10
    assert "error" not in kinds
    assert "[ ]:" not in toured.prompts()
    lengths = toured.page.evaluate("lengths")
    assert len(lengths) >= 4
    assert lengths[0] < lengths[-1] / 2


def test_a_reply_has_formulas_a_table_and_coloured_code_in_both_themes(toured, window):
    toured.look_at(FIRST - 1)
    output = toured.output(FIRST)
    output.locator("mjx-container[display=true]").wait_for()
    assert output.locator("table td").count() >= 6
    keyword = output.locator("pre .k").first
    window.keep("tour-light")
    colours = [_colours(keyword)]
    window.dress("JupyterLab Dark")
    window.keep("tour-dark")
    colours.append(_colours(keyword))
    window.dress("JupyterLab Light")
    assert all(keyword != text for keyword, text in colours)
    assert colours[0] != colours[1]


def test_a_stranger_reads_the_saved_reply_without_a_kernel_and_without_trust(toured, lab, window):
    # Without its signature: as it comes by mail.
    saved = lab.read("tour.ipynb")
    saved.metadata.clear()
    nbformat.write(saved, lab.folder / "mailed.ipynb")
    notebook = window.open("mailed.ipynb", kernel=False)
    assert notebook.page.evaluate(f"{CURRENT}.content.widgets[{FIRST}].model.trusted") is False
    output = notebook.output(FIRST)
    output.locator("mjx-container[display=true]").wait_for()
    assert "Kepler's third law" in notebook.text(FIRST)
    assert output.locator("table td").count() >= 6
    assert "return a**1.5" in output.locator("pre").inner_text()
    window.keep("tour-mailed")


def test_an_exported_page_shows_the_reply(toured, lab, browser):
    page, _ = HTMLExporter().from_notebook_node(lab.read("tour.ipynb"))
    sheet = browser.new_page(viewport={"width": 1_100, "height": 1_400})
    sheet.route("**/*", lambda route: route.abort())  # the template's own scripts, from afar
    sheet.set_content(page, wait_until="domcontentloaded")
    reply = sheet.locator(".nbagents").first
    assert "Kepler's third law" in reply.inner_text()
    assert "$$T^2 = a^3$$" in reply.inner_text()
    assert reply.locator("table td").count() >= 6
    keyword, text = _colours(reply.locator("pre .k").first)
    assert keyword != text
    sheet.close()


def _colours(element):
    """An element's colour, and that of the text around it."""
    return element.evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(e.parentElement).color]"
    )
