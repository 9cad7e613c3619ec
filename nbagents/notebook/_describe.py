"""Objects of the kernel as text for a model: bounded, whatever the object does.

pandas, numpy and the like are recognised where they are loaded, never imported.
"""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
import traceback
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

from nbagents.notebook._description import Description, bounded, fenced, is_a
from nbagents.notebook._pretty import is_container, is_secret, pretty, safe_repr, without_addresses
from nbagents.notebook._tables import describe_array, describe_frame, describe_series

__all__ = ["describe", "inline", "kind_of_block"]

_FRAMES = 10
_SOURCE = 6_000
_BYTES = 200


def describe(value: object, limit: int) -> Description:
    """Describe any object in about ``limit`` characters at most.

    A table is a CSV of its first and last rows, with the types of its columns; an exception its
    traceback; a function its source. Nothing raises, but an interrupt goes through.
    """
    for describer in _DESCRIBERS:
        try:
            described = describer(value)
        except Exception:  # noqa: BLE001, S112 - the next one is less particular, the last is safe
            continue
        if described is not None:
            return bounded(described, limit)
    return bounded(Description(type(value).__name__, safe_repr(value)), limit)


def inline(value: object, limit: int) -> str:
    """Return what stands for an object within a sentence: mostly its ``str``.

    Tables, arrays, functions and the like are fenced blocks of their own. Raises what the
    object's ``__str__`` raises.
    """
    if isinstance(value, str):
        return value
    described = _block(value)
    if described is not None:
        return f"\n{fenced(bounded(described, limit))}\n"
    if is_container(value):
        return pretty(value, width=2 * limit)[0]
    return without_addresses(str(value))


def kind_of_block(value: object) -> str:
    """Say what it is that `inline` makes a block of its own of; empty where it makes none."""
    described = None if isinstance(value, str) else _block(value)
    if described is None:
        return ""
    kind, comma, size = described.kind.partition(", ")
    return f"{kind} ({size})" if comma else kind


def _block(value: object) -> Description | None:
    for describer in (describe_frame, describe_series, describe_array, _code, _module):
        described = describer(value)
        if described is not None:
            return described
    return None


def _text(value: Any) -> Description | None:
    if not isinstance(value, str):
        return None
    return Description(f"text, {len(value):,} characters", value)


def _reply(value: Any) -> Description | None:
    if not is_a(value, "nbagents.messages", "CreateResult"):
        return None
    return Description("a model's reply", str(value), "markdown")


def _exception(value: Any) -> Description | None:
    if not isinstance(value, BaseException):
        return None
    frames = sum(1 for _ in traceback.walk_tb(value.__traceback__))
    shown = traceback.TracebackException(
        type(value), value, value.__traceback__, limit=-_FRAMES, compact=True
    )
    part = f"the last {_FRAMES} of {frames} frames" if frames > _FRAMES else ""
    text = "".join(shown.format()).rstrip()
    return Description(f"exception, {type(value).__name__}", text, "pytb", part, tail=0.9)


def _code(value: Any) -> Description | None:
    if not (inspect.isroutine(value) or inspect.isclass(value)):
        return None
    kind = "class" if inspect.isclass(value) else "function"
    source = _source(value)
    if source is not None and len(source) <= _SOURCE:
        return Description(kind, source, "python")
    lines = [f"{value.__name__}{_signature(value)}", *_docstring(value)]
    return Description(kind, "\n".join(lines), "python", "its signature and docstring")


def _source(value: Any) -> str | None:
    try:
        return textwrap.dedent(inspect.getsource(value)).rstrip()
    except (OSError, TypeError, SyntaxError, IndexError):
        return None


def _signature(value: Any) -> str:
    try:
        return without_addresses(str(inspect.signature(value)))
    except (ValueError, TypeError):
        return "(...)"


def _docstring(value: Any) -> Iterator[str]:
    doc = inspect.getdoc(value)
    if doc:
        yield textwrap.indent(f'"""{doc}"""', "    ")


def _module(value: Any) -> Description | None:
    if not inspect.ismodule(value):
        return None
    public = getattr(value, "__all__", None) or [n for n in dir(value) if not n.startswith("_")]
    doc = inspect.getdoc(value) or ""
    text = f"{doc}\n\nPublic names: {', '.join(map(str, public))}".strip()
    return Description(f"module {value.__name__}", text, part="its docstring and names")


def _bytes(value: Any) -> Description | None:
    if not isinstance(value, bytes | bytearray | memoryview):
        return None
    part = f"{_BYTES} of {len(value):,} bytes" if len(value) > _BYTES else ""
    kind = f"{type(value).__name__}, {len(value):,} bytes"
    return Description(kind, repr(bytes(value[:_BYTES])), part=part)


def _path(value: Any) -> Description | None:
    if not isinstance(value, PurePath):
        return None
    return Description("path", str(value), part="its name, not what is in the file")


def _record(value: Any) -> Description | None:
    """Describe an object with declared fields: a dataclass, a pydantic model, a named tuple."""
    names = _fields(value)
    if names is None:
        return None
    shown = [(name, _field(name, getattr(value, name))) for name in names]
    text = "\n".join(f"{name}: {text}" for name, (text, _) in shown)
    whole = all(complete for _, (_, complete) in shown)
    return Description(type(value).__name__, text, part="" if whole else "its fields in short")


def _field(name: str, value: Any) -> tuple[str, bool]:
    return ("[secret left out]", False) if is_secret(name, value) else pretty(value)


def _fields(value: Any) -> list[str] | None:
    if inspect.isclass(value):
        return None
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value) if field.repr]
    if is_a(value, "pydantic", "BaseModel"):
        return [name for name, field in type(value).model_fields.items() if field.repr]
    return list(value._fields) if isinstance(value, tuple) and hasattr(value, "_fields") else None


def _container(value: Any) -> Description | None:
    if not is_container(value):
        return None
    text, whole = pretty(value)
    items = f"{len(value):,} {'item' if len(value) == 1 else 'items'}"
    part = "" if whole else f"what fits of {items}"
    return Description(f"{type(value).__name__}, {items}", text, "python", part)


_DESCRIBERS: tuple[Callable[[Any], Description | None], ...] = (
    _text,
    describe_frame,
    describe_series,
    describe_array,
    _reply,
    _exception,
    _code,
    _module,
    _bytes,
    _path,
    _record,
    _container,
)
