"""What to say of a request that is not in a cassette: what differs from the nearest that is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbagents.errors import CassetteMissError
from nbagents.models._cassette.request import lines_of
from nbagents.models._cassette.tape import shown

__all__ = ["miss"]

_LONGEST_LINE = 160
_MOST_LINES = 24
_MOST_COMPARED = 20


def miss(
    request: Mapping[str, Any], recorded: Sequence[Mapping[str, Any]], path: Path
) -> CassetteMissError:
    """Make the error: what was asked, how it differs from the nearest recorded, what to do."""
    command = (
        f"To record it, run with NBAGENTS_MODE=auto (in a notebook: %cassette {path.name} --mode "
        "auto; with pytest: --nbagents-record), with a key set where the model needs one."
    )
    if not recorded:
        state = "has no requests yet" if path.exists() else "does not exist"
        said = "\n".join(_cut(lines_of(request)))
        return CassetteMissError(
            f"The cassette {shown(path)} {state}, so this request was not sent:\n{said}\n{command}"
        )
    difference = "\n".join(_difference(_nearest(request, recorded), request))
    return CassetteMissError(
        f"This request is not in the cassette {shown(path)}, and was not sent. It differs from the "
        f"nearest recorded one (- recorded, + asked):\n{difference}\n{command}"
    )


def _nearest(
    request: Mapping[str, Any], recorded: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The recorded request that has most in common: in lines first, then in characters."""
    asked = lines_of(request)

    def shared(other: Mapping[str, Any]) -> int:
        return len(set(lines_of(other)) & set(asked))

    def likeness(other: Mapping[str, Any]) -> float:
        return difflib.SequenceMatcher(None, _tail(lines_of(other)), _tail(asked)).ratio()

    near = sorted(recorded, key=shared, reverse=True)[:_MOST_COMPARED]
    return max(near, key=lambda other: (shared(other) / len(asked)) + likeness(other))


def _tail(lines: Sequence[str]) -> str:
    return "\n".join(lines)[-2_000:]


def _difference(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    old, new = lines_of(recorded), lines_of(asked)
    lines = list(difflib.unified_diff(old, new, n=1, lineterm=""))[2:]
    return _cut([line for line in lines if not line.startswith("@@")])


def _cut(lines: Sequence[str]) -> list[str]:
    kept = [
        line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"
        for line in lines[:_MOST_LINES]
    ]
    if len(lines) > _MOST_LINES:
        kept.append(f"… and {len(lines) - _MOST_LINES} further lines")
    return [f"  {line}" for line in kept]
