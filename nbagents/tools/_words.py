"""What a tool takes, and what is wrong with what it was given, in words for the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from nbagents.models._wire.server_errors import one_line
from nbagents.tools._base import Tool

__all__ = ["accepted", "faults_in"]


def faults_in(error: ValidationError) -> str:
    """What is wrong with each argument."""
    faults = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(map(str, fault["loc"]))
        said = "there is no such argument" if fault["type"] == "extra_forbidden" else fault["msg"]
        faults.append(f"{place}: {said}" if place else said)
    return "; ".join(faults)


def accepted(tool: Tool) -> str:
    """What the tool takes, in one line."""
    parameters: Mapping[str, Any] = tool.schema.get("parameters") or {}
    required = parameters.get("required", ())
    arguments = [
        f"{name} ({_type_of(schema)}, {_need_of(schema, needed=name in required)})"
        for name, schema in parameters.get("properties", {}).items()
    ]
    return f"It takes {one_line(', '.join(arguments))}." if arguments else "It takes no arguments."


def _type_of(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + "/".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(map(_type_of, schema["anyOf"]))
    return str(schema.get("type", "anything"))


def _need_of(schema: Mapping[str, Any], *, needed: bool) -> str:
    if needed:
        return "required"
    return f"default {schema['default']!r}" if "default" in schema else "optional"
