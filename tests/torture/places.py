"""Where hostile texts are shown in JupyterLab: below a ``%%chat`` cell, and in a chat panel."""

from __future__ import annotations

import json
import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from nbagents.testing import LoopbackServer, ScriptedReply, chunk, stream
from tests.browser.chat import Chat, calls
from tests.browser.lab import Notebook, Window
from tests.rendering.hostile import HOSTILE
from tests.torture.figures import Figure
from tests.torture.looking import AROUND, INSIDE

__all__ = ["Cells", "InPanel", "Place", "figures"]

TRIES = 4
SHORT = 4_000
"""Characters of what a tool is called with, and of what is thought."""
SETUP = """import os
os.environ.update(OPENAI_API_KEY="x", OPENAI_BASE_URL="{}")
%load_ext nbagents"""
AGENT = """from nbagents import ChatAgent
from nbagents.model_context import BufferedChatCompletionContext
from nbagents.models import OpenAIChatCompletionClient
from nbagents.tools import tool

@tool
def echo(text: str) -> str:
    "Say it again."
    return text

def panel():
    client = OpenAIChatCompletionClient(model="gpt-4o")
    few = BufferedChatCompletionContext(6)
    return ChatAgent(client, name="echoer", tools=[echo], model_context=few).panel()"""
EACH = 10
"""Texts in one panel: below it stands a copy of all that was said, made anew at each turn."""

# When the last element below a selector says a word and has a place on the page, by the clock
# on the wall; -1 after a minute.
SEEN = """([within, word]) => new Promise(resolve => {
    const begun = performance.now();
    const look = () => {
        const last = [...document.querySelectorAll(within)].at(-1);
        const here = last?.textContent.includes(word) && last.getBoundingClientRect().height > 0;
        if (here) resolve(performance.timeOrigin + performance.now());
        else if (performance.now() - begun > 60000) resolve(-1);
        else requestAnimationFrame(look);
    };
    look();
})"""


@dataclass(frozen=True)
class Shown:
    """How a text came to be seen, in seconds.

    Attributes:
        late: From the last byte of the reply to the text on the screen; infinite if never.
        work: The processor time of kernel and page for the whole of it.
    """

    late: float
    work: float


class Place(ABC):
    """A place where replies are shown, one after the other."""

    name: str

    def __init__(self, window: Window, server: LoopbackServer) -> None:
        self.window, self.page, self.server = window, window.page, server
        self._tools = self.page.context.new_cdp_session(self.page)
        self._tools.send("Performance.enable", {"timeDomain": "threadTicks"})

    @abstractmethod
    def ask(self, number: int) -> None:
        """Have the model asked, for the reply of this number."""

    @abstractmethod
    def replies(self, text: str, last: str) -> list[ScriptedReply]:
        """What the model says to one question: the text wherever it may stand, then a word."""

    @abstractmethod
    def within(self, number: int) -> str:
        """A selector of the elements of which the last one comes to hold the reply."""

    @abstractmethod
    def odd(self, number: int) -> list[str]:
        """What is in that reply and may not be."""

    def show(self, number: int, text: str, attempt: int = 0) -> Shown:
        """Have a text shown."""
        last = f"After{number}x{attempt}."
        self.server.forget()
        self.server.will_reply(*self.replies(text, last))
        before = self._work()
        self.ask(number)
        seen = self.page.evaluate(SEEN, [self.within(number), last]) / 1_000
        work = self._work() - before
        if seen < 0:
            return Shown(math.inf, work)
        answered = self.server.requests[-1].answered or time.monotonic()
        return Shown(max(0.0, seen - time.time() + time.monotonic() - answered), work)

    def _work(self) -> float:
        kernels = []
        for one in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                if "ipykernel_launcher" in one.cmdline():
                    kernels.append(one.cpu_times())
        metrics = self._tools.send("Performance.getMetrics")["metrics"]
        page = next(each["value"] for each in metrics if each["name"] == "TaskDuration")
        return float(page) + sum(times.user + times.system for times in kernels)


class Cells(Place):
    """Below a ``%%chat`` cell of its own each."""

    name = "below cells of JupyterLab"

    def __init__(self, window: Window, server: LoopbackServer, count: int) -> None:
        super().__init__(window, server)
        cells = ["%%chat -m gpt-4o --fresh\nGo."] * (count + 1)
        window.lab.write("cells.ipynb", SETUP.format(server.base_url), *cells)
        self.notebook = window.open("cells.ipynb")
        self.notebook.run(0)
        self.notebook.wait_idle()

    def ask(self, number: int) -> None:
        self.notebook.look_at(number)
        self.notebook.run(number)

    def replies(self, text: str, last: str) -> list[ScriptedReply]:
        return [_reply(text, last)]

    def within(self, number: int) -> str:
        cells = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-cell"
        return f"{cells}[data-windowed-list-index='{number}'] .jp-Cell-outputArea"

    def settle(self) -> None:
        """Wait until all is there that is to be saved."""
        self.notebook.wait_idle()

    def odd(self, number: int) -> list[str]:
        return _odd(self.notebook, number, ".jp-OutputArea-output")


