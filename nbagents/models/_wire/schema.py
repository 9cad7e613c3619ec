"""JSON schemas in the API's strict form, from pydantic models.

The rules are those of OpenAI's structured outputs: every object closed, every property
required, no sibling of a ``$ref``, no ``oneOf``. The SDK has the same transformation, but only
in a private module, and as part of an import of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["strict_schema"]

_Schema = dict[str, Any]


def strict_schema(model: type[BaseModel]) -> _Schema:
    """The schema of ``model``, such that the API can hold a reply to it."""
    schema = model.model_json_schema()
    return _strict(schema, schema, frozenset())


def _strict(node: _Schema, root: _Schema, inside: frozenset[str]) -> _Schema:
    """Make ``node`` strict.

    Args:
        node: A schema; it is not changed.
        root: What references are resolved in.
        inside: The references that are being written out: one within itself stays one.
    """
    if "$ref" in node and len(node) > 1:
        return _without_siblings(node, root, inside)
    strict = {key: _strict_value(key, value, root, inside) for key, value in node.items()}
    if "oneOf" in strict:
        strict["anyOf"] = strict.pop("oneOf")
        strict.pop("discriminator", None)
    if strict.get("type") == "object":
        strict.setdefault("additionalProperties", False)
    if "properties" in strict:
        strict["required"] = list(strict["properties"])
    if strict.get("default", ...) is None:
        del strict["default"]
    if len(strict.get("allOf", ())) == 1:
        strict.update(strict.pop("allOf")[0])
    return strict


def _strict_value(key: str, value: Any, root: _Schema, inside: frozenset[str]) -> Any:
    if key in ("properties", "$defs") and isinstance(value, dict):
        return {name: _strict(part, root, inside) for name, part in value.items()}
    if key in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
        return [_strict(part, root, inside) for part in value]
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return _strict(value, root, inside)
    return value


def _without_siblings(node: _Schema, root: _Schema, inside: frozenset[str]) -> _Schema:
    reference = node["$ref"]
    if reference in inside:
        return {"$ref": reference}
    siblings = {key: value for key, value in node.items() if key != "$ref"}
    named = root["$defs"][reference.removeprefix("#/$defs/")]
    return _strict({**named, **siblings}, root, inside | {reference})
