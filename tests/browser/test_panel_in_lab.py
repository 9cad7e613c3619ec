"""The chat panel in JupyterLab, with a kernel and a model server: what a person does with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from nbagents.testing import LoopbackServer, error, text
from tests.browser.chat import AGENT, COPY_PICTURE, Chat, Held, calls, prompts, without_end
from tests.browser.conftest import SETUP
from tests.browser.lab import Notebook, Window
from tests.panel.talk import MATHS, REPLY, picture
from tests.rendering.hostile import CANARY, HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

PANEL, SECOND, CELL, SLEEP, LOOP, HOSTS, FLOOD = range(1, 8)
CELLS = [
    AGENT,
    "tutor.panel()",
    "%%chat tutor\nFrom the cell.",
    "print('computing')\ntime.sleep(300)",
    "print('computing')\nend = time.time() + 300\nwhile time.time() < end: sum(range(99))",
    "for prompt in json.load(open('hostile.json')):\n    panel.send(prompt)\n    panel.wait()",
    "print('computing')\nwhile True: print('x' * 20_000); time.sleep(0.005)",
]
WIDTH = "async image => { await image.decode(); return image.naturalWidth; }"
AFTER = "jupyterapp.shell.currentWidget.context.model.sharedModel"


@pytest.fixture(scope="module")
def notebook(window: Window, server: LoopbackServer) -> Iterator[Notebook]:
    """One notebook for all: a panel, a second one, and cells that ask or compute."""
    server.forget()
    window.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    window.lab.write("panel.ipynb", SETUP.format(server.base_url), *CELLS)
    opened = window.open("panel.ipynb")
    for number in (0, PANEL, SECOND):
        opened.run(number)
    opened.wait_idle()
    opened.look_at(PANEL)
    return opened


@pytest.fixture
def chat(notebook: Notebook, server: LoopbackServer) -> Iterator[Chat]:
    """The panel, with nothing said in it."""
    yield Chat(notebook.output(PANEL))
    server.forget()
    if "[*]:" in notebook.prompts():
        notebook.stop()
    notebook.wait_idle()
    Chat(notebook.output(PANEL)).clear()  # where a test has loaded the page anew, another one


@pytest.fixture
def second(notebook: Notebook) -> Chat:
    return Chat(notebook.output(SECOND))


def test_a_reply_is_seen_growing_and_ends_with_its_footer(chat, server):
    held = Held("word")
    server.will_reply(held.reply)
    chat.ask("Go on.")
    chat.button("Stop").wait_for()
    chat.see("word word")
    assert not chat.button("Send").is_visible()
    assert held.words.startswith(chat.texts()[1])
    held.let_go()
    chat.rest()
    assert chat.texts() == ["Go on.", held.words.strip()]
    assert re.fullmatch(r"gpt-4o · .*tokens · \$.* s.*", chat.footers()[0])
    totals = chat.root.locator(".nba-totals").inner_text()
    assert re.fullmatch(r"1 reply · .*tokens · \$.* s · estimated", totals)
    assert not chat.button("Stop").is_visible()
    assert chat.draft.input_value() == ""


def test_stop_keeps_the_text_and_hangs_up(chat, server):
    server.will_reply(without_end("word"), "Once more.")
    chat.ask("Go on.")
    chat.see("word word")
    chat.press("Stop")
    chat.see("Stopped")
    request = server.requests[0]
    assert request.wait(60)
    assert request.left is not None, "the server went on to its end"
    assert chat.texts()[1].startswith("word word")
    chat.press("Retry")
    chat.see("Once more.")
    chat.rest()
    assert chat.texts() == ["Go on.", "Once more."]
    assert prompts(server.requests[1]) == ["Go on."]


def test_retry_edit_and_the_up_key_go_back_in_the_agents_memory_too(chat, server):
    server.will_reply("One.", "Two.", "Three.", "Four.")
    for prompt, reply in (("First?", "One."), ("Second?", "Two.")):
        chat.ask(prompt)
        chat.see(reply)
        chat.rest()
    chat.press("Retry")
    chat.see("Three.")
    chat.rest()
    assert chat.texts() == ["First?", "One.", "Second?", "Three."]
    assert prompts(server.requests[2]) == ["First?", "Second?"]
    chat.draft.press("ArrowUp")
    assert chat.draft.input_value() == "Second?"
    chat.draft.press("Escape")
    assert chat.draft.input_value() == ""
    chat.press("Edit and branch", 0)
    chat.draft.fill("Other?")
    chat.draft.press("Shift+Enter")
    chat.draft.press_sequentially("Well?")
    chat.draft.press("Enter")
    chat.see("Four.")
    chat.rest()
    assert chat.texts() == ["Other?\nWell?", "Four."]
    assert prompts(server.requests[3]) == ["Other?\nWell?"]


def test_what_was_said_is_copied_cleared_and_brought_back(chat, server):
    server.will_reply("It is **so**.", "Again.")
    chat.ask("Is it?")
    chat.see("It is so.")
    chat.rest()
    chat.press("Copy message")
    chat.hear("Copied")
    assert chat.page.evaluate("navigator.clipboard.readText()") == "It is **so**."
    chat.press("Clear the conversation")
    chat.messages.first.wait_for(state="detached")
    chat.press("Undo")
    chat.see("It is so.")
    chat.ask("And?")
    chat.see("Again.")
    assert prompts(server.requests[1]) == ["Is it?", "And?"], "the agent has forgotten it"


def test_a_variable_and_a_picture_go_along(chat, server):
    server.will_reply("Rome sold more.")
    chat.draft.press_sequentially("Look at @sal")
    offered = chat.root.get_by_role("option")
    offered.filter(has_text="sales").wait_for()
    assert offered.inner_text().split() == ["sales", "DataFrame", "2", "x", "2"]
    chat.draft.press("Enter")
    assert chat.draft.input_value() == "Look at @sales "
    chat.page.evaluate(COPY_PICTURE, picture())
    chat.draft.press("Control+v")
    chat.root.get_by_role("button", name="Remove image 1").wait_for()
    chat.draft.press("Enter")
    chat.see("Rome sold more.")
    asked = chat.messages.first
    assert "sales: pandas DataFrame" in asked.inner_text()
    assert asked.get_by_role("img", name="Attached image").evaluate(WIDTH) == 120
    [content] = prompts(server.requests[0])
    assert content[0]["text"] == "Look at @sales "
    assert "Oslo" in content[1]["text"]
    assert content[2]["image_url"]["url"].startswith("data:image/png;base64,")


def test_a_call_shows_what_was_asked_and_answered_and_runs_on_the_main_thread(chat, server):
    server.will_reply(calls(("area", {"width": 3, "height": 4}), say="Let me see."), "It is 12.")
    chat.ask("How large?")
    chat.see("It is 12.")
    chat.rest()
    call = chat.log.locator(".nba-call")
    call.locator("summary").click()
    given = '{\n  "width": 3,\n  "height": 4\n}'
    assert call.locator("pre").all_inner_texts() == [given, "12.0 by MainThread"]
    assert call.locator(".nba-state").inner_text() == "done"
    assert chat.button("Retry").filter(visible=True).count() == 1
    assert chat.log.locator(".nba-who").filter(visible=True).count() == 1


def test_calls_that_change_something_are_approved_and_denied(chat, server):
    both = [("remove", {"name": name}) for name in ("a.csv", "b.csv")]
    server.will_reply(calls(*both), "One of them.")
    chat.ask("Remove both.")
    card = chat.log.locator(".nba-call")
    chat.button("Approve remove").wait_for()
    states = card.locator(".nba-state")
    assert states.all_text_contents() == ["asks to run", "waiting"]
    assert '"name": "a.csv"' in card.first.locator("pre").first.inner_text()
    chat.press("Approve remove")
    card.last.get_by_role("button", name="Deny remove").click()
    chat.see("One of them.")
    chat.rest()
    assert states.all_text_contents() == ["done", "denied"]
    answers = [each for each in server.requests[1].json()["messages"] if each["role"] == "tool"]
    assert answers[0]["content"] == "removed a.csv"
    assert answers[1]["content"].startswith("Not run: ")


def test_a_cell_that_asks_is_seen_to_wait_in_the_panel(chat, server, notebook):
    server.will_reply(calls(("remove", {"name": "a.csv"})), "Removed.")
    notebook.run(CELL)
    question = notebook.output(CELL).locator("input")
    question.wait_for()
    chat.see("waits for approval")
    assert chat.button("Approve remove").count() == 0
    question.fill("y")
    question.press("Enter")
    chat.see("Removed.")
    chat.rest()
    assert chat.log.locator(".nba-call .nba-state").inner_text() == "done"


def test_a_call_waits_for_the_kernel_and_the_panel_says_so(chat, server, notebook):
    server.will_reply(calls(("area", {"width": 3, "height": 4})), "It is 12.")
    compute(notebook, SLEEP)
    chat.ask("How large?")
    chat.root.get_by_text("The kernel is busy").wait_for()
    assert notebook.prompts()[SLEEP] == "[*]:"
    notebook.stop()
    chat.see("It is 12.")
    chat.rest()
    assert chat.root.get_by_text("The kernel is busy").count() == 0


@pytest.mark.parametrize("cell", [SLEEP, LOOP], ids=["sleep", "loop"])
def test_replies_grow_and_send_and_stop_work_while_a_cell_computes(chat, server, notebook, cell):
    held = Held("word")
    server.will_reply(held.reply, without_end("more"))
    chat.ask("Go on.")
    chat.see("word")
    compute(notebook, cell)
    held.let_go()
    chat.rest()
    assert chat.texts()[1] == held.words.strip()
    chat.ask("More?")
    chat.see("more more")
    chat.press("Stop")
    chat.see("Stopped")
    assert notebook.prompts()[cell] == "[*]:", "it has waited for the cell"


def compute(notebook: Notebook, cell: int) -> None:
    """Run a cell that takes minutes, until it does."""
    notebook.run(cell)
    notebook.wait_running(cell)
    notebook.wait_for_text(cell, "computing")


def test_two_panels_and_a_cell_have_one_conversation(chat, second, server, notebook):
    server.will_reply("To the panel.", "To the cell.", "To the second.")
    chat.ask("From the panel.")
    second.see("To the panel.")
    chat.rest()
    notebook.run(CELL)
    notebook.wait_for_text(CELL, "To the cell.")
    second.see("To the cell.")
    chat.rest()
    second.ask("From the second.")
    for panel in (chat, second):
        panel.see("To the second.")
        panel.rest()
    said = ["From the panel.", "To the panel.", "From the cell.", "To the cell."]
    assert chat.texts() == second.texts() == [*said, "From the second.", "To the second."]
    assert prompts(server.requests[2]) == [*said[::2], "From the second."]


def test_a_cell_and_a_panel_that_ask_at_once_are_both_answered_whole(
    chat, second, server, notebook
):
    server.will_reply(text("first " * 40, pace=0.005), text("then " * 40, pace=0.005))
    chat.ask("From the panel.")
    notebook.run(CELL)
    chat.see("then")
    notebook.wait_idle()
    chat.rest()
    shown = chat.texts()
    assert set(shown[::2]) == {"From the cell.", "From the panel."}
    assert shown[1::2] == [("first " * 40).strip(), ("then " * 40).strip()]
    second.rest()
    assert second.texts() == shown
    assert prompts(server.requests[1]) == shown[::2]


def test_code_becomes_a_cell_below_that_has_not_run(chat, server, notebook):
    server.will_reply("```python\nx = 1\nprint(x)\n```")
    chat.ask("Show me.")
    chat.log.locator(".nba-code").hover()
    chat.button("Insert as cell").click()
    chat.hear("Inserted")
    below = notebook.page.evaluate(f"{AFTER}.getCell({PANEL + 1}).getSource()")
    assert below == "x = 1\nprint(x)"
    assert notebook.prompts()[PANEL + 1] == "[ ]:"
    notebook.page.evaluate(f"{AFTER}.deleteCell({PANEL + 1})")


def test_an_error_is_said_in_words_with_the_next_step(chat, server):
    server.will_reply(error(401, "Incorrect API key provided."), "Now.")
    chat.ask("Well?")
    chat.see("Failed")
    assert "OPENAI_API_KEY" in chat.messages.last.inner_text()
    chat.press("Retry")
    chat.see("Now.")


def furnish(chat: Chat, server: LoopbackServer) -> None:
    """Have everything in the panel that there can be."""
    server.will_reply(
        calls(("area", {"width": 3, "height": 4}), ("remove", {"name": "a.csv"})),
        text(REPLY + MATHS),
        error(401, "Incorrect API key provided."),
        without_end("word", 20),
    )
    chat.ask("Look at @sales, and remove a.csv")
    chat.press("Approve remove")
    chat.see("What to look at next")
    chat.rest()
    chat.ask("Well?")
    chat.see("Failed")
    chat.rest()
    chat.ask("Go on.")
    chat.see("word word")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_it_is_legible_in_both_themes_and_400_pixels_wide(chat, server, window, notebook, theme):
    window.dress(theme)
    furnish(chat, server)
    assert chat.violations() == []
    dark = theme.endswith("Dark")
    assert chat.is_dark() is dark
    chat.press("Stop")
    chat.rest()
    size = window.page.viewport_size
    window.keep(f"panel-{'dark' if dark else 'light'}")
    window.page.set_viewport_size({"width": 400, "height": 900})
    window.command("application:toggle-left-area")
    chat.root.scroll_into_view_if_needed()
    chat.page.wait_for_function("document.querySelector('.nbagents-panel').offsetWidth < 340")
    assert chat.log.evaluate("e => e.scrollWidth - e.clientWidth") == 0
    assert chat.button("Send").is_visible()
    assert chat.violations() == []
    window.keep(f"panel-narrow-{'dark' if dark else 'light'}")
    window.command("application:toggle-left-area")
    window.page.set_viewport_size(size)
    window.dress("JupyterLab Light")


def test_everything_is_done_by_keys_alone(chat, server, notebook):
    server.will_reply(calls(("remove", {"name": "a.csv"})), "It is gone.", "Once more.")
    keys = chat.page.keyboard
    chat.draft.focus()
    keys.type("Remove a.csv")
    keys.press("Enter")
    chat.button("Approve remove").wait_for()
    reach(chat, "Approve remove", "Shift+Tab")
    keys.press("Enter")
    chat.see("It is gone.")
    chat.rest()
    assert focused(chat) == "Message tutor", "after an answer the focus is where one types"
    reach(chat, "Retry", "Shift+Tab")
    keys.press("Space")
    chat.see("Once more.")
    chat.rest()
    keys.type("d d")  # JupyterLab's keys for deleting a cell
    assert chat.draft.input_value() == "d d"
    assert notebook.prompts()[PANEL] != ""
    chat.draft.fill("")
    reach(chat, "Clear the conversation", "Shift+Tab")
    keys.press("Enter")
    chat.messages.first.wait_for(state="detached")
    reach(chat, "Undo", "Shift+Tab")
    keys.press("Enter")
    chat.see("Once more.")


def focused(chat: Chat) -> str:
    """The name of what has the focus."""
    return chat.page.evaluate(
        "document.activeElement.ariaLabel ?? document.activeElement.innerText"
    )


def reach(chat: Chat, name: str, key: str) -> None:
    """Press a key until something of that name has the focus."""
    for _ in range(40):
        chat.page.keyboard.press(key)
        if focused(chat) == name:
            return
    raise AssertionError(f"{name} is not reached by {key}")


LABS_OWN = r"http://127\.0\.0\.1:\d+/((lab/)?api/|static/favicons/).*"


def test_60_hostile_messages_run_nothing_and_fetch_nothing(chat, server, window, notebook):
    texts = [said for said in HOSTILE.values() if len(said) < 1_000][:60]
    assert len(texts) == 60
    (window.lab.folder / "hostile.json").write_text(json.dumps(texts))
    asked: list[str] = []
    window.page.on("request", lambda request: asked.append(request.url))
    server.will_reply(*texts)
    notebook.run(HOSTS)
    notebook.wait_idle()
    chat.rest()
    assert chat.messages.count() == 120
    assert window.page.evaluate("'pwned' in window") is False
    assert window.strays == []
    assert [url for url in asked if not re.fullmatch(LABS_OWN, url)] == []
    links = chat.log.locator("a[href]").evaluate_all("all => all.map(each => each.protocol)")
    assert set(links) <= {"http:", "https:", "mailto:"}
    plant = "e => { e.innerHTML = `<img src=%s onerror=window.pwned=1>`; }"
    chat.log.locator(".nba-block").last.evaluate(plant % f"{CANARY}/pixel.png")
    window.page.wait_for_function("'pwned' in window")
    assert window.strays == [f"{CANARY}/pixel.png"]
    assert window.strays[0] in asked
    window.strays.clear()
    window.page.evaluate("delete window.pwned")


def test_after_the_page_was_loaded_anew_the_conversation_goes_on_and_is_saved(
    chat, server, window, notebook
):
    server.will_reply("Before the reload.", "After the reload.")
    chat.ask("One?")
    chat.see("Before the reload.")
    chat.rest()
    notebook.save()
    notebook.reload()
    chat = Chat(notebook.output(PANEL))
    chat.see("Before the reload.")
    chat.ask("Two?")
    chat.see("After the reload.")
    chat.rest()
    assert prompts(server.requests[1]) == ["One?", "Two?"]
    chat.wait_for_copy("After the reload.")
    copy = notebook.output(PANEL).locator(".nbagents-saved")
    assert copy.evaluate("e => e.checkVisibility()") is False
    notebook.save()
    saved = window.lab.read("panel.ipynb").cells[PANEL].outputs[1].data
    assert "After the reload." in saved["text/markdown"]


def test_a_kernel_that_restarts_is_said_and_the_text_stays(chat, server, window, notebook):
    server.will_reply("Kept.")
    chat.ask("Well?")
    chat.see("Kept.")
    chat.rest()
    chat.draft.fill("half a thou")
    notebook.restart()
    chat.root.get_by_text("The kernel is gone").wait_for()
    chat.see("Kept.")
    assert chat.draft.input_value() == "half a thou"
    assert not chat.button("Send").is_enabled()
    for number in (0, PANEL):
        notebook.run(number)
    notebook.wait_idle()
    server.will_reply("Anew.")
    chat.ask("And now?")
    chat.see("Anew.")


def test_what_jupyter_drops_while_a_cell_prints_too_much_is_made_up_for(chat, server, notebook):
    held = Held("word")
    server.will_reply(held.reply, "Again.")
    compute(notebook, FLOOD)
    notebook.wait_for_text(FLOOD, "IOPub data rate exceeded")
    chat.ask("Go on.")
    chat.wait_until(lambda: server.requests)
    held.let_go()
    assert server.requests[0].wait(60)
    notebook.stop()
    chat.see(held.words.split()[-1])
    chat.rest()
    assert chat.texts() == ["Go on.", held.words.strip()]
    chat.ask("Once more.")
    chat.see("Again.")
