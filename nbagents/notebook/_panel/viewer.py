"""A panel, as the dialogue that it shows knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from nbagents.agents import ChatAgent
    from nbagents.notebook._panel.dialogue import Dialogue

__all__ = ["Viewer"]


class Viewer(Protocol):
    """One that looks at a dialogue, and asks; it is called on the private loop."""

    agent: ChatAgent

    def show(self, dialogue: Dialogue, changes: Sequence[Mapping[str, Any]]) -> None:
        """Show what has changed."""

    def complain(self, text: str, request: str | None) -> None:
        """Say that something did not go well; ``request`` was not taken, if it is named."""
