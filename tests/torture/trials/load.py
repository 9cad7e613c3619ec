"""Many streams at once, more calls than connections, and many chats one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.benchmarks.load import measure
from tests.benchmarks.server import running
from tests.notebook.kernels import Kernel
from tests.torture.figures import Figure, Scale


def trial(scale: Scale) -> Iterator[Figure]:
    """The streams in a process of their own, the rest in a kernel."""
    with running() as address:
        yield from _slow_streams(scale, address)
        yield from _fast_streams(scale, address)
        with Kernel() as kernel:
            yield from _more_than_may_run(kernel, address)
            yield from _chats(scale, kernel, address)


def _slow_streams(scale: Scale, address: str) -> Iterator[Figure]:
    streams, chunks = scale.of(1000), scale.of(97)
    load = measure("nbagents", address, streams, chunks, 5)
    what = f"{streams:,} streams of 5 chunks a second"
    yield Figure(f"{what}: cut", streams - load.whole, 0)
    yield Figure(f"{what}: time, in multiples of the ideal", load.times_ideal, 1.3, timed=True)
    yield Figure(f"{what}: memory each", load.kib_each, 60, "KiB")


def _fast_streams(scale: Scale, address: str) -> Iterator[Figure]:
    streams, chunks = 200, scale.of(497)
    load = measure("nbagents", address, streams, chunks, 50)
    what = f"{streams} streams of 50 chunks a second"
    yield Figure(f"{what}: cut", streams - load.whole, 0)
    yield Figure(f"{what}: 99th percentile of lateness", load.late, 0.5, "s", timed=True)


SETUP = """
%load_ext nbagents
import asyncio, gc, json, os, resource, threading
import nbagents
from nbagents import ChatAgent, ledger
from nbagents.loop import engine
from nbagents.messages import UserMessage
from nbagents.models import OpenAIChatCompletionClient

HI = [UserMessage(content="hi", source="user")]

def client_at(path):
    base_url = "{address}" + path + "/v1"
    return OpenAIChatCompletionClient(model="gpt-4o", base_url=base_url, api_key="none")
"""

# The kernel may open few files, so that few connections are all there are.
FULL = """
most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (160, most[1]))
client = client_at("/chunks/2/per-second/5")
nbagents.run(client.create(HI))
resource.setrlimit(resource.RLIMIT_NOFILE, most)

async def ask():
    try:
        async for event in client.create_stream(HI):
            pass
        return event.finish_reason
    except Exception as error:
        return f"{type(error).__name__}: {error}"

async def ask_all(number):
    return await asyncio.gather(*(ask() for _ in range(number)))

others = engine().submit(ask_all(120))
"""

HOW_OTHERS_ENDED = "print(json.dumps(others.result(60)))"


def _more_than_may_run(kernel: Kernel, address: str) -> Iterator[Figure]:
    """121 calls where 50 may run at once; the last one is a cell's."""
    setup = kernel.run(SETUP.replace("{address}", address) + FULL)
    assert setup.status == "ok", setup.reply
    cell = kernel.run("%%chat client\nhi")
    shown = [
        str(content)
        for kind in ("display_data", "update_display_data")
        for content in cell.of(kind)
    ]
    ended = json.loads(kernel.run(HOW_OTHERS_ENDED).text)
    what = f"{len(ended) + 1} calls over 50 connections"
    well = sum(each == "stop" for each in ended) + (cell.status == "ok")
    yield Figure(f"{what}: answered", well, len(ended) + 1, at_least=True)
    waits = sum("waits for one of the 50 connections" in each for each in shown)
    yield Figure(f"{what}: times the last one's cell said that it waits", waits, 1, at_least=True)


STATE = """
chatting = ChatAgent(client_at("/chunks/20"))
def sockets():
    with os.scandir("/proc/self/fd") as files:
        return sum(os.readlink(each.path).startswith("socket:") for each in files
                   if os.path.islink(each.path))
def state():
    ledger.clear()
    gc.collect()
    with open("/proc/self/statm") as pages:
        memory = int(pages.read().split()[1]) * resource.getpagesize() / 2**20
    tasks = sum(not task.done() for task in asyncio.all_tasks(engine().loop))
    now = dict(sockets=sockets(), tasks=tasks, threads=threading.active_count(), memory=memory)
    print(json.dumps(now))
"""


def _chats(scale: Scale, kernel: Kernel, address: str) -> Iterator[Figure]:
    chats = scale.of(1000)
    assert kernel.run(STATE).status == "ok"
    # The conversation holds its newest 40 messages, the kernel its newest inputs and outputs.
    failed = _chat(kernel, 50)
    before = _state(kernel)
    failed += _chat(kernel, chats)
    after = _state(kernel)
    yield Figure(f"{chats:,} chats: failed", failed, 0)
    for what in ("sockets", "tasks", "threads"):
        yield Figure(f"{chats:,} chats: more {what} than before", after[what] - before[what], 0)
    grown = after["memory"] - before["memory"]
    yield Figure(f"{chats:,} chats: more memory than before", grown, 8, "MiB")


def _chat(kernel: Kernel, times: int) -> int:
    """How many of so many chat cells failed."""
    cells = (kernel.run("%%chat chatting\nhi") for _ in range(times))
    return sum(cell.status != "ok" for cell in cells)


def _state(kernel: Kernel) -> dict[str, float]:
    cell = kernel.run("state()")
    assert cell.status == "ok", cell.reply
    state: dict[str, float] = json.loads(cell.text)
    return state
