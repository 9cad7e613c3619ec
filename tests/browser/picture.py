"""Take the README's picture: ``python -m tests.browser.picture`` writes docs/images/.

Left a notebook with a chat cell, right the panel of the same agent, which asks before it changes
something. Agent, data and script are those of the notebook on panels; a loopback server says the
script, so that the picture shows what a connected model looks like. Its name says that it is none.
"""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image

from nbagents.messages import CreateResult
from nbagents.testing import LoopbackServer, ScriptedReply, chunk, stream
from tests.browser.lab import Lab, Window, chromium

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "notebooks/05_chat_panel.ipynb"
PICTURE = ROOT / "docs/images/chat_and_panel.png"
SIZE = {"width": 1_400, "height": 846}
SCALE = 2  # pixels of the picture for one of the page
PANEL_HEIGHT = "736px"  # as somebody drags its corner
COLOURS = 256
MODEL = "your-model"

CELLS = (
    "%load_ext nbagents\nfrom pendulum import readings, tutor\n\nreadings",
    "%%chat tutor --with readings\nWhich of these readings is wrong?",
    "tutor.panel()",
)
CHAT, PANEL = 1, 2

# As somebody drags a tab to the right.
BESIDE = """() => {
    const [notebook, view] = [...jupyterapp.shell.widgets("main")];
    jupyterapp.shell.add(view, "main", {mode: "split-right", ref: notebook.id});
}"""


def main() -> None:
    """Ask in a cell and in the panel beside it, and keep what that looks like."""
    tutorial = _tutorial()
    with LoopbackServer() as server, Lab() as lab, chromium() as browser:
        server.will_reply(*_replies(tutorial))
        module = _CONNECTED.format(address=server.base_url, model=MODEL) + tutorial
        (lab.folder / "pendulum.py").write_text(module, encoding="utf-8")
        lab.write("pendulum.ipynb", *CELLS)
        window = Window(lab, browser)
        window.command("application:toggle-left-area")
        notebook = window.open("pendulum.ipynb")
        notebook.run_all()
        notebook.wait_idle()
        notebook.output(PANEL).locator(".nbagents-panel").wait_for()
        notebook.run(PANEL)  # so that it is the active cell
        notebook.wait_idle()
        window.page.set_viewport_size(SIZE)
        window.command("notebook:create-output-view")
        panel = window.page.locator(".jp-LinkedOutputView .nbagents-panel")
        panel.wait_for()
        window.page.evaluate(BESIDE)
        panel.evaluate("(panel, height) => { panel.style.height = height; }", PANEL_HEIGHT)
        panel.get_by_role("textbox").fill("Then take it out.")
        panel.get_by_role("textbox").press("Enter")
        panel.get_by_role("button", name="Approve").wait_for()
        notebook.look_at(0)
        notebook.output(CHAT).locator("mjx-container[display=true]").wait_for()
        screen = window.page.context.new_cdp_session(window.page)
        clip = {"x": 0, "y": 0, "scale": SCALE, **SIZE}
        taken = screen.send("Page.captureScreenshot", {"clip": clip})["data"]
    PICTURE.parent.mkdir(exist_ok=True)
    with Image.open(BytesIO(base64.b64decode(taken))) as picture:
        picture.convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)


_CONNECTED = """import os
import warnings

from nbagents.prices import set_price

os.environ |= {{"OPENAI_BASE_URL": "{address}", "OPENAI_API_KEY": "x", "OPENAI_MODEL": "{model}"}}
set_price("{model}", input=0.4, output=1.6)
warnings.simplefilter("ignore")  # the model is unknown
"""


def _replies(tutorial: str) -> list[ScriptedReply]:
    """What the tutorial's stand-in says, as a server streams it."""
    script: dict[str, Any] = {}
    exec(tutorial, script)
    return [_reply(said) for said in script["script"]]


def _reply(said: str | CreateResult) -> ScriptedReply:
    if isinstance(said, str):
        events = [chunk(word) for word in re.findall(r"\S+\s*", said)]
        end = chunk(None, "stop")
    else:
        calls = [
            {"index": 0, "id": call.id, "type": "function"}
            | {"function": {"name": call.name, "arguments": call.arguments}}
            for call in said.content
            if not isinstance(call, str)
        ]
        events, end = [chunk(None, tool_calls=calls)], chunk(None, "tool_calls")
    spoken = 2 * len(events)
    usage = {"prompt_tokens": 300, "completion_tokens": spoken}
    paced = [step for event in events for step in (0.01, event | {"model": MODEL})]
    return stream(*paced, end | {"model": MODEL, "usage": usage})


def _tutorial() -> str:
    """The tutorial's code from its data to its agent, as a module."""
    cells = nbformat.read(TUTORIAL, as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    first, last = (
        next(number for number, source in enumerate(code) if source.startswith(start))
        for start in ("import pandas", "tutor = ")
    )
    return "from nbagents import ChatAgent\n\n" + "\n\n".join(code[first : last + 1])


if __name__ == "__main__":
    main()
