"""A conversation as units: what may be left out of a view, but not be taken apart.

A unit is one message, or an assistant's function calls with all of their results. What the API
would refuse is put right on the way: results without a call belong to no unit, and calls that
were never answered get a result that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from nbagents.messages import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
)

__all__ = ["Unit", "messages_of", "newest", "size_of", "units_of", "without_head"]

Unit: TypeAlias = list[LLMMessage]

_UNANSWERED = "There is no result: the call was interrupted."


def units_of(messages: Iterable[LLMMessage]) -> list[Unit]:
    """The units of a conversation, oldest first.

    A result that comes late, after other messages, is moved to its call. Of several results of
    one call the first counts.
    """
    units: list[Unit] = []
    waiting: dict[str, Unit] = {}
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            _take_in(message, waiting)
            continue
        unit: Unit = [message]
        units.append(unit)
        waiting.update((call.id, unit) for call in _calls_of(unit))
    for unit in units[:-1]:
        _answer_all(unit)
    return units


def messages_of(units: Iterable[Unit]) -> list[LLMMessage]:
    """The messages of units, one after the other."""
    return [message for unit in units for message in unit]


def size_of(units: Iterable[Unit]) -> int:
    """How many messages units hold."""
    return sum(map(len, units))


def without_head(units: Sequence[Unit]) -> tuple[list[LLMMessage], list[Unit]]:
    """The system messages that a conversation begins with, and the units after them."""
    count = 0
    while count < len(units) and isinstance(units[count][0], SystemMessage):
        count += 1
    return messages_of(units[:count]), list(units[count:])


def newest(units: Sequence[Unit], size: int) -> list[Unit]:
    """As many of the newest units as fit in ``size`` messages, and at least the last one."""
    start = len(units)
    while start > 0 and (len(units[start - 1]) <= size or start == len(units)):
        start -= 1
        size -= len(units[start])
    return list(units[start:])


def _calls_of(unit: Unit) -> list[FunctionCall]:
    content = unit[0].content if isinstance(unit[0], AssistantMessage) else ""
    return [] if isinstance(content, str) else content


def _take_in(message: FunctionExecutionResultMessage, waiting: dict[str, Unit]) -> None:
    """Add the results to the units that wait for them; the message itself if all are of one."""
    found: list[tuple[Unit, list[FunctionExecutionResult]]] = []
    for result in message.content:
        unit = waiting.pop(result.call_id, None)
        if unit is None:
            continue
        if not found or found[-1][0] is not unit:
            found.append((unit, []))
        found[-1][1].append(result)
    for unit, results in found:
        whole = len(results) == len(message.content)
        unit.append(message if whole else FunctionExecutionResultMessage(content=results))


def _answer_all(unit: Unit) -> None:
    calls = _calls_of(unit)
    if not calls:
        return
    answered = {
        result.call_id
        for message in unit[1:]
        if isinstance(message, FunctionExecutionResultMessage)
        for result in message.content
    }
    missing = [
        FunctionExecutionResult(content=_UNANSWERED, name=call.name, call_id=call.id, is_error=True)
        for call in calls
        if call.id not in answered
    ]
    if missing:
        unit.append(FunctionExecutionResultMessage(content=missing))
