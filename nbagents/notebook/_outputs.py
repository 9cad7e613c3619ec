"""Whose outputs a cell holds.

`clear_output` clears the whole cell. A reply that replaces its growing form by the finished one
may use it only where nobody else has put anything there: not a print before a ``%chat`` line,
not a tool, not another reply. The kernel knows no such thing, so the messages are counted.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

__all__ = ["CellOutputs", "in_output_widget", "outputs_of", "parent_of", "watch_outputs"]

_OUTPUTS = frozenset({"stream", "display_data", "execute_result", "error"})
_CELLS = 64
"""Cells remembered: more than can run at once."""


class CellOutputs:
    """Counts the outputs that a kernel's session sends, by the message that caused them."""

    def __init__(self, session: Any, current: str) -> None:
        self.session = session
        self._lock = threading.Lock()
        # What the current cell has shown before is not known: it counts as something.
        self._counts = OrderedDict({current: 1})
        self._send: Callable[..., Any] = session.send
        session.send = self._counting

    def count(self, parent: str) -> int:
        """The outputs of the cell that the request ``parent`` runs, since it was last cleared."""
        return self._counts.get(parent, 0)

    def stop(self) -> None:
        """Count no more, and leave the session as it was."""
        if self.session.__dict__.get("send") == self._counting:
            del self.session.send

    def _counting(self, stream: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        kind, parent = _address(message, *args, **kwargs)
        if kind in _OUTPUTS or kind == "clear_output":
            with self._lock:
                count = self._counts.pop(parent, 0)
                self._counts[parent] = count + 1 if kind in _OUTPUTS else 0
                while len(self._counts) > _CELLS:
                    self._counts.popitem(last=False)
        return self._send(stream, message, *args, **kwargs)


def watch_outputs(shell: Any) -> Callable[[], None]:
    """Count the outputs of the kernel that ``shell`` lives in; for when the extension is loaded.

    A cell that is running then is taken to have some. Where there is no kernel nothing is done.

    Returns:
        A function that takes the counting away again.
    """
    publisher = shell.display_pub
    session = getattr(publisher, "session", None)
    if session is None or outputs_of(publisher) is not None:
        return lambda: None
    return CellOutputs(session, parent_of(publisher)).stop


def outputs_of(publisher: Any) -> CellOutputs | None:
    """The counts of the session that ``publisher`` sends with, if it is watched."""
    session = getattr(publisher, "session", None)
    counting = getattr(getattr(session, "send", None), "__self__", None)
    return counting if isinstance(counting, CellOutputs) else None


def parent_of(publisher: Any) -> str:
    """The id of the request that what ``publisher`` shows now belongs to."""
    return str((getattr(publisher, "parent_header", None) or {}).get("msg_id", ""))


def in_output_widget(parent: str) -> bool:
    """Whether an ``ipywidgets.Output`` catches the outputs of that request.

    Such a widget does not take display updates.
    """
    module = sys.modules.get("ipywidgets.widgets.widget")
    widgets = list(getattr(module, "_instances", {}).values())
    return bool(parent) and any(getattr(widget, "msg_id", "") == parent for widget in widgets)


def _address(
    message: Any, content: Any = None, parent: Any = None, *_: Any, **__: Any
) -> tuple[str, str]:
    """A message's type, and the id of the one that caused it; as `Session.send` takes them."""
    if isinstance(message, dict):
        header, parent = message.get("header", {}), message.get("parent_header")
        kind = str(header.get("msg_type", ""))
    else:
        kind = str(message)
    # either a header or a message that has one
    origin = (parent or {}).get("header", parent or {})
    return kind, str(origin.get("msg_id", ""))
