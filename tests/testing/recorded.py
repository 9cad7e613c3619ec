"""What the notebook that is recorded consists of, and how it reaches its server."""

from __future__ import annotations

from nbagents.testing import LoopbackServer

__all__ = ["CELLS", "connected"]

CELLS = [
    "%load_ext nbagents",
    "%%chat\nSay a number.",
    "from nbagents.models import OpenAIChatCompletionClient, UserMessage\n"
    "client = OpenAIChatCompletionClient(model='gpt-4.1-mini')\n"
    "await client.create([UserMessage(content='Say a letter.', source='me')])",
    "%usage",
    "import nbagents\nnbagents.ledger",
    "import ipywidgets\nipywidgets.HBox([ipywidgets.IntSlider()])",
]


def connected(server: LoopbackServer) -> dict[str, str]:
    """The settings with which a kernel asks this server."""
    return {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-of-the-test"}
