"""The parameters of a function as a pydantic model that a model's arguments are validated by."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from nbagents.errors import ConfigurationError

__all__ = ["HIDDEN", "Parameters", "underlying"]

HIDDEN = "cancellation_token"
"""The parameter that is filled by the caller, and not shown to the model."""


class Parameters:
    """The parameters of a function that a model fills.

    Args:
        function: The function; each of its parameters has an annotation.
        name: The tool's name, for errors.
        descriptions: What the docstring says of the parameters. A text in an ``Annotated``
            comes first.

    Raises:
        ConfigurationError: An annotation is missing, not defined or not of JSON; or the function
            takes any number of arguments.
    """

    def __init__(
        self, function: Callable[..., Any], name: str, descriptions: Mapping[str, str]
    ) -> None:
        self._name = name
        self._signature = inspect.signature(function)
        hints = self._hints(function)
        self.takes_token = HIDDEN in self._signature.parameters
        self.return_type: Any = hints.get("return", Any)
        fields: dict[str, Any] = {}
        self._fields: dict[str, str] = {}
        for parameter in self._signature.parameters.values():
            if parameter.name == HIDDEN:
                continue
            self._check(parameter, hints)
            field = _field_name(parameter.name)
            self._fields[parameter.name] = field
            fields[field] = _annotated(
                parameter, hints[parameter.name], descriptions.get(parameter.name)
            )
        self.model = self._model_of(fields)

    def bind(self, values: BaseModel, token: Any) -> inspect.BoundArguments:
        """The arguments of a call."""
        bound = self._signature.bind_partial()
        for name in self._signature.parameters:
            bound.arguments[name] = token if name == HIDDEN else getattr(values, self._fields[name])
        return bound

    def _hints(self, function: Callable[..., Any]) -> dict[str, Any]:
        try:
            return get_type_hints(underlying(function), include_extras=True)
        except NameError as error:
            raise ConfigurationError(
                f"The tool {self._name!r} has an annotation that is not defined where the "
                f"function is: {error}. Define it at the top of the module or notebook, above "
                "the function."
            ) from error

    def _check(self, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> None:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError(
                f"The tool {self._name!r} takes {str(parameter).split(':')[0]}, and a model must "
                "know what it may give. Name each parameter; a list or a dict can be one."
            )
        if parameter.name not in hints:
            method = parameter.name in ("self", "cls")
            advice = (
                "Make a tool of the bound method: tool(thing.method)"
                if method
                else f"Write its type, for example {parameter.name}: str"
            )
            raise ConfigurationError(
                f"The parameter {parameter.name!r} of the tool {self._name!r} has no annotation. "
                f"{advice}."
            )

    def _model_of(self, fields: dict[str, Any]) -> type[BaseModel]:
        try:
            model: type[BaseModel] = create_model(
                f"{self._name}args", __base__=_Arguments, **fields
            )
            model.model_json_schema()
        except PydanticUserError as error:
            raise ConfigurationError(self._fault_in(fields)) from error
        return model

    def _fault_in(self, fields: Mapping[str, Any]) -> str:
        for name, field in self._fields.items():
            annotation = fields[field][0]
            try:
                TypeAdapter(annotation).json_schema()
            except PydanticUserError:
                what = getattr(annotation, "__name__", str(annotation))
                return (
                    f"The parameter {name!r} of the tool {self._name!r} is a {what}, which a "
                    "model cannot write as JSON. Take what it can write, such as a name or a "
                    "path, and look the thing up in the function."
                )
        return f"The parameters of the tool {self._name!r} cannot be described as JSON."


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes of names, and defaults that JSON cannot hold."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    @classmethod
    def model_json_schema(cls, *args: Any, **settings: Any) -> dict[str, Any]:
        settings.setdefault("schema_generator", _Untitled)
        return super().model_json_schema(*args, **settings)


def underlying(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that has the annotations and the docstring."""
    while isinstance(function, partial):
        function = function.func
    is_plain = inspect.isroutine(function) or inspect.isclass(function)
    return function if is_plain else function.__call__  # type: ignore[operator]


def _field_name(name: str) -> str:
    """A name that pydantic takes: not one of its own, and no underscore first."""
    return (
        re.sub(r"^_+", "", name) + "_" if name.startswith("_") or hasattr(BaseModel, name) else name
    )


def _annotated(
    parameter: inspect.Parameter, annotation: Any, described: str | None
) -> tuple[Any, FieldInfo]:
    texts = [part for part in getattr(annotation, "__metadata__", ()) if isinstance(part, str)]
    settings: dict[str, Any] = {"alias": parameter.name}
    if texts or described:
        settings["description"] = texts[0] if texts else described
    if parameter.default is not parameter.empty:
        settings["default"] = parameter.default
    return annotation, Field(**settings)
