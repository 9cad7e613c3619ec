"""Support for tests: a loopback server that answers as it is told, and the pytest plugin.

The names are imported when they are first used: pytest loads this package in every project
that has nbagents installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbagents.testing._http import RecordedRequest
    from nbagents.testing._script import (
        ScriptedReply,
        chunk,
        completion,
        error,
        raw,
        stream,
        text,
    )
    from nbagents.testing.server import LoopbackServer

__all__ = [
    "LoopbackServer",
    "RecordedRequest",
    "ScriptedReply",
    "chunk",
    "completion",
    "error",
    "raw",
    "stream",
    "text",
]

_HOMES = {"LoopbackServer": "server", "RecordedRequest": "_http"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, '_script')}"), name)


def __dir__() -> list[str]:
    return __all__
