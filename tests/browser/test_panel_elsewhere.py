"""The chat panel in other front ends' widget managers: what VS Code's Jupyter extension loads, and
what Colab's and static pages' are built on. Not in VS Code and Colab themselves.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser.chat import AGENT, LONGER, Chat, calls, prompts, without_end
from tests.browser.conftest import SETUP
from tests.browser.elsewhere import Elsewhere
from tests.browser.lab import ARTIFACTS
from tests.panel.talk import MATHS, REPLY

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

CONTRAST = """() => axe.run(".nbagents-panel", {runOnly: ["color-contrast"]}).then(found =>
    found.violations.flatMap(each => each.nodes.map(node => node.html.slice(0, 120))))"""
# A kernel that is alone needs no comm; the state is what a notebook saves.
STATE = """
from pathlib import Path
from ipywidgets.embed import embed_data
Path("state.json").write_text(json.dumps(embed_data([panel], drop_defaults=False)))"""


@pytest.fixture(scope="module")
def page(browser, lab):
    opened = Elsewhere(browser, lab)
    yield opened
    opened.page.close()
    assert opened.strays == []
    assert opened.errors == []


@pytest.fixture
def kernel(lab):
    identity = lab.ask("POST", "kernels")["id"]
    yield identity
    lab.ask("DELETE", f"kernels/{identity}")


def contrast(frame):
    package = Path(find_spec("axe_playwright_python").origin).parent
    frame.evaluate((package / "axe.min.js").read_text())
    return frame.evaluate(CONTRAST)


def keep(page, name):
    ARTIFACTS.mkdir(exist_ok=True)
    page.page.screenshot(path=ARTIFACTS / f"{name}.png", animations="disabled")


@pytest.mark.parametrize("host", ["vscode", "colab"])
def test_a_panel_lives_in_another_front_ends_widget_manager(page, kernel, server, host):
    server.forget()
    frame = page.open(host, kernel)
    page.run(SETUP.format(server.base_url))
    page.run(AGENT)
    chat = Chat(frame.locator("body"))

    assert chat.root.locator(".nba-name").inner_text() == "tutor"

    # It streams, and stops.
    server.will_reply(without_end("word"))
    chat.ask("Go on.")
    frame.wait_for_function(LONGER, arg=300)
    chat.press("Stop")
    chat.rest()
    assert chat.messages.nth(1).locator(".nba-state").inner_text() == "Stopped"

    # A tool that asks is approved; tables, code and formulas are set.
    server.will_reply(calls(("remove", {"name": "a.txt"})), REPLY + "\n\n" + MATHS)
    chat.ask("Remove it.")
    chat.button("Approve remove").click()
    chat.log.locator(".nba-call[data-state=done]").wait_for()
    chat.log.locator(".nba-body math").first.wait_for()
    chat.rest()
    assert chat.log.locator(".nba-body math").count() > 0
    assert prompts(server.requests[-1])[-1] == "Remove it."

    # A variable is offered and attached, and what a cell asks appears.
    server.will_reply("Two rows.", "From the cell.")
    chat.draft.press_sequentially("What is @sal")
    chat.root.get_by_role("option", name="sales").wait_for()
    chat.draft.press("Enter")
    chat.draft.press("Enter")
    chat.see("Two rows.")
    assert "Oslo" in json.dumps(server.requests[-1].json())
    chat.draft.fill("a draft that stays")
    page.run("_ = tutor.ask_sync('Cell?')")
    chat.see("From the cell.")
    assert chat.draft.input_value() == "a draft that stays"

    # The copy for the saved notebook is not seen beside it, and what is seen can be read.
    assert frame.locator(".nbagents-saved").evaluate_all(
        "all => all.map(each => each.checkVisibility())"
    ) == [False]
    for theme in ("dark", "light"):
        frame.evaluate("theme => dress(theme)", theme)
        assert chat.is_dark() == (theme == "dark")
        chat.messages.nth(3).scroll_into_view_if_needed()
        keep(page, f"panel_{host}_{theme}")
        assert contrast(frame) == []


def test_a_saved_panel_is_shown_without_a_kernel_in_a_static_page(page, kernel, lab, server):
    server.forget()
    page.open("colab", kernel)
    page.run(SETUP.format(server.base_url))
    page.run(AGENT)
    server.will_reply("**Yes**, it is.")
    page.run("panel.send('Why?')\npanel.wait()" + STATE)
    saved = json.loads((lab.folder / "state.json").read_text())
    frame = page.open_saved(json.dumps(saved["manager_state"]), json.dumps(saved["view_specs"][0]))
    chat = Chat(frame.locator("body"))
    chat.see("Yes, it is.")
    assert chat.texts() == ["Why?", "Yes, it is."]
    keep(page, "panel_static")
    assert contrast(frame) == []
