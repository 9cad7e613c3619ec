"""What a reply in a chat panel costs a browser: ours, and ``ChatInterface`` of HoloViz Panel.

Both run in JupyterLab with a real kernel and get the same reply from the same server. Counted is
what the page gets on its websocket, and what it does.
"""

from __future__ import annotations

import json
import re
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.benchmarks import server
from tests.benchmarks.server import CHUNK_CHARACTERS
from tests.browser.lab import SECONDS, Window

if TYPE_CHECKING:
    from playwright.sync_api import WebSocket


@dataclass(frozen=True)
class Reply:
    """What is asked for.

    Attributes:
        chunks: How many chunks of `CHUNK_CHARACTERS` characters it has.
        per_second: How many of them come in a second.
        earlier: How many messages the conversation has before.
    """

    chunks: int
    per_second: int
    earlier: int = 0


REPLIES = {
    "12 KB, 200 chunks a second": Reply(2_000, 200),
    "the same after 500 messages": Reply(2_000, 200, 500),
    "100 KB, 800 chunks a second": Reply(16_667, 800),
}

PATIENCE = 30
"""Seconds after the stream's end, as it is sent without anybody to wait for, until a reader gives
up."""

AHEAD = 5
"""Seconds from the cell that sends the prompt until it is sent: what JupyterLab does when a cell
is run is not counted."""

SETUP = """\
import os
os.environ.update(OPENAI_API_KEY="x", OPENAI_BASE_URL="{}")"""

OURS = """\
from nbagents import ChatAgent
from nbagents.model_context import UnboundedChatCompletionContext
from nbagents.models import AssistantMessage, OpenAIChatCompletionClient, UserMessage

said = []
for number in range({earlier} // 2):
    said.append(UserMessage(content=f"Question {{number}}?", source="user"))
    said.append(AssistantMessage(content=f"**Answer** {{number}}: `{{number}}`.", source="chat"))
client = OpenAIChatCompletionClient(model="gpt-4o")
context = UnboundedChatCompletionContext(initial_messages=said)
chat = ChatAgent(client, model_context=context).panel()"""

THEIRS = """\
import panel
from openai import AsyncOpenAI

panel.extension(inline=True)

async def answer(contents, user, interface):
    chunks = await AsyncOpenAI().chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": contents}], stream=True
    )
    text = ""
    async for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            text += chunk.choices[0].delta.content
            yield text

chat = panel.chat.ChatInterface(callback=answer)"""

OUR_VIEW = ".nbagents-panel"
THEIR_VIEW = ".jp-OutputArea-output"

SEND = f"""\
import asyncio
asyncio.get_running_loop().call_later({AHEAD}, chat.send, "Tell me.");"""

# Counts the frames in which something below the cell changes, the tasks of more than 50 ms and
# the rows of tables that are there, and tells it twice a second: a page that is busy for minutes
# cannot be asked. What Panel shows stands in shadow trees, which have to be watched one by one.
WATCH = """view => {
    const seen = {painted: [], tasks: [], rows: 0};
    const inside = node => {
        while (node && node !== view) node = node.parentNode ?? node.host;
        return Boolean(node);
    };
    let due = false;
    const changes = new MutationObserver(records => {
        if (due || !records.some(record => inside(record.target))) return;
        due = true;
        seen.painted.push(performance.now());
        // A change in the frame's own callbacks is in that frame.
        requestAnimationFrame(() => setTimeout(() => { due = false; }));
    });
    const watch = root => {
        changes.observe(root, {childList: true, characterData: true, subtree: true});
        for (const element of root.querySelectorAll("*"))
            if (element.shadowRoot) watch(element.shadowRoot);
    };
    watch(view);
    const attach = Element.prototype.attachShadow;
    Element.prototype.attachShadow = function (options) {
        const root = attach.call(this, options);
        watch(root);
        return root;
    };
    new PerformanceObserver(list => {
        for (const task of list.getEntries()) seen.tasks.push(task.duration);
    }).observe({type: "longtask"});
    const trees = root => [...root.querySelectorAll("*")]
        .flatMap(element => element.shadowRoot ? trees(element.shadowRoot) : [])
        .concat(root);
    setInterval(() => {
        seen.rows = trees(view).flatMap(root => [...root.querySelectorAll("tbody tr")]).length;
        tellSeen(seen);
    }, 500);
}"""


