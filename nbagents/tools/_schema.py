"""What a model is told of a tool: its name, its description and the schema of its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from pydantic import BaseModel

from nbagents.errors import ConfigurationError
from nbagents.models._wire.schema import strict_schema

__all__ = ["ParametersSchema", "ToolOverride", "ToolSchema", "parameters_of"]

_Schema = dict[str, Any]


class ParametersSchema(TypedDict):
    """The JSON schema of a tool's arguments: an object."""

    type: str
    properties: dict[str, Any]
    required: NotRequired[Sequence[str]]
    additionalProperties: NotRequired[bool]


class ToolSchema(TypedDict):
    """A tool as a model sees it."""

    parameters: NotRequired[ParametersSchema]
    name: str
    description: NotRequired[str]
    strict: NotRequired[bool]


class ToolOverride(BaseModel):
    """Another name or description for a tool; None keeps the tool's own."""

    name: str | None = None
    description: str | None = None


def parameters_of(model: type[BaseModel], *, strict: bool, name: str) -> ParametersSchema:
    """The schema of a tool's arguments, without references but to itself.

    Args:
        model: What the arguments are validated by.
        strict: Whether the server shall hold the model to the schema.
        name: The tool's, for errors.

    Raises:
        ConfigurationError: The schema is not one that a server can hold a model to: an argument
            has a default, or an object in it is open.
    """
    if strict:
        _check_defaults(model, name)
    whole = strict_schema(model) if strict else model.model_json_schema()
    schema = _inlined(whole, whole.get("$defs", {}), ())
    parameters = ParametersSchema(
        type="object",
        properties=schema.get("properties", {}),
        required=schema.get("required", []),
        additionalProperties=schema.get("additionalProperties", False),
    )
    if "$defs" in whole and "$ref" in repr(parameters):
        parameters["$defs"] = whole["$defs"]  # type: ignore[typeddict-unknown-key]
    if strict:
        _check_closed(parameters, name)
    return parameters


def _inlined(node: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """``node`` with its references written out, but for those that lead back into themselves."""
    if isinstance(node, list):
        return [_inlined(part, definitions, inside) for part in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str) and reference not in inside:
        named = definitions.get(reference.removeprefix("#/$defs/"), {})
        siblings = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined({**named, **siblings}, definitions, (*inside, reference))
    return {
        key: _inlined(value, definitions, inside) for key, value in node.items() if key != "$defs"
    }


def _check_defaults(model: type[BaseModel], name: str) -> None:
    fields = model.model_fields.items()
    with_default = [field.alias or key for key, field in fields if not field.is_required()]
    if with_default:
        raise ConfigurationError(
            f"The tool {name!r} is strict, so each of its arguments is required, but "
            f"{_listed(with_default)} a default. Take it away (`X | None` lets the model give "
            "null), or leave strict=True out."
        )


def _check_closed(node: Any, name: str) -> None:
    if isinstance(node, list):
        for part in node:
            _check_closed(part, name)
    elif isinstance(node, dict):
        if node.get("type") == "object" and node.get("additionalProperties", False) is not False:
            raise ConfigurationError(
                f"The tool {name!r} is strict, but takes an object whose keys are not known, such "
                "as a dict. Describe it by a pydantic model, or leave strict=True out."
            )
        for part in node.values():
            _check_closed(part, name)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(map(repr, names))} {'has' if len(names) == 1 else 'have'}"
