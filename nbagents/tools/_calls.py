"""The one place where a model's call is run, and whatever goes wrong becomes an answer."""

from __future__ import annotations

import difflib
import json
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from nbagents._cancellation import CancellationToken
from nbagents._keys import SHARE, in_conversations, known_mask, masked, shown
from nbagents.messages import FunctionCall, FunctionExecutionResult
from nbagents.models._wire.fastjson import JSONError, loads
from nbagents.models._wire.server_errors import one_line
from nbagents.tools._approval import NOT_RUN, Approve, changes_something, refusal_of
from nbagents.tools._base import Tool
from nbagents.tools._cancelling import until_cancelled
from nbagents.tools._conversion import converted
from nbagents.tools._exceptions import (
    InvalidToolArgumentsException,
    ToolException,
    ToolExecutionException,
    ToolNotFoundException,
)
from nbagents.tools._selection import tools_from
from nbagents.tools._synchronous import SynchronousCaller, synchronous_calls
from nbagents.tools._words import accepted, faults_in

__all__ = ["execute_allowed", "execute_call", "fault_in", "run_call"]

_LONGEST_ERROR = 500
_LONGEST_RESULT = 100_000


async def execute_call(
    call: FunctionCall,
    tools: Iterable[Tool | Callable[..., Any]],
    *,
    approve: Approve | bool | None = None,
    cancellation_token: CancellationToken | None = None,
    caller: SynchronousCaller | None = None,
    longest: int = _LONGEST_RESULT,
) -> FunctionExecutionResult:
    """Run a model's call and return the result that answers it.

    A call that fails gives a result too: ``is_error`` is true, and the content says in one line
    what was wrong and what is accepted. Credentials in it are masked.

    Args:
        call: What the model wants called.
        tools: What it may call: tools, or functions that `tool` takes.
        approve: Who says whether a tool with side effects may run, as for a `ChatAgent`: a
            function of the call and the tool, True or False. By default the person is asked;
            where nobody can be, it does not run.
        cancellation_token: Cancels the call when used.
        caller: Where synchronous tools run, as for `synchronous_calls`.
        longest: How many characters of a result the model gets; the rest is cut off with a word.

    Raises:
        asyncio.CancelledError: The call was cancelled.
    """
    known = tools_from(tools)
    answer = await _refused(call, known, approve)
    if answer is not None:
        return answer
    with synchronous_calls(caller):
        return await execute_allowed(call, known, cancellation_token, longest)


async def execute_allowed(
    call: FunctionCall,
    tools: Sequence[Tool],
    cancellation_token: CancellationToken | None = None,
    longest: int = _LONGEST_RESULT,
) -> FunctionExecutionResult:
    """As `execute_call`, for a call that somebody has allowed, or need not."""
    try:
        content = await run_call(call, tools, cancellation_token, longest)
    except ToolException as error:
        return _result(call, error.content, is_error=True)
    return _result(call, content, is_error=False)


async def _refused(
    call: FunctionCall, tools: Sequence[Tool], approve: Approve | bool | None
) -> FunctionExecutionResult | None:
    tool = next((tool for tool in tools if tool.name == call.name), None)
    if tool is None or not changes_something(tool):
        return None
    if fault := fault_in(call, tools):  # nobody is asked about what cannot run
        return fault
    why = await refusal_of(call, tool, approve)
    return None if why is None else _result(call, why, is_error=True)


def fault_in(
    call: FunctionCall, tools: Iterable[Tool | Callable[..., Any]]
) -> FunctionExecutionResult | None:
    """The answer to a call that cannot run as it stands; None when there is nothing against it.

    A tool of that name must be there, and take the arguments; one about which somebody is asked
    takes them as they are shown: ``"off"`` is no False. Nothing is run.
    """
    try:
        tool = _found(call, tools_from(tools))
        arguments = _arguments(call, tool)
        taken = _taken(arguments, tool)
        if changes_something(tool):
            fault = converted(arguments, taken) or _read_otherwise(call, arguments)
            if fault:
                raise _invalid(call, tool, fault)
    except ToolException as error:
        return _result(call, error.content, is_error=True)
    except ValidationError as error:
        return _result(call, _invalid(call, tool, faults_in(error)).content, is_error=True)
    return None


