"""JSON from strangers: fast, and one kind of failure.

pydantic's reader takes the ordinary case: it is there anyway, and nearly as fast as the fastest.
What it refuses and Python's own reader accepts is read by the latter: lone surrogates (a server
may cut an emoji in two), a byte order mark, and bytes that are not UTF-8 (replaced, as the
event-stream standard decodes them).
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

__all__ = ["JSONError", "dumps", "loads"]


class JSONError(ValueError):
    """The text is not JSON, or nested deeper than can be read."""


def loads(data: bytes | str) -> Any:
    """Read JSON.

    Raises:
        JSONError: for whatever is wrong with it, too deep a nesting included.
    """
    try:
        return from_json(data)
    except (ValueError, TypeError):  # the latter for half of a surrogate pair as it stands
        return _patient_loads(data)


def dumps(value: Any) -> str:
    """Write JSON as compactly readable text, non-ASCII characters as they are.

    Raises:
        JSONError: for what JSON cannot hold, too deep a nesting included.
    """
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise JSONError(f"not writable as JSON: {error}") from error


def _patient_loads(data: bytes | str) -> Any:
    text = data if isinstance(data, str) else bytes(data).decode("utf-8", "replace")
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        fault = "nested too deeply"
    except ValueError as error:
        fault = str(error)
    # Not from within: the reader's own error holds the whole text, and whatever is in it.
    raise JSONError(fault)
