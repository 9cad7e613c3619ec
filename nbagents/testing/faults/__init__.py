"""Ways in which a model server misbehaves, by name.

Each is a `Fault`: what is sent, and how a request has to end, stated once for whoever asks.
`FAULTS` has them all; `nbagents.testing.LoopbackServer.will_misbehave` plays one. Three groups:

    legal    streams as a standard or a well-known server allows them, and few clients expect
    broken   streams that end, stall or flood, and what is no reply at all
    status   answers other than 200
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from nbagents.errors import ConfigurationError
from nbagents.testing.faults import (
    _again,
    _bodies,
    _calls,
    _content,
    _ends,
    _finishes,
    _not_streamed,
    _shapes,
    _stalls,
    _statuses,
    _streams,
)
from nbagents.testing.faults._fault import Deadline, Fault, Group, Outcome

__all__ = ["FAULTS", "Deadline", "Fault", "Group", "Outcome", "fault_named"]

_MODULES = (
    *(_streams, _finishes, _not_streamed, _shapes, _calls, _again),
    *(_ends, _stalls, _content),
    *(_statuses, _bodies),
)

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {fault.name: fault for module in _MODULES for fault in module.faults()}
)
"""All ways, by name, in the order of their groups."""


def fault_named(name: str) -> Fault:
    """One of the ways.

    Raises:
        ConfigurationError: There is none of that name.
    """
    fault = FAULTS.get(name)
    if fault is not None:
        return fault
    near = get_close_matches(name, FAULTS, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "FAULTS has their names."
    raise ConfigurationError(f"There is no way to misbehave named {name!r}. {hint}")
