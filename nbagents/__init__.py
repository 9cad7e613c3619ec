"""Language models in Jupyter notebooks.

``%load_ext nbagents`` brings ``%%chat``; the names below are the library. Nothing is imported
before it is touched, so that loading costs a notebook nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbagents._cancellation import CancellationToken
    from nbagents._version import __version__
    from nbagents.agents import ChatAgent
    from nbagents.errors import NbAgentsError
    from nbagents.messages import FunctionCall, Image
    from nbagents.notebook import run
    from nbagents.usage import ledger

__all__ = [
    "CancellationToken",
    "ChatAgent",
    "FunctionCall",
    "Image",
    "NbAgentsError",
    "__version__",
    "ledger",
    "run",
]

_HOMES = {
    "CancellationToken": "nbagents._cancellation",
    "ChatAgent": "nbagents.agents",
    "FunctionCall": "nbagents.messages",
    "Image": "nbagents.messages",
    "NbAgentsError": "nbagents.errors",
    "__version__": "nbagents._version",
    "ledger": "nbagents.usage",
    "run": "nbagents.notebook",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'nbagents' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Add the magics; what ``%load_ext nbagents`` runs."""
    from nbagents.notebook import load

    load(ipython)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Take the magics away; what ``%unload_ext nbagents`` runs."""
    from nbagents.notebook import unload

    unload(ipython)
