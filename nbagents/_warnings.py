"""Warnings that point at the user's line, however deep in here they arise."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import FrameType

__all__ = ["warn"]

_HERE = str(Path(__file__).parent)
# What may stand between a user's line and ours, or below ours where there is no user's line.
_BETWEEN = (
    *("asyncio", "concurrent", "contextlib", "functools", "runpy", "threading"),
    *("IPython", "decorator", "ipykernel", "ipykernel_launcher", "tornado", "traitlets"),
)


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning for the nearest line of code that is not nbagents' own.

    In a thread of ours there is none, and it is for the line that calls this.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and _is_inner(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=2 if frame is None else level)


def _is_inner(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return frame.f_code.co_filename.startswith(_HERE) or name.partition(".")[0] in _BETWEEN
