"""What a person sees of a chat cell in JupyterLab while it runs, stops and ends."""

from __future__ import annotations

import re

import pytest

from nbagents.testing import chunk, stream, text
from tests.benchmarks.server import reply
from tests.browser.chat import without_end
from tests.browser.conftest import SETUP

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

# Notes the height of a cell's output with every frame in which it changes.
WATCH_HEIGHT = """output => {
    window.heights = [];
    new ResizeObserver(() => heights.push(output.offsetHeight)).observe(output);
}"""
# How far below the top of an output its last paragraph of prose stands.
TOP_OF_END = """output => {
    const last = [...output.querySelectorAll("p")].find(each => each.textContent === "The end.");
    return last.getBoundingClientRect().top - output.getBoundingClientRect().top;
}"""
NEXT_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
LINE = 22  # pixels


def test_dollars_in_prose_and_tex_in_code_stay_and_formulas_are_set(chatting, server):
    server.will_reply(
        "It costs $5 to $10, `$x^2$` in code, and $E = m c^2$ or \\(a_1\\) as formulas.\n\n"
        "    $$\\int indented$$\n\n```tex\n$$\\sum fenced$$\n```"
    )
    notebook = chatting("%%chat -m gpt-4o\nTell me.")
    notebook.run(1)
    notebook.wait_idle()
    formulas = notebook.output(1).locator("mjx-container")
    formulas.nth(1).wait_for()
    assert formulas.count() == 2
    shown = notebook.text(1)
    assert "It costs $5 to $10, $x^2$ in code, and" in shown
    assert "$$\\int indented$$" in shown
    assert "$$\\sum fenced$$" in shown


def test_the_stop_button_keeps_the_text_and_run_all_ends_there(chatting, server):
    server.will_reply(without_end("word"), "again")
    notebook = chatting("%%chat -m gpt-4o\nGo on.", "print('queued')", "%%chat -m gpt-4o\nAgain.")
    notebook.run_all()
    notebook.wait_for_text(1, "word word word")
    notebook.stop()
    notebook.wait_idle()
    shown = notebook.text(1)
    assert "word word word" in shown
    assert "interrupted" in shown
    assert "Traceback" not in shown
    assert notebook.prompts() == ["[2]:", "[3]:", "[ ]:", "[ ]:"]
    notebook.run(2)
    notebook.run(3)
    notebook.wait_idle()
    assert notebook.text(2) == "queued\n"
    assert notebook.text(3).startswith("again")


def test_the_page_does_not_jump_while_a_reply_grows_or_when_it_is_finished(chatting, server):
    said = "".join(reply(400))
    server.will_reply(text(said, pace=0.01))
    notebook = chatting("%%chat -m gpt-4o\nTell me.")
    output = notebook.output(1)
    output.evaluate(WATCH_HEIGHT)
    notebook.run(1)
    output.get_by_text("tokens").wait_for()  # in the footer of what is left
    output.locator("mjx-container").nth(said.count("a^3$") - 1).wait_for()
    notebook.page.evaluate(NEXT_FRAMES)
    heights = notebook.page.evaluate("heights")
    assert len(heights) > 4, "it was not seen growing"
    peaks = [max(heights[:number]) for number in range(1, len(heights))]
    drops = [peak - height for peak, height in zip(peaks, heights[1:], strict=True)]
    assert max(drops) < LINE, heights


def test_a_finished_reply_stands_where_it_grew(chatting, server):
    parts = [chunk(f"#### Part {number}\n\nSome words.\n\n") for number in range(8)]
    slowly = [step for part in parts for step in (part, 0.3)]
    server.will_reply(stream(*slowly, chunk("The end."), done=False).but(ending="stall"))
    notebook = chatting("%%chat -m gpt-4o\nTell me.")
    notebook.run(1)
    notebook.wait_for_text(1, "The end.")
    grown = notebook.output(1).evaluate(TOP_OF_END)
    notebook.stop()
    notebook.wait_for_text(1, "interrupted")
    assert abs(notebook.output(1).evaluate(TOP_OF_END) - grown) < LINE / 2


def test_a_burst_of_8000_chunks_is_on_screen_whole(chatting, server):
    words = [f"w{number}" for number in range(8_000)]
    lines = (" ".join(words[start : start + 20]) for start in range(0, len(words), 20))
    server.will_reply("\n\n".join(lines))
    notebook = chatting("%%chat -m gpt-4o\nGo.")
    notebook.run(1)
    notebook.wait_idle()
    assert re.findall(r"\bw\d+", notebook.text(1)) == words


def test_six_notebooks_that_stream_at_once_lose_nothing(window, server):
    lines = [f"line {number:04} of a reply" for number in range(500)]
    server.will_always_reply(text("\n\n".join(lines), pace=0.002))
    setup = SETUP.format(server.base_url)
    notebooks = []
    for number in range(6):
        window.lab.write(f"{number}.ipynb", setup, "%%chat -m gpt-4o\nGo.")
        notebooks.append(window.open(f"{number}.ipynb"))
    for notebook in notebooks:
        notebook.show()
        notebook.run_all()
    for notebook in notebooks:
        notebook.show()
        notebook.wait_idle()
        assert re.findall("line .{4} of a reply", notebook.text(1)) == lines
