"""A real kernel for tests: runs cells, interrupts them, and keeps every IOPub message it sent."""

from __future__ import annotations

import os
import queue
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

ROOT = Path(__file__).parents[2]


@dataclass
class Message:
    """A message as it was received; ``size`` is that of all its frames, in bytes."""

    kind: str
    content: dict[str, Any]
    size: int
    at: float


@dataclass
class Cell:
    """What a cell did: its reply and its messages, times on the monotonic clock."""

    messages: list[Message] = field(default_factory=list)
    reply: dict[str, Any] = field(default_factory=dict)
    idle_at: float = 0.0

    @property
    def status(self) -> str:
        return self.reply["status"]

    @property
    def size(self) -> int:
        return sum(message.size for message in self.messages)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message.content for message in self.messages if message.kind == kind]

    @property
    def text(self) -> str:
        """What was printed."""
        return "".join(content["text"] for content in self.of("stream"))

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """What a front end that knows updates and `clear_output` shows in the end."""
        shown: list[dict[str, Any]] = []
        clear = False
        for message in self.messages:
            content = message.content
            if message.kind == "clear_output":
                clear = content["wait"]
                shown = shown if clear else []
            elif message.kind == "update_display_data":
                for output in shown:
                    if output.get("id") == content["transient"]["display_id"]:
                        output["data"] = content["data"]
            elif message.kind in ("display_data", "stream", "error", "execute_result"):
                shown = [] if clear else shown
                clear = False
                shown.append(_output(message))
        return shown


def _output(message: Message) -> dict[str, Any]:
    content = message.content
    if message.kind == "stream":
        return {"kind": "stream", "text": content["text"]}
    if message.kind == "error":
        return {"kind": "error", "text": "\n".join(content["traceback"])}
    identity = content.get("transient", {}).get("display_id")
    return {"kind": message.kind, "data": content["data"], "id": identity}


class Kernel:
    """A kernel of the running interpreter, started in the project's root."""

    def __init__(self, python: str = sys.executable, **environment: str) -> None:
        self._manager = KernelManager()
        self._manager._kernel_spec = KernelSpec(
            argv=[python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="under test",
            language="python",
        )
        # a kernel under pytest shows replies in their final form only
        hidden = ("PYTEST_CURRENT_TEST", "NBAGENTS_RENDER")
        self._environment = {k: v for k, v in os.environ.items() if k not in hidden} | environment

    def __enter__(self) -> Self:
        self._manager.start_kernel(env=self._environment, cwd=str(ROOT))
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=180)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(
        self, code: str, timeout: float = 180, answer: Callable[[str], str] | None = None
    ) -> Cell:
        """Run a cell to its end; ``answer`` replies to what it asks by ``input``."""
        if answer is None:
            return self.wait(self.start(code, allow_stdin=False), timeout)
        request = self.start(code, allow_stdin=True)
        question = self._client.get_stdin_msg(timeout=timeout)["content"]["prompt"]
        self._client.input(answer(question))
        return self.wait(request, timeout)

    def start(self, code: str, **request: Any) -> str:
        """Send a cell to run and return the request's id."""
        return self._client.execute(code, **request)

    def complete(self, code: str, cursor: int) -> dict[str, Any]:
        """Press Tab."""
        reply: dict[str, Any] = self._client.complete(code, cursor, reply=True, timeout=180)
        return reply["content"]

    def send_to_widget(self, model_id: str, data: dict[str, Any]) -> None:
        """Do what a front end does when a person uses a widget."""
        content = {"comm_id": model_id, "data": data}
        self._client.shell_channel.send(self._client.session.msg("comm_msg", content))

    def interrupt(self) -> None:
        """Press the stop button."""
        self._manager.interrupt_kernel()

    def wait(self, request: str, timeout: float = 180) -> Cell:
        """Collect what the cell sends until the kernel is idle again and has replied."""
        cell = Cell()
        deadline = time.monotonic() + timeout
        while not cell.idle_at:
            self._receive(request, cell, deadline)
        while not cell.reply:
            reply = self._client.get_shell_msg(timeout=max(0, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == request:
                cell.reply = reply["content"]
        return cell

    def wait_for_output(self, request: str, timeout: float = 180, text: str = "[") -> Cell:
        """Collect what the cell sends until there is some of it to see, with ``text`` in it."""
        cell = Cell()
        deadline = time.monotonic() + timeout
        while text not in str(cell.outputs or ""):
            self._receive(request, cell, deadline)
        return cell

    def _receive(self, request: str, cell: Cell, deadline: float) -> None:
        channel = self._client.iopub_channel
        if not channel.socket.poll(int(1000 * max(0, deadline - time.monotonic()))):
            raise queue.Empty
        frames = channel.socket.recv_multipart()
        now = time.monotonic()
        _, rest = channel.session.feed_identities(frames)
        message = channel.session.deserialize(rest)
        if message["parent_header"].get("msg_id") != request:
            return
        content = message["content"]
        cell.messages.append(Message(message["msg_type"], content, sum(map(len, frames)), now))
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            cell.idle_at = now