async def run_call(
    call: FunctionCall,
    tools: Sequence[Tool],
    cancellation_token: CancellationToken | None = None,
    longest: int = _LONGEST_RESULT,
) -> str:
    """Run a model's call and return what the tool said, at most ``longest`` characters of it.

    Raises:
        ToolNotFoundException: There is no tool of that name.
        InvalidToolArgumentsException: The arguments are not JSON, or not what the tool takes.
        ToolExecutionException: The tool raised an error.
        asyncio.CancelledError: The call was cancelled.
    """
    tool = _found(call, tools)
    arguments = _arguments(call, tool)
    token = cancellation_token or CancellationToken()
    try:
        value = await until_cancelled(tool.run_json(arguments, token, call_id=call.id), token)
        # A tool may read the environment: what is said to a model stays in the conversation.
        said = tool.return_value_as_string(value)
        said = known_mask(in_conversations).hide(said, share=SHARE)
        return _shortened(said, longest)
    except CancelledError:
        raise
    except ToolException as error:
        raise ToolExecutionException(call.id, _own_words(call, error), call.name) from error
    except ValidationError as error:
        if error.title != tool.args_type().__name__:
            raise _failed(call, error) from error
        raise _invalid(call, tool, faults_in(error)) from error
    except Exception as error:
        raise _failed(call, error) from error


def _found(call: FunctionCall, tools: Sequence[Tool]) -> Tool:
    names = [tool.name for tool in tools]
    if call.name in names:
        return tools[names.index(call.name)]
    near = difflib.get_close_matches(call.name, names, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    there = f"The tools are: {', '.join(names)}." if names else "There are no tools."
    raise ToolNotFoundException(
        call.id, one_line(f"There is no tool named {call.name!r}.{meant} {there}"), call.name
    )


def _arguments(call: FunctionCall, tool: Tool) -> Mapping[str, Any]:
    # Some servers write nothing where there are no arguments.
    try:
        arguments = loads(call.arguments) if call.arguments.strip() else {}
    except JSONError as error:
        raise _invalid(call, tool, f"they are not JSON ({error})") from error
    if not isinstance(arguments, dict):
        raise _invalid(call, tool, "they are not a JSON object")
    return arguments


def _read_otherwise(call: FunctionCall, arguments: Mapping[str, Any]) -> str:
    """What is wrong where they are shown, and read by ``approve=``, as something else."""
    try:
        shown = json.loads(call.arguments.strip() or "{}")
    except ValueError as error:
        return f"they are not JSON as most programs read it ({error})"
    return "" if repr(shown) == repr(arguments) else "programs read them in different ways"


def _taken(arguments: Mapping[str, Any], tool: Tool) -> Any:
    """What the tool will make of the arguments, as far as that can be told before it runs."""
    model = tool.args_type()
    validate = getattr(tool, "_validated", model.model_validate if model.model_fields else None)
    if validate is not None:  # a tool of somebody's own may take them as they are
        with suppress(TypeError, AttributeError, RecursionError):  # running it tells
            return validate(arguments)
    return arguments


def _invalid(call: FunctionCall, tool: Tool, fault: str) -> InvalidToolArgumentsException:
    said = one_line(masked(f"The arguments are wrong: {fault}."), _LONGEST_ERROR)
    return InvalidToolArgumentsException(call.id, f"{said} {accepted(tool)}", call.name)


def _failed(call: FunctionCall, error: Exception) -> ToolExecutionException:
    first: BaseException = error
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    said = f"{type(first).__name__}: {first}" if str(first).strip() else type(first).__name__
    said = masked(known_mask(in_conversations).hide(f"{call.name} failed: {said}"))
    content = one_line(said, _LONGEST_ERROR)
    return ToolExecutionException(call.id, content, call.name)


def _own_words(call: FunctionCall, error: ToolException) -> str:
    """What a tool says of its failure, unless it says that it has not run: it has."""
    if error.content.lstrip().startswith(NOT_RUN.strip()):
        return _failed(call, error).content
    # They are meant for the model: what may as well be a commit's id stays.
    return one_line(shown(error.content))


def _shortened(content: str, longest: int) -> str:
    if len(content) <= longest:
        return content
    return f"{content[:longest]}\n[cut: {longest:,} of {len(content):,} characters are shown]"


def _result(call: FunctionCall, content: str, *, is_error: bool) -> FunctionExecutionResult:
    return FunctionExecutionResult(
        content=content, name=call.name, call_id=call.id, is_error=is_error
    )