@dataclass
class Seen:
    """What a reply cost.

    Attributes:
        characters: The reply's length.
        shown: How much of it was on screen in time, from 0 to 1.
        bytes: What widgets' messages brought the page, without Jupyter's envelopes.
        enveloped: The same with them.
        messages: How many these were.
        paints: Frames in which the panel changed.
        paints_a_second: The same in the busiest second.
        longest: The longest task, in milliseconds; 0 if none took more than 50.
        blocked: All tasks of more than 50 ms, in seconds.
    """

    characters: int
    shown: float
    bytes: int
    enveloped: int
    messages: int
    paints: int
    paints_a_second: int
    longest: float
    blocked: float

    @property
    def allowed(self) -> int:
        """The bytes that are to be enough."""
        return 6 * self.characters + 300 * self.messages


@dataclass
class _Wire:
    """What the page is sent by widgets: of each message the content, and all of it, in bytes."""

    sizes: list[tuple[int, int]] = field(default_factory=list)

    def listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._note)

    def _note(self, frame: bytes | str) -> None:
        # By version 1 of Jupyter's websocket protocol: where the parts begin (the channel, the
        # header, that of the parent, metadata, content, buffers), and the parts.
        if isinstance(frame, bytes):
            (count,) = struct.unpack_from("<Q", frame)
            _, header, parent, _, content, *_ = struct.unpack_from(f"<{count}Q", frame, 8)
            if json.loads(frame[header:parent])["msg_type"].startswith("comm_"):
                self.sizes.append((len(frame) - content, len(frame)))


def ours(window: Window, address: str, reply: Reply) -> Seen:
    """A reply in our panel."""
    return _seen(window, address, reply, OURS.format(earlier=reply.earlier), OUR_VIEW)


def theirs(window: Window, address: str, reply: Reply) -> Seen:
    """A reply in Panel's ``ChatInterface``, which begins a conversation."""
    return _seen(window, address, reply, THEIRS, THEIR_VIEW)


def _seen(window: Window, address: str, reply: Reply, panel: str, view: str) -> Seen:
    url = f"{address}/chunks/{reply.chunks}/per-second/{reply.per_second}/v1"
    window.lab.write("bench.ipynb", SETUP.format(url), panel, "chat", SEND)
    wire = _Wire()
    told: list[dict[str, Any]] = []
    window.page.on("websocket", wire.listen)
    window.page.expose_function("tellSeen", lambda seen: told.append(seen))
    notebook = window.open("bench.ipynb")
    for cell in range(4):
        notebook.run(cell)
        notebook.wait_idle()
    notebook.output(2).locator(view).first.evaluate(WATCH)
    wire.sizes.clear()
    _wait(window, told, AHEAD + reply.chunks / reply.per_second, _rows(reply))
    seen = told[-1]
    return Seen(
        characters=reply.chunks * CHUNK_CHARACTERS,
        shown=min(1.0, seen["rows"] / _rows(reply)),
        bytes=sum(content for content, _ in wire.sizes),
        enveloped=sum(whole for _, whole in wire.sizes),
        messages=len(wire.sizes),
        paints=len(seen["painted"]),
        paints_a_second=_busiest(seen["painted"]),
        longest=max(seen["tasks"], default=0.0),
        blocked=sum(seen["tasks"]) / 1_000,
    )


def _wait(window: Window, told: list[dict[str, Any]], seconds: float, rows: int) -> None:
    """Wait until the reply is whole, or it is too late; what the page does then counts as well."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends + PATIENCE:
        window.page.wait_for_timeout(SECONDS / 2)
        if told and told[-1]["rows"] >= rows and time.monotonic() > ends:
            break
    window.page.wait_for_timeout(2 * SECONDS)


def _rows(reply: Reply) -> int:
    """How many rows of tables the whole reply has."""
    return len(re.findall(r"^\| [EM]", "".join(server.reply(reply.chunks)), re.MULTILINE))


def _busiest(times: list[float]) -> int:
    """How many of these times, in milliseconds, lie within one second at most."""
    return max((sum(start <= at < start + 1_000 for at in times) for start in times), default=0)
