"""How those who can be talked with open a chat panel, and yet know nothing of notebooks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbagents.notebook._panel.widget import ChatPanel

__all__ = ["panel_of"]


def panel_of(subject: Any) -> ChatPanel:
    """A new panel of an agent or a client."""
    # By name: everything else depends on what is below it, and only here, when somebody asks
    # for a panel, does a lower layer reach up.
    panel: ChatPanel = import_module("nbagents.notebook._panel.widget").ChatPanel(subject)
    return panel
