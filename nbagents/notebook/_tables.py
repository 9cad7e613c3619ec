"""Tables and arrays as text: the types, and the first and last of what they hold."""

from __future__ import annotations

import csv
from io import StringIO
from itertools import chain
from typing import TYPE_CHECKING, Any

from nbagents.notebook._description import Description, is_a
from nbagents.notebook._pretty import is_container, pretty, safe_repr

if TYPE_CHECKING:
    from pandas import DataFrame, Index

__all__ = ["describe_array", "describe_frame", "describe_series"]

_WHOLE = 60  # a table of so many rows goes out whole; of a longer one, so many of its
_HEAD = 20  # first
_TAIL = 5  # and last rows
_COLUMNS = 40
_CELL = 200
_ELEMENTS = 200


def describe_frame(value: Any) -> Description | None:
    """Describe a pandas DataFrame; the time it takes does not grow with the table."""
    if not is_a(value, "pandas", "DataFrame"):
        return None
    rows, columns = value.shape
    kind = f"pandas DataFrame, {_count(rows, 'row')} x {_count(columns, 'column')}"
    return _table(value, kind)


def describe_series(value: Any) -> Description | None:
    """Describe a pandas Series as a table of one column."""
    if not is_a(value, "pandas", "Series"):
        return None
    frame = value.to_frame("value" if value.name is None else value.name)
    return _table(frame, f"pandas Series, {_count(len(value), 'row')}, dtype {value.dtype}")


def describe_array(value: Any) -> Description | None:
    """Describe a numpy array: its shape, its type, and its corners where it is large."""
    if not is_a(value, "numpy", "ndarray"):
        return None
    import numpy as np

    text = np.array2string(
        value,
        threshold=_ELEMENTS,
        edgeitems=4 if value.ndim < 3 else 2,
        max_line_width=100,
        separator=", ",
    )
    shape = " x ".join(f"{n:,}" for n in value.shape) or "a single value"
    part = f"the edges of {value.size:,} values" if value.size > _ELEMENTS else ""
    return Description(f"numpy array, {shape}, dtype {value.dtype}", text, part=part)


def _table(frame: DataFrame, kind: str) -> Description:
    rows, columns = frame.shape
    left = frame.iloc[:, :_COLUMNS]
    whole = rows <= _WHOLE
    ends = (left,) if whole else (left.iloc[:_HEAD], left.iloc[-_TAIL:])
    text = f"dtypes: {_dtypes(left)}\n\n{_csv(ends)}"
    part = [] if whole else [f"{_HEAD + _TAIL} of {rows:,} rows"]
    if columns > _COLUMNS:
        part.append(f"{_COLUMNS} of {columns:,} columns")
    return Description(kind, text, "csv", ", ".join(part))


def _dtypes(frame: DataFrame) -> str:
    # A label may occur twice, so the columns are counted, not looked up.
    return ", ".join(
        f"{label} {dtype}"
        for label, dtype in zip(_labels(frame.columns), frame.dtypes, strict=True)
    )


def _csv(frames: tuple[DataFrame, ...]) -> str:
    index = frames[0].index
    names = [_cell(name) if name is not None else "" for name in index.names]
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, *_labels(frames[0].columns)])
    for number, frame in enumerate(frames):
        if number:
            out.write("...\n")
        for row in frame.itertuples(name=None):
            key = row[0] if len(names) > 1 else row[:1]
            writer.writerow([_cell(cell) for cell in chain(key, row[1:])])
    return out.getvalue().rstrip("\n")


def _labels(columns: Index[Any]) -> list[str]:
    return [" / ".join(map(_cell, c)) if isinstance(c, tuple) else _cell(c) for c in columns]


def _cell(value: object) -> str:
    """Return a cell's text: bounded, on one line, whatever object it holds."""
    if is_container(value):
        text, _ = pretty(value, width=10_000)
    elif isinstance(value, str):
        text = value
    else:
        text = _str(value)
    text = " ".join(text[: _CELL + 1].split()) if "\n" in text[:_CELL] else text
    return text if len(text) <= _CELL else f"{text[:_CELL]}..."


def _str(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the object's own code may raise anything
        return safe_repr(value)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
