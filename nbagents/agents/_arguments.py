"""The arguments of a turn: which there are, and what a wrong one may have meant."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from nbagents.errors import ConfigurationError
from nbagents.models._arguments import CREATE_ARGUMENTS

__all__ = ["check_arguments"]


def check_arguments(method: Callable[..., Any], given: Iterable[str]) -> None:
    """Refuse what the client's method does not take.

    Args:
        method: The client's ``create`` or ``create_stream``.
        given: The arguments' names, without the messages.

    Raises:
        ConfigurationError: It names the argument, and all that there are.
    """
    parameters = inspect.signature(method).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return
    known = [name for name in parameters if name != "messages"]
    for name in given:
        if name not in known:
            raise ConfigurationError(_unknown(name, known))


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    if name in CREATE_ARGUMENTS and "extra_create_args" in known and not near:
        meant = f" Arguments of the API go into one of them: extra_create_args={{{name!r}: ...}}."
    return f"A turn takes no {name!r}; beside the prompt it takes {', '.join(known)}.{meant}"
