"""What a tool is, and a base class for those that are more than a function."""

from __future__ import annotations

import copy
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import (
    Annotated,
    Any,
    Generic,
    Protocol,
    Self,
    TypeVar,
    get_args,
    get_origin,
    runtime_checkable,
)

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails

from nbagents._cancellation import CancellationToken
from nbagents.errors import ConfigurationError
from nbagents.tools._schema import ToolOverride, ToolSchema, parameters_of

__all__ = ["BaseTool", "Tool"]

ArgsT = TypeVar("ArgsT", bound=BaseModel, contravariant=True)
ReturnT = TypeVar("ReturnT", covariant=True)

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@runtime_checkable
class Tool(Protocol):
    """Something that a model may call. Any class with these methods is one."""

    @property
    def name(self) -> str:
        """What the model calls it."""
        ...

    @property
    def description(self) -> str:
        """What it does, and when to use it, for the model."""
        ...

    @property
    def schema(self) -> ToolSchema:
        """Its name, its description and its arguments, as the API takes them."""
        ...

    def args_type(self) -> type[BaseModel]:
        """What its arguments are validated by."""
        ...

    def return_type(self) -> type[Any]:
        """The type of its results."""
        ...

    def state_type(self) -> type[BaseModel] | None:
        """The type of its state; None when it keeps none."""
        ...

    def return_value_as_string(self, value: Any) -> str:
        """A result as text for the model."""
        ...

    async def run_json(
        self,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken,
        call_id: str | None = None,
    ) -> Any:
        """Run it with arguments as they come from JSON."""
        ...

    async def save_state_json(self) -> Mapping[str, Any]:
        """Its state, as JSON-able data."""
        ...

    async def load_state_json(self, state: Mapping[str, Any]) -> None:
        """Take the state that `save_state_json` returned."""
        ...


class BaseTool(ABC, Generic[ArgsT, ReturnT]):
    """A base for tools: a subclass says what `run` does.

    Args:
        args_type: The pydantic model of the arguments.
        return_type: The type of the results.
        name: What the model calls it: letters, digits, ``_`` and ``-``, at most 64.
        description: What it does, and when to use it.
        strict: Whether the server shall hold the model to the schema of the arguments; then
            none may have a default.

    Attributes:
        side_effects: Whether it changes something; agents ask before they run such a tool.
        approve: Who is asked before it is run; None leaves that to the agent.

    Raises:
        ConfigurationError: The name is none that the API takes, or ``args_type`` cannot be
            described to a model.
    """

    side_effects: bool = False
    approve: Callable[..., Any] | None = None

    def __init__(
        self,
        args_type: type[ArgsT],
        return_type: type[ReturnT],
        name: str,
        description: str,
        strict: bool = False,
    ) -> None:
        self._args_type = args_type
        is_annotated = get_origin(return_type) is Annotated
        self._return_type = get_args(return_type)[0] if is_annotated else return_type
        self._name = _checked(name)
        self._description = description
        self._strict = strict
        self._parameters = parameters_of(args_type, strict=strict, name=name)

    @property
    def name(self) -> str:
        """What the model calls it."""
        return self._name

    @property
    def description(self) -> str:
        """What it does, for the model."""
        return self._description

    @property
    def schema(self) -> ToolSchema:
        """Its name, its description and its arguments, as the API takes them: a copy."""
        return ToolSchema(
            name=self._name,
            description=self._description,
            parameters=copy.deepcopy(self._parameters),
            strict=self._strict,
        )

    def args_type(self) -> type[BaseModel]:
        """What its arguments are validated by."""
        return self._args_type

    def return_type(self) -> type[Any]:
        """The type of its results."""
        return self._return_type

    def state_type(self) -> type[BaseModel] | None:
        """The type of its state: it keeps none."""
        return None

    def return_value_as_string(self, value: Any) -> str:
        """A result as text for the model: a pydantic model as JSON, anything else by `str`."""
        if isinstance(value, BaseModel):
            return json.dumps(value.model_dump(mode="json"), ensure_ascii=False)
        return str(value)

    @abstractmethod
    async def run(self, args: ArgsT, cancellation_token: CancellationToken) -> ReturnT:
        """Do what the tool is for."""

    async def run_json(
        self,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken,
        call_id: str | None = None,
    ) -> Any:
        """Run it with arguments as they come from JSON.

        Args:
            args: The arguments by name.
            cancellation_token: Cancels the run when used.
            call_id: The `FunctionCall.id`, for traces.

        Raises:
            pydantic.ValidationError: The arguments are not what it takes, or there is one that
                it does not know.
        """
        return await self.run(self._validated(args), cancellation_token)

    async def save_state_json(self) -> Mapping[str, Any]:
        """Its state, as JSON-able data: there is none."""
        return {}

    async def load_state_json(self, state: Mapping[str, Any]) -> None:
        """Take the state that `save_state_json` returned."""

    def overridden(self, override: ToolOverride) -> Self:
        """A copy of the tool with another name or description."""
        changed = copy.copy(self)
        changed._name = _checked(override.name or self._name)
        if override.description is not None:
            changed._description = override.description
        return changed

    def _validated(self, args: Mapping[str, Any]) -> Any:
        given = dict(args)
        model = self._args_type
        validated = model.model_validate(given)
        # The schema says that there are no others. Pydantic drops them, unless told otherwise.
        unknown = given.keys() - self._parameters["properties"].keys() - model.model_fields.keys()
        if unknown and "extra" not in model.model_config:
            raise ValidationError.from_exception_data(
                model.__name__,
                [
                    InitErrorDetails(type="extra_forbidden", loc=(key,), input=given[key])
                    for key in sorted(unknown)
                ],
            )
        return validated

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"A tool cannot be named {name!r}: the API takes letters, digits, '_' and '-', at "
            "most 64. Give another with name=..."
        )
    return name
