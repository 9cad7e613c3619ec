"""The tools that a model is offered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nbagents.errors import ConfigurationError
from nbagents.tools._base import Tool
from nbagents.tools._function import tool

__all__ = ["tools_from"]


def tools_from(tools: Iterable[Tool | Callable[..., Any]]) -> list[Tool]:
    """Make tools of functions, and leave tools as they are.

    Args:
        tools: Tools, or functions that `tool` takes.

    Raises:
        ConfigurationError: Two have the same name, or one is neither.
    """
    made: dict[str, Tool] = {}
    for each in tools:
        made_of_it = _tool_of(each)
        if made_of_it.name in made:
            raise ConfigurationError(
                f"Two tools are named {made_of_it.name!r}; give one another with name=..."
            )
        made[made_of_it.name] = made_of_it
    return list(made.values())


def _tool_of(given: Tool | Callable[..., Any]) -> Tool:
    if isinstance(given, Tool):
        return given
    if callable(given) and not isinstance(given, type):
        return tool(given)
    raise ConfigurationError(
        f"{given!r} is no tool; give a function with annotations, or something made by tool(...)."
    )
