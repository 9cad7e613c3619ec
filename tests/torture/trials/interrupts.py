"""The interrupt at each point at which a turn can be, in one kernel."""

from __future__ import annotations

import json
import queue
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.notebook.kernels import Cell, Kernel
from tests.notebook.streams import unanswering_port
from tests.torture.figures import Figure, Scale
from tests.torture.points import PARTIAL, Points, serving

CLOSED = 0.1
"""Seconds from the interrupt to the closed socket."""
PROMPT = 1.0
HUNG = 30.0
OUTPUT = ("stream", "display_data", "update_display_data", "error", "clear_output")

SETUP = """
%load_ext nbagents
import asyncio, json, socket, threading, time
import nbagents
from nbagents import ChatAgent, ledger
from nbagents.loop import engine
from nbagents.models import OpenAIChatCompletionClient
from nbagents.tools import tool

def asleep() -> str:
    "Sleeps."
    print("in the tool", flush=True)
    time.sleep(30)
    return "awake"

def computing() -> str:
    "Computes."
    print("in the tool", flush=True)
    while True:
        sum(range(1000))

@tool(side_effects=True)
def change() -> str:
    "Changes something."
    return "changed"

def key() -> str:
    with socket.create_connection(("127.0.0.1", {mute})) as connection:
        connection.recv(1)
    return "a-key-that-came-too-late"

def agent(point, *tools, base_url=None, api_key="none"):
    base_url = base_url or f"http://127.0.0.1:{port}/{{point}}/v1"
    client = OpenAIChatCompletionClient(model="gpt-4o", base_url=base_url, api_key=api_key)
    return ChatAgent(client, name=point, tools=tools)

at_good = agent("good")
at_connecting = agent("connecting", base_url="http://127.0.0.1:{full}/v1")
at_handshake = agent("handshake", base_url="https://127.0.0.1:{mute}/v1")
at_token = agent("token", api_key=key)
at_headers, at_stalled, at_streaming, at_pause = map(
    agent, ("headers", "stalled", "streaming", "pause")
)
at_tool_asleep = agent("tool", asleep)
at_tool_computing = agent("tool", computing)
at_approval = agent("approval", change)

def left(agent):
    records = [[each.status, each.prompt_tokens] for each in ledger.records]
    ledger.clear()
    messages = nbagents.run(agent.model_context.get_messages())
    tasks = sum(not task.done() for task in asyncio.all_tasks(engine().loop))
    print(json.dumps(dict(records=records, messages=len(messages), tasks=tasks, busy=agent.busy)))
"""


@dataclass(frozen=True)
class Point:
    """Where a turn is when the interrupt comes.

    Attributes:
        name: Of the agent that gets there.
        title: In words.
        socket: Whether a socket is open that must be closed.
        sent: Whether the server had the request, so that it is counted.
        records: How the requests are entered in the ledger.
        keeps: Whether there is text that the cell must keep.
    """

    name: str
    title: str
    socket: bool = False
    sent: bool = True
    records: tuple[str, ...] = ("cancelled",)
    keeps: bool = False


POINTS = (
    Point("connecting", "connecting", sent=False, socket=True),
    Point("handshake", "connecting, TLS", sent=False, socket=True),
    Point("headers", "waiting for headers", socket=True),
    Point("stalled", "stalled in the stream", socket=True, keeps=True),
    Point("streaming", "streaming", socket=True, keeps=True),
    Point("pause", "in a retry's pause"),
    Point("tool_asleep", "in a tool that sleeps", records=("complete",)),
    Point("tool_computing", "in a tool that computes", records=("complete",)),
    Point("approval", "at an approval", records=("complete",)),
    Point("token", "fetching a token", sent=False),
)


@dataclass
class Seen:
    """What the interrupts of a point did."""

    faults: Counter[str] = field(default_factory=Counter)
    closing: list[float] = field(default_factory=list)
    idling: list[float] = field(default_factory=list)


def trial(scale: Scale) -> Iterator[Figure]:
    """Each point in turn; what must hold after each interrupt is looked at after each."""
    rounds, moments = scale.of(100), random.Random(scale.seed)
    faults: Counter[str] = Counter()
    with serving() as server, unanswering_port() as full, Kernel() as kernel:
        setup = kernel.run(SETUP.format(port=server.port, mute=server.mute, full=full))
        assert setup.status == "ok", setup.reply
        bench = Bench(kernel, server, full, moments)
        bench.turn_works()
        for point in POINTS:
            seen = bench.interrupt(point, rounds)
            faults += seen.faults
            yield from _figures(point, rounds, seen)
        strays = bench.strays()
    for fault in FAULTS[1:]:
        yield Figure(f"{rounds * len(POINTS):,} interrupts: {fault}", faults[fault], 0)
    yield Figure("outputs of a turn after its cell had ended", strays, 0)


FAULTS = (
    "not ended in one line",
    "text that had come was not kept",
    "context not as before the turn",
    "ledger not right",
    "a task or a turn left running",
    "a request was sent afterwards",
    "the next cell did not work",
)


