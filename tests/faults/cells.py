"""A notebook without a kernel: IPython's shell, and outputs as a front end keeps them."""

from __future__ import annotations

import os
from typing import Any

from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

from nbagents import ChatAgent
from nbagents.messages import CreateResult

__all__ = ["Notebook"]


class _Session:
    """Where a kernel's messages leave, as far as the extension looks at it."""

    def __init__(self) -> None:
        self.outputs: list[tuple[str | None, dict[str, Any]]] = []
        self.clearing = False
        self.bytes = 0
        self.messages = 0

    def send(
        self, stream: Any, kind: str, content: Any = None, parent: Any = None, **_: Any
    ) -> None:
        self.messages += 1
        if kind == "clear_output":
            self.clearing = content["wait"]
            if not self.clearing:
                self.outputs.clear()
            return
        self.bytes += sum(len(part) for part in content["data"].values())
        slot = content["transient"].get("display_id")
        if kind == "update_display_data":
            self.outputs = [(name, {} if name == slot else data) for name, data in self.outputs]
            return
        if self.clearing:
            self.outputs.clear()
            self.clearing = False
        # A kernel sends what it shows, and forgets it.
        self.outputs.append((slot, {"text/plain": content["data"].get("text/plain", "")}))


class _Publisher(DisplayPublisher):
    """Publishes as a kernel's does."""

    pub_socket: Any = "iopub"
    parent_header: Any = None
    session: Any = None

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        *,
        transient: Any = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        kind = "update_display_data" if update else "display_data"
        content = {"data": data, "transient": transient or {}}
        self.session.send(self.pub_socket, kind, content, parent=self.parent_header)

    def clear_output(self, wait: bool = False) -> None:
        self.session.send(
            self.pub_socket, "clear_output", {"wait": wait}, parent=self.parent_header
        )


class Notebook:
    """Runs chat cells; replies grow as they do in JupyterLab."""

    def __init__(self) -> None:
        self.shell: Any = InteractiveShell()
        self.session = _Session()
        self.shell.display_pub = _Publisher()
        self.shell.display_pub.session = self.session
        self.shell.showtraceback = self._keep
        self.errors: list[str] = []
        self.shell.run_line_magic("load_ext", "nbagents")
        self._cell = 0

    def chat(self, agent: ChatAgent) -> CreateResult:
        """Run a chat cell with the agent; return its result, or raise its error."""
        self._cell += 1
        self.session.outputs.clear()
        self.shell.display_pub.parent_header = {"msg_id": f"cell-{self._cell}"}
        self.shell.user_ns |= {"tutor": agent, "result": None}
        within_pytest = os.environ.pop("PYTEST_CURRENT_TEST", None)  # else replies do not grow
        try:
            ran = self.shell.run_cell("%%chat tutor -o result\nhi")
        finally:
            if within_pytest is not None:
                os.environ["PYTEST_CURRENT_TEST"] = within_pytest
        error = ran.error_before_exec or ran.error_in_exec
        if error is not None:
            raise error
        return self.shell.user_ns["result"]

    def shown(self) -> list[str]:
        """The outputs that are left, as plain text."""
        return [data.get("text/plain", "") for _, data in self.session.outputs if data]

    def close(self) -> None:
        """Take the extension out, and end the shell."""
        self.shell.run_line_magic("unload_ext", "nbagents")
        self.shell.history_manager.end_session()

    def _keep(self, *_: Any, **__: Any) -> None:
        """Show no traceback."""
