"""Functions as tools."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any, overload

from pydantic import BaseModel

from nbagents._cancellation import CancellationToken
from nbagents.errors import ConfigurationError
from nbagents.tools._base import BaseTool
from nbagents.tools._cancelling import until_cancelled
from nbagents.tools._docstrings import described
from nbagents.tools._parameters import Parameters, underlying
from nbagents.tools._synchronous import as_failure, call_synchronously

__all__ = ["FunctionTool", "tool"]


class FunctionTool(BaseTool[BaseModel, Any]):
    """A function that a model may call; Python calls it as before.

    The arguments come from its annotations. Texts in ``Annotated`` and the docstring describe
    them. A parameter named ``cancellation_token`` is given the caller's `CancellationToken` and
    is not shown to the model.

    An asynchronous function runs on the loop of whoever runs the tool, any other in a worker
    thread, unless `synchronous_calls` says otherwise. Cancelling ends an asynchronous function;
    from a synchronous one only the waiting ends, as no thread can be stopped. A function that
    takes the token is asked to end by it, and waited for.

    Args:
        func: The function.
        description: What it does, and when to use it, for the model.
        name: What the model calls it; the function's own name when left out.
        global_imports: Taken for the sake of AutoGen's programs; there it is needed to save the
            source of tools, which is not done here.
        strict: Whether the server shall hold the model to the schema of the arguments; then none
            may have a default.
        side_effects: Whether it changes something; agents ask before they run such a tool.
        approve: Who is asked before it is run; None leaves that to the agent.

    Raises:
        ConfigurationError: An annotation is missing, or the function cannot be described to a
            model.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        description: str,
        name: str | None = None,
        global_imports: Sequence[Any] = (),
        strict: bool = False,
        *,
        side_effects: bool = False,
        approve: Callable[..., Any] | None = None,
    ) -> None:
        target = underlying(func)
        name = name or _name_of(func, target)
        if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
            raise ConfigurationError(
                f"The tool {name!r} yields its results, and a model takes one. Return a list."
            )
        self._func = func
        self._is_async = inspect.iscoroutinefunction(target)
        self._parameters_of_func = Parameters(func, name, described(target).parameters)
        self.side_effects = side_effects
        self.approve = approve
        parameters = self._parameters_of_func
        super().__init__(parameters.model, parameters.return_type, name, description, strict)
        update_wrapper(self, target, updated=())
        self.__wrapped__ = func  # what `inspect.signature` shows

    async def run(self, args: BaseModel, cancellation_token: CancellationToken) -> Any:
        """Call the function.

        Args:
            args: An instance of `args_type`.
            cancellation_token: Cancels the call when used.
        """
        bound = self._parameters_of_func.bind(args, cancellation_token)
        outcome = self._outcome(partial(self._func, *bound.args, **bound.kwargs))
        if self._parameters_of_func.takes_token:
            return await outcome
        return await until_cancelled(outcome, cancellation_token)

    async def _outcome(self, function: Callable[[], Any]) -> Any:
        if not self._is_async:
            result = await call_synchronously(function)
            return await result if inspect.isawaitable(result) else result
        try:
            return await function()
        except SystemExit as error:
            raise as_failure(error) from error

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself."""
        return self._func(*args, **kwargs)


@overload
def tool(function: Callable[..., Any], /) -> FunctionTool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = False,
    side_effects: bool = False,
    approve: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = False,
    side_effects: bool = False,
    approve: Callable[..., Any] | None = None,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a function a tool, as ``@tool`` or ``@tool(...)`` above it.

    Args:
        function: The function; each of its parameters has an annotation.
        name: What the model calls it; the function's own name when left out.
        description: What it does, and when to use it; the docstring when left out.
        strict: Whether the server shall hold the model to the schema of the arguments; then none
            may have a default.
        side_effects: Whether it changes something; agents ask before they run such a tool.
        approve: Who is asked before it is run; None leaves that to the agent.

    Raises:
        ConfigurationError: An annotation is missing, or the function cannot be described to a
            model.
    """

    def made(function: Callable[..., Any]) -> FunctionTool:
        said = description if description is not None else _description_of(function, name)
        return FunctionTool(
            function, said, name, strict=strict, side_effects=side_effects, approve=approve
        )

    return made if function is None else made(function)


def _name_of(function: Callable[..., Any], target: Callable[..., Any]) -> str:
    if inspect.isroutine(target) and target.__name__ == "__call__":
        return type(function).__name__
    return target.__name__


def _description_of(function: Callable[..., Any], name: str | None) -> str:
    target = underlying(function)
    return described(target).description or (name or _name_of(function, target)).replace("_", " ")
