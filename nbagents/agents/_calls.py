"""The calls of one reply: approved one at a time, run side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from nbagents._cancellation import CancellationToken
from nbagents._unicode import mended
from nbagents.agents._events import CallAsked, CallStarted
from nbagents.messages import FunctionCall, FunctionExecutionResult, FunctionExecutionResultMessage
from nbagents.tools import Tool
from nbagents.tools._approval import NOBODY, NOT_RUN, Approve, refusal_of
from nbagents.tools._calls import execute_allowed, fault_in

__all__ = ["distinct", "nobody_asked", "not_run", "run_calls"]


async def run_calls(
    calls: Sequence[FunctionCall],
    tools: Sequence[Tool],
    *,
    approve: Approve | bool | None = None,
    cancellation_token: CancellationToken | None = None,
    tell: Callable[[CallAsked | CallStarted], None] = lambda _: None,
) -> FunctionExecutionResultMessage:
    """Run the calls of a reply and return their results, in the order of the calls.

    A call that cannot run, fails or is not allowed has a result that says so; the others go on.
    ``tell`` hears when somebody is asked and when a call runs. Where asking itself fails, the call
    does not run, and the failure is logged.
    """
    asking = asyncio.Lock()

    async def permission(call: FunctionCall) -> FunctionExecutionResult | None:
        tool = next(tool for tool in tools if tool.name == call.name)
        async with asking:  # a person is asked one thing at a time
            why = await refusal_of(call, tool, approve, on_asked=lambda: tell(CallAsked(call)))
        return None if why is None else _refused(call, why)

    async def run(call: FunctionCall) -> FunctionExecutionResult:
        # Nobody is asked about what cannot run.
        answer = fault_in(call, tools) or await permission(call)
        if answer is not None:
            return answer
        tell(CallStarted(call))
        return await execute_allowed(call, tools, cancellation_token)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(call)) for call in calls]
    return FunctionExecutionResultMessage(content=[task.result() for task in tasks])


def distinct(calls: Sequence[FunctionCall]) -> list[FunctionCall]:
    """The calls, each under an id of its own: by the id a person's word finds its call.

    And one that can be sent to a front end and back. Our clients see to it; a cassette, a cache
    and clients of others may not.
    """
    used: set[str] = set()
    found = []
    for call in calls:
        given = mended(call.id)
        names = (f"{given}-{number}" for number in count(2))
        identity = given if given not in used else next(n for n in names if n not in used)
        used.add(identity)
        found.append(call if identity == call.id else replace(call, id=identity))
    return found


def not_run(result: FunctionExecutionResult) -> bool:
    """Whether this is the result of a call that was not allowed."""
    return bool(result.is_error) and result.content.startswith(NOT_RUN)


def nobody_asked(result: FunctionExecutionResult) -> bool:
    """Whether this is the result of a call about which nobody could be asked."""
    return bool(result.is_error) and result.content == NOBODY


def _refused(call: FunctionCall, why: str) -> FunctionExecutionResult:
    return FunctionExecutionResult(content=why, name=call.name, call_id=call.id, is_error=True)
