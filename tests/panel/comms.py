"""A kernel with a panel in it, and its front end: what it hears on the comm, and says."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.notebook.kernels import Kernel


class PanelKernel(Kernel):
    """A kernel whose comms a test holds.

    Attributes:
        heard: What the panel has sent: the content of its custom messages, in order.
    """

    @staticmethod
    @contextmanager
    def outside_of_pytest() -> Iterator[None]:
        """Kernels that are started inside show what they show to a person."""
        hidden = {name: os.environ.pop(name) for name in ("PYTEST_CURRENT_TEST",)}
        try:
            yield
        finally:
            os.environ.update(hidden)

    def open(self, code: str) -> None:
        """Run a cell that opens a panel, and be its front end from now on."""
        self.heard: list[dict[str, Any]] = []
        self.subshell: str | None = None
        self._idle: set[str] = set()
        self._comm = ""
        request = self.start(code)
        self.listen(lambda: bool(self._comm) and self.is_idle(request))

    def make_subshell(self) -> None:
        """Have what is said from now on run on a subshell, as JupyterLab does."""
        client = self._client
        client.control_channel.send(client.session.msg("create_subshell_request", {}))
        reply = client.get_control_msg(timeout=60)
        self.subshell = reply["content"]["subshell_id"]

    def say(self, content: object) -> None:
        """Send a custom message of the front end to the panel."""
        client = self._client
        data = {"comm_id": self._comm, "data": {"method": "custom", "content": content}}
        message = client.session.msg("comm_msg", data)
        message["header"]["subshell_id"] = self.subshell
        client.shell_channel.send(message)

    def listen(self, until: Callable[[], bool], timeout: float = 60) -> float:
        """Hear until something is the case; returns when that was, on the monotonic clock."""
        deadline = time.monotonic() + timeout
        while not until():
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"not heard in time; the last: {self.heard[-3:]}")
            self.hear_one(left)
        return time.monotonic()

    def hear_one(self, timeout: float = 1) -> None:
        """Hear one message, if one comes in time."""
        with suppress(queue.Empty):
            self._hear(self._client.get_iopub_msg(timeout=timeout))

    def hear(self, seconds: float) -> None:
        """Hear for some time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.hear_one(left)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [content for content in self.heard if content["kind"] == kind]

    def last(self, identity: str) -> dict[str, Any]:
        """The message of that id as it was last sent whole."""
        sent = [content["message"] for content in self.of("message")]
        found = [message for message in sent if message["id"] == identity]
        return found[-1] if found else {"status": ""}

    def is_idle(self, request: str) -> bool:
        """Whether what was requested has run to its end, as far as was heard."""
        return request in self._idle

    def _hear(self, message: dict[str, Any]) -> None:
        content, kind = message["content"], message["msg_type"]
        if kind == "status" and content["execution_state"] == "idle":
            self._idle.add(message["parent_header"]["msg_id"])
        elif kind == "comm_open" and "_esm" in content["data"]["state"]:
            self._comm = content["comm_id"]
        elif kind == "comm_msg" and content["comm_id"] == self._comm:
            data = content["data"]
            if data["method"] == "custom":
                self.heard.append(data["content"])
