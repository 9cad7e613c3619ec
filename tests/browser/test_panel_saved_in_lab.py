"""What a saved notebook holds of a panel's conversation, and what a busy cell leaves of its use."""

from __future__ import annotations

import time

import nbformat
import pytest

from nbagents.testing import text

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

AGENT = """\
import time
from nbagents import ChatAgent
from nbagents.models import OpenAIChatCompletionClient
tutor = ChatAgent(OpenAIChatCompletionClient(model="gpt-4o"), name="tutor")
panel = tutor.panel()
panel"""
VISIBLE = "elements => elements.map(element => element.checkVisibility())"


def test_the_conversation_is_saved_below_the_panel_and_seen_where_there_is_none(
    chatting, server, window
):
    server.will_reply("**Yes**, it is.")
    notebook = chatting(AGENT, "panel.send('Why?')")
    notebook.run(1)
    notebook.wait_idle()
    notebook.output(1).locator(".nbagents-panel").wait_for()
    notebook.run(2)
    copy = notebook.output(1).locator(".nbagents-saved")
    copy.get_by_text("Yes").wait_for(state="attached")
    assert copy.evaluate_all(VISIBLE) == [False]
    notebook.save()
    saved = window.lab.read("chatting.ipynb")
    window.close_all()
    for name in ("kernelspec", "language_info", "widgets"):
        saved.metadata.pop(name, None)
    nbformat.write(saved, window.lab.folder / "without.ipynb")
    alone = window.open("without.ipynb", kernel=False)
    alone.output(1).locator(".nbagents-saved").wait_for()
    assert "Yes, it is." in alone.text(1)


def test_send_and_stop_work_while_a_cell_computes(chatting, server):
    server.will_reply(text("word " * 500, pace=0.02))
    notebook = chatting(AGENT, "time.sleep(6)")
    notebook.run(1)
    notebook.wait_idle()
    panel = notebook.output(1).locator(".nbagents-panel")
    panel.wait_for()
    notebook.run(2)
    panel.get_by_role("textbox").fill("Go on.")
    panel.get_by_role("textbox").press("Enter")
    panel.get_by_text("word word word").wait_for()
    asked = time.monotonic()
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_text("Stopped").first.wait_for()
    assert time.monotonic() - asked < 3
    assert notebook.prompts()[2] == "[*]:", "it has waited for the cell"
    notebook.wait_idle()
