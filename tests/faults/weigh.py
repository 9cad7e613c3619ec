"""What a request costs a kernel in memory, by each of the four ways to ask.

The kernel's peak is the system's own figure (``VmHWM``), which is set back before each request.
The server lives in another process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nbagents.testing import LoopbackServer, chunk, stream
from nbagents.testing.faults import FAULTS, Fault, Outcome
from tests.notebook.kernels import Cell, Kernel

__all__ = ["LONG", "Scales", "scales", "weighed"]

_MIB = 1024 * 1024
_RICH = (
    "## Part\n\nSome **bold** text with `code` and $x^2$.\n\n- one\n- two\n\n"
    "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```python\nfor i in range(10):\n    print(i)\n```\n\n"
)


def _long(text: str, *, size: int = 8 * _MIB, kind: str = "content") -> Fault:
    """A good reply of ``size`` bytes of memory, almost: 8 MiB are what is allowed."""
    width = 1 if text.isascii() else 2 if max(text) < "\U00010000" else 4
    pieces = [chunk(**{kind: text})] * (size // (width * len(text)) - 1)
    reply = stream(*pieces, chunk("" if kind == "content" else "hi"), chunk(None, "stop"))
    return Fault("long", "legal", "as long as is allowed", [reply], Outcome())


LONG = {
    "8 MiB of Markdown": _long(_RICH * 32),
    "8 MiB of Markdown with an emoji": _long(_RICH * 32 + "\U0001f600"),
    "8 MiB of Chinese": _long("\u65e5\u672c\u8a9e\u3002" * 500),
    "8 MiB of what HTML escapes": _long("<&" * 2_000),
    "8 MiB of what JSON escapes": _long('"\\\n' * 2_000),
    "8 MiB of reasoning": _long(_RICH * 32, kind="reasoning_content"),
    "2 MiB word by word": _long("lorem ipsum ", size=2 * _MIB),
    "290 kB of small blocks": _long("# a b\n\n- c\n\n" * 100, size=290_000),
    "290 kB of small tables": _long("| a |\n| - |\n| b |\n\n" * 100, size=290_000),
    "290 kB of emphasis": _long("*a*" * 3_000 + "\n\n", size=290_000),
}
"""Replies that are good and heavy."""

_SETUP = """
%load_ext nbagents
import ctypes, gc, os
from nbagents import ChatPanel
from nbagents.errors import NbAgentsError
from nbagents.messages import UserMessage
from tests.faults.ways import agent_of, clients_of

HI = [UserMessage(content="hi", source="user")]
clients = clients_of({url!r}, generous=True)
panel = None

def prepare(deadline, retries):
    "Forget what was, and make what is asked next."
    global client, agent, panel, reply
    if panel is not None:
        panel.close()
    reply = None
    get_ipython().displayhook.flush()
    get_ipython()._last_traceback = None
    client = clients[deadline, retries]
    agent = agent_of(client)
    panel = ChatPanel(agent_of(client))
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    print(os.getpid())
"""
_CELLS = {
    "create": """
try:
    reply = await client.create(HI)
except NbAgentsError:
    pass
""",
    "create_stream": """
try:
    async for reply in client.create_stream(HI):
        pass
except NbAgentsError:
    pass
""",
    "%%chat": "%%chat agent\nhi",
    "panel": "panel.send('hi')\npanel.wait()",
}


class Scales:
    """A kernel that asks, and a server that misbehaves."""

    def __init__(self, kernel: Kernel, server: LoopbackServer) -> None:
        self._kernel = kernel
        self._server = server
        started = kernel.run(_SETUP.format(url=server.base_url))
        assert started.status == "ok", started.reply
        for way in _CELLS:
            self._ask(way, FAULTS["bom"])
        self._base = self._prepared(FAULTS["bom"])

    def weigh(self, way: str, fault: Fault) -> float:
        """MiB at the most while it is asked, above what there was before."""
        before = self._prepared(fault)
        self._ask(way, fault)
        return self._memory("VmHWM") - before

    def left(self) -> float:
        """MiB that all that was asked has left, when its results are forgotten."""
        return self._prepared(FAULTS["bom"]) - self._base

    def _ask(self, way: str, fault: Fault) -> None:
        self._server.forget()
        if fault.name in FAULTS:
            self._server.will_misbehave(fault.name)
        else:
            self._server.will_reply(*fault.replies)
        if not hasattr(self, "_process"):
            self._prepared(fault)
        cell = self._kernel.run(_CELLS[way])
        assert way == "%%chat" or cell.status == "ok", (way, fault.name, cell.reply)
        assert self._server.requests, (way, fault.name)

    def _prepared(self, fault: Fault) -> float:
        cell: Cell = self._kernel.run(f"prepare({bool(fault.deadline)}, {fault.retries})")
        self._process = Path("/proc") / cell.text.split()[-1]
        (self._process / "clear_refs").write_text("5")
        return self._memory("VmRSS")

    def _memory(self, what: str) -> float:
        found = re.search(rf"{what}:\s+(\d+) kB", (self._process / "status").read_text())
        assert found is not None
        return int(found[1]) / 1024


@contextmanager
def scales() -> Iterator[Scales]:
    """A kernel to weigh with."""
    with LoopbackServer() as server, Kernel(NBAGENTS_REQUESTS="loopback") as kernel:
        yield Scales(kernel, server)


def weighed(asked: Iterable[tuple[str, str]], bound: float) -> dict[tuple[str, str], float]:
    """What each way to ask costs, with each fault or long reply, in MiB.

    All is asked in one kernel. What comes out above the bound is asked again in a kernel of its
    own, so that it does not answer for what others left.
    """
    with scales() as shared:
        most = {each: shared.weigh(*_of(each)) for each in asked}
    for each in [each for each, used in most.items() if used > bound]:
        with scales() as own:
            most[each] = own.weigh(*_of(each))
    return most


def _of(asked: tuple[str, str]) -> tuple[str, Fault]:
    way, name = asked
    return way, FAULTS.get(name) or LONG[name]