def _figures(point: Point, rounds: int, seen: Seen) -> Iterator[Figure]:
    ended = rounds - seen.faults[FAULTS[0]]
    yield Figure(f"{point.title}: ended, of {rounds}", ended, rounds, at_least=True)
    if point.socket:
        late = sum(each > CLOSED for each in seen.closing)
        what = f"{point.title}: sockets open after {CLOSED:g} s, of {rounds}"
        yield Figure(what, late + rounds - len(seen.closing), 0, timed=True)
        longest = max(seen.closing, default=HUNG)
        yield Figure(f"{point.title}: longest until closed", longest, CLOSED, "s", timed=True)
    longest = max(seen.idling, default=HUNG)
    yield Figure(
        f"{point.title}: longest until the prompt is back", longest, PROMPT, "s", timed=True
    )


class Bench:
    """The kernel, and what is known of it from outside."""

    def __init__(self, kernel: Kernel, server: Points, full: int, moments: random.Random) -> None:
        self._kernel = kernel
        self._server = server
        self._full = full
        self._moments = moments
        self._ended: set[str] = set()
        # A listener of our own has all messages in their order.
        self._messages = kernel._client.connect_iopub()
        self._messages.rcvhwm = 0

    def interrupt(self, point: Point, rounds: int) -> Seen:
        """Interrupt so many turns that are at ``point``."""
        seen = Seen()
        for number in range(rounds):
            self._once(point, seen)
            if number % 10 == 9 and not self.turn_works():
                seen.faults["the next cell did not work"] += 1
        return seen

    def turn_works(self) -> bool:
        """Whether an ordinary turn goes through."""
        cell = self._kernel.run("%%chat at_good\nhi")
        self._kernel.run("ledger.clear()")
        return cell.status == "ok" and "Done." in str(cell.outputs)

    def strays(self) -> int:
        """Outputs of interrupted cells that came after their end."""
        found, over = 0, set()
        while self._messages.poll(500):
            frames = self._messages.recv_multipart()
            start = frames.index(b"<IDS|MSG>") + 2
            header, parent, _, content = (json.loads(each) for each in frames[start : start + 4])
            cell = parent.get("msg_id")
            if header["msg_type"] == "status" and content["execution_state"] == "idle":
                over.add(cell)
            found += header["msg_type"] in OUTPUT and cell in over and cell in self._ended
        self._messages.close(linger=0)
        return found

    def _once(self, point: Point, seen: Seen) -> None:
        server = self._server
        server.reached.clear()
        server.closed.clear()
        asking = point.name == "approval"
        before = _connecting(self._full)
        cell = self._kernel.start(f"%%chat at_{point.name}\nhi", allow_stdin=asking)
        self._reach(point, cell, before)
        time.sleep(self._moments.uniform(0, 0.03))
        requests, at = server.requests, time.monotonic()
        self._kernel.interrupt()
        if point.name == "connecting" and _until(lambda: _connecting(self._full) <= before, 1):
            seen.closing.append(time.monotonic() - at)
        try:
            done = self._kernel.wait(cell, HUNG)
        except queue.Empty:
            seen.faults["not ended in one line"] += 1
            return
        self._ended.add(cell)
        seen.idling.append(done.idle_at - at)
        if point.socket and point.name != "connecting" and _closed(server):
            seen.closing.append(server.closed[0] - at)
        seen.faults.update(self._faults(point, done))
        seen.faults["a request was sent afterwards"] += server.requests - requests
        server.drop()

    def _reach(self, point: Point, cell: str, before: int) -> None:
        if point.name == "connecting":
            assert _until(lambda: _connecting(self._full) > before)
        elif point.name == "approval":
            self._kernel._client.get_stdin_msg(timeout=HUNG)
        elif point.name.startswith("tool"):
            self._kernel.wait_for_output(cell, HUNG, "in the tool")
        else:
            assert self._server.reached.wait(HUNG), point
            if point.keeps:
                self._kernel.wait_for_output(cell, HUNG, PARTIAL)
            time.sleep(0.02 if point.name == "pause" else 0)

    def _faults(self, point: Point, cell: Cell) -> Iterator[str]:
        lines = cell.reply.get("traceback", [])
        if cell.status != "error" or len(lines) != 1 or "stopped" not in lines[0]:
            yield "not ended in one line"
        if point.keeps and PARTIAL not in str(cell.outputs):
            yield "text that had come was not kept"
        looked = self._kernel.run(f"left(at_{point.name})")
        if looked.status != "ok":
            yield "the next cell did not work"
            return
        left: dict[str, Any] = json.loads(looked.text)
        if left["messages"]:
            yield "context not as before the turn"
        counted = [bool(tokens) for _, tokens in left["records"]]
        statuses = [status for status, _ in left["records"]]
        if (statuses, counted) != ([*point.records], [point.sent] * len(counted)):
            yield "ledger not right"
        if left["tasks"] > 1 or left["busy"]:
            yield "a task or a turn left running"


def _until(condition: Callable[[], bool], seconds: float = HUNG) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _closed(server: Points) -> bool:
    return _until(lambda: bool(server.closed), 1)


def _connecting(port: int) -> int:
    """How many sockets of this machine wait for an answer from ``port`` to their first packet."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return sum(each[2] == f"0100007F:{port:04X}" and each[3] == "02" for each in fields)