class InPanel(Place):
    """In panels of a few turns each; what a tool is called with and says, too."""

    name = "in panels of JupyterLab"

    def __init__(self, window: Window, server: LoopbackServer, count: int) -> None:
        super().__init__(window, server)
        panels = ["panel()"] * (count // EACH + 1)
        window.lab.write("panel.ipynb", SETUP.format(server.base_url), AGENT, *panels)
        self.notebook = window.open("panel.ipynb")
        for cell in (0, 1):
            self.notebook.run(cell)
        self.notebook.wait_idle()
        self._chats: dict[int, Chat] = {}

    def ask(self, number: int) -> None:
        chat = self._chat(number)
        chat.rest()
        chat.ask(f"Go {number}.")

    def _chat(self, number: int) -> Chat:
        cell = _cell(number)
        if cell not in self._chats:
            self.notebook.look_at(cell)
            self.notebook.run(cell)
            self.notebook.wait_idle()
            self._chats[cell] = Chat(self.notebook.output(cell))
        return self._chats[cell]

    def replies(self, text: str, last: str) -> list[ScriptedReply]:
        short = text[:SHORT]
        return [calls(("echo", {"text": short})), _reply(text, last, reasoning_content=short)]

    def within(self, number: int) -> str:
        return ".jp-NotebookPanel:not(.lm-mod-hidden) .nba-message > .nba-body"

    def settle(self) -> None:
        """Wait until the copy that stays below the last panel holds the last reply."""
        chat = self._chats[max(self._chats)]
        chat.rest()
        word = chat.texts()[-1].split()[-1]
        deadline = time.monotonic() + 90
        while word not in self._outputs() and time.monotonic() < deadline:
            self.page.wait_for_timeout(500)
            self.notebook.save()

    def _outputs(self) -> str:
        notebook = self.window.lab.read("panel.ipynb")
        return str([cell.outputs for cell in notebook.cells])

    def odd(self, number: int) -> list[str]:
        return _odd(self.notebook, _cell(number), ".nba-message:nth-last-of-type(-n+3)")


def _cell(number: int) -> int:
    """The cell of the panel for a text."""
    return 2 + (number - 1) // EACH


def _reply(text: str, last: str, **first: str) -> ScriptedReply:
    """In ASCII, which can hold half of a surrogate pair."""
    events = [chunk(f"Before. {text}", **first), chunk(f"\n\n{last}", "stop")]
    return stream(*map(json.dumps, events))


def _odd(notebook: Notebook, cell: int, what: str) -> list[str]:
    odd: list[str] = notebook.output(cell).locator(what).evaluate_all(INSIDE)
    return odd


def figures(place: Place, names: Sequence[str]) -> Iterator[Figure]:
    """What came of each text in a place."""
    place.show(1, "Ok.")  # the first one imports the SDK
    plain = min(place.show(1, "Ok.", attempt).late for attempt in range(1, TRIES))
    before = place.page.evaluate(AROUND)
    odd, moved, shown = [], [], {}
    for number, name in enumerate(names, 2):
        shown[name] = _quickest(place, number, HOSTILE[name])
        if inside := place.odd(number):
            odd.append((name, inside[:5]))
        after = place.page.evaluate(AROUND)
        if after != before:
            moved.append((name, after))
    hidden = [name for name in names if math.isinf(shown[name].late)]
    for one in (*odd, *moved, *hidden):
        print(place.name, one, file=sys.stderr)
    what = f"{len(names)} hostile replies {place.name}"
    yield Figure(f"{what}: not shown to their end", len(hidden), 0)
    yield Figure(f"{what}: with active or misplaced elements", len(odd), 0)
    yield Figure(f"{what}: that changed something outside of the message", len(moved), 0)
    yield Figure(f"{what}: requests and dialogs", len(place.window.strays), 0)
    yield _slowest(f"{what}: last byte to screen, {plain:.2g} s for a plain one", {
        name: one.late for name, one in shown.items()})  # fmt: skip
    yield _slowest(f"{what}: processor time of kernel and page", {
        name: one.work for name, one in shown.items()})  # fmt: skip


def _quickest(place: Place, number: int, text: str) -> Shown:
    """Of several tries where it is slow: the machine may be busy, and JupyterLab save."""
    tries = [place.show(number, text)]
    while 1 < max(tries[-1].late, tries[-1].work) < math.inf and len(tries) < TRIES:
        tries.append(place.show(number, text, len(tries)))
    return Shown(min(one.late for one in tries), min(one.work for one in tries))


def _slowest(what: str, seconds: dict[str, float]) -> Figure:
    slowest = max(seconds, key=lambda name: seconds[name])
    return Figure(f"{what}; slowest {slowest!r}", seconds[slowest], 1.0, "s", timed=True)
