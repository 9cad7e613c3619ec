"""What a saved notebook holds of a panel's conversation."""

from __future__ import annotations

import json

import nbformat
import pytest

from tests.browser.chat import Chat

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

AGENT = """\
from nbagents import ChatAgent
from nbagents.models import OpenAIChatCompletionClient
tutor = ChatAgent(OpenAIChatCompletionClient(model="gpt-4o"), name="tutor")
panel = tutor.panel()
panel"""
VISIBLE = "elements => elements.map(element => element.checkVisibility())"
# JupyterLab's setting "Save Widget State Automatically", on or off.
SAVE_STATE = "@jupyter-widgets/jupyterlab-manager:saveWidgetState"
TOGGLED = "([name, wanted]) => jupyterapp.commands.isToggled(name) === wanted"


@pytest.fixture
def saved(chatting, server, window):
    """A notebook in whose panel something was said, saved with its widgets' state, and closed."""
    server.will_reply("**Yes**, it is.")
    notebook = chatting(AGENT)
    notebook.run(1)
    notebook.wait_idle()
    chat = Chat(notebook.output(1))
    chat.ask("Why?")
    chat.see("Yes, it is.")
    chat.rest()
    chat.wait_for_copy("Yes")
    copy = notebook.output(1).locator(".nbagents-saved")
    assert copy.evaluate_all(VISIBLE) == [False]
    for wanted in (True, False):
        window.command(SAVE_STATE)
        window.page.wait_for_function(TOGGLED, arg=[SAVE_STATE, wanted])
        if wanted:
            notebook.save()
    window.close_all()
    return window.lab.read("chatting.ipynb")


def test_the_conversation_is_seen_again_with_the_widgets_state_and_without(saved, window):
    state = json.dumps(saved.metadata.pop("widgets"))
    assert "it is." in state
    assert "127.0.0.1" not in state, "an address is in what is saved"
    # Its kernel is another one than that which it was saved with.
    panel = Chat(window.open("chatting.ipynb").output(1))
    panel.see("Yes, it is.")
    assert panel.texts() == ["Why?", "Yes, it is."]
    assert "The kernel is gone" in panel.root.inner_text()
    for name in ("kernelspec", "language_info"):
        saved.metadata.pop(name)
    nbformat.write(saved, window.lab.folder / "without.ipynb")
    alone = window.open("without.ipynb", kernel=False)
    alone.output(1).locator(".nbagents-saved").wait_for()
    assert "Yes, it is." in alone.text(1)
