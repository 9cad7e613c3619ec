"""What happens in a real kernel: how long ``%load_ext`` takes, and what a reply sends on IOPub."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import zmq
from jupyter_client.manager import KernelManager

from tests.benchmarks.server import reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.blocking import BlockingKernelClient

# The pace of a fast model; what is sent depends on time, not on chunks alone.
PER_SECOND = 200

LOAD = """\
import sys, time
started = time.perf_counter()
get_ipython().run_line_magic("load_ext", "nbagents")
print((time.perf_counter() - started) * 1e3)
assert not {"openai", "pandas"} & {*sys.modules}
"""

CHAT = "%%chat -m gpt-4o\nTell me."

# What one writes by hand: the whole text again with every chunk.
BY_HAND = """\
from IPython.display import Markdown, display
from openai import AsyncOpenAI

stream = await AsyncOpenAI().chat.completions.create(
    model="gpt-4o", messages=[{"role": "user", "content": "Tell me."}], stream=True
)
text, shown = "", display(Markdown(""), display_id=True)
async for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        text += chunk.choices[0].delta.content
        shown.update(Markdown(text))
"""


@dataclass
class Sent:
    """What a cell sent on IOPub."""

    bytes: int
    messages: int


def load_ext(rounds: int) -> float:
    """Milliseconds of ``%load_ext nbagents`` in a kernel that has just started."""
    return median(_load_ext() for _ in range(rounds))


def _load_ext() -> float:
    with _kernel({}) as client:
        texts: list[str] = []
        done = client.execute_interactive(
            LOAD,
            timeout=60,
            output_hook=lambda message: texts.append(message["content"].get("text", "")),
        )
        assert done["content"]["status"] == "ok", done["content"]
        return float("".join(texts))


def chat(address: str, chunks: int) -> Sent:
    """What a ``%%chat`` cell sends for a reply of so many chunks."""
    return _sent(address, chunks, "%load_ext nbagents", CHAT)


def by_hand(address: str, chunks: int) -> Sent:
    """What a hand-written cell sends that shows the whole text again with every chunk."""
    return _sent(address, chunks, "", BY_HAND)


def _sent(address: str, chunks: int, before: str, cell: str) -> Sent:
    url = f"{address}/chunks/{chunks}/per-second/{PER_SECOND}/v1"
    with _kernel({"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}) as client:
        client.execute_interactive(before, timeout=60)
        # A socket of our own sees the messages as they are on the wire.
        with client.connect_iopub() as socket:
            socket.rcvhwm = 0
            sent, shown = _count(socket, client, cell)
    assert "".join(reply(chunks)).strip() in shown, "the cell does not show the whole reply"
    return sent


def _count(socket: zmq.Socket[bytes], client: BlockingKernelClient, cell: str) -> tuple[Sent, str]:
    """What the cell sends, and the Markdown it shows in the end."""
    # A subscription needs a moment before it receives anything.
    while not socket.poll(100):
        client.kernel_info()
    asked = client.execute(cell)
    sent, shown = Sent(0, 0), ""
    while socket.poll(120_000):
        frames = socket.recv_multipart()
        header, parent, _, content = (
            json.loads(frame) for frame in frames[frames.index(b"<IDS|MSG>") + 2 :][:4]
        )
        if parent.get("msg_id") != asked:
            continue
        sent.bytes += sum(map(len, frames))
        sent.messages += 1
        assert header["msg_type"] != "error", content
        shown = content.get("data", {}).get("text/markdown", shown)
        if content.get("execution_state") == "idle":
            return sent, shown
    raise TimeoutError("The kernel fell silent.")


@contextmanager
def _kernel(variables: dict[str, str]) -> Iterator[BlockingKernelClient]:
    manager = KernelManager(kernel_name="python3")
    # Its warning that TCP is not encrypted is about networks, not about loopback.
    manager.start_kernel(env={**os.environ, **variables}, extra_arguments=["--log-level=ERROR"])
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
