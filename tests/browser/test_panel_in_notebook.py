"""The same panel in Notebook 7."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nbagents.testing import LoopbackServer
from tests.browser.chat import AGENT, LONGER, Chat, calls, prompts, without_end
from tests.browser.conftest import SETUP
from tests.browser.lab import Lab, Window

pytestmark = [pytest.mark.browser, pytest.mark.kernel]


@pytest.fixture
def window(lab: Lab, browser, server: LoopbackServer) -> Iterator[Window]:
    server.forget()
    lab.write("seven.ipynb", SETUP.format(server.base_url), AGENT)
    opened = Window(lab, browser, "notebooks/seven.ipynb")
    yield opened
    opened.close_all()
    opened.page.close()
    assert opened.strays == []


def test_it_streams_stops_asks_inserts_and_is_legible(window, server):
    page, notebook = window.page, window.opened("seven.ipynb")
    for number in (0, 1):
        notebook.wait_idle()
        notebook.run(number)
    notebook.wait_idle()
    assert page.title() == "seven"
    chat = Chat(notebook.output(1))

    server.will_reply(without_end("word"), calls(("remove", {"name": "a.csv"})))
    chat.ask("Go on.")
    page.wait_for_function(LONGER, arg=100)
    chat.press("Stop")
    chat.see("Stopped")
    assert server.requests[0].wait(60)
    assert server.requests[0].left is not None

    server.will_reply("```python\nx = 1\n```")
    chat.ask("Remove a.csv.")
    chat.press("Approve remove")
    chat.log.locator(".nba-code").hover()
    chat.button("Insert as cell").click()
    notebook.cell(2).locator(".cm-content", has_text="x = 1").wait_for()
    assert notebook.prompts() == ["[1]:", "[2]:", "[ ]:"]
    assert chat.log.locator(".nba-call .nba-state").inner_text() == "done"

    window.dress("JupyterLab Dark")
    assert chat.is_dark()
    assert chat.violations() == []
    window.keep("panel-notebook")
    page.set_viewport_size({"width": 400, "height": 900})
    page.wait_for_function("document.querySelector('.nbagents-panel').offsetWidth < 400")
    assert chat.log.evaluate("e => e.scrollWidth - e.clientWidth") == 0
    assert chat.button("Send").is_visible()
    window.keep("panel-notebook-narrow")

    notebook.save()
    notebook.reload()
    chat = Chat(notebook.output(1))
    server.will_reply("Still here.")
    chat.ask("And now?")
    chat.see("Still here.")
    assert prompts(server.requests[-1]) == ["Remove a.csv.", "And now?"]
    chat.wait_for_copy("Still here.")
