"""The rules of the chat completions API for the order of messages, and conversations to try."""

from __future__ import annotations

from collections.abc import Sequence

from nbagents.messages import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)


def faults(messages: Sequence[LLMMessage]) -> list[str]:
    """What the API would refuse: empty for a request that it takes.

    Calls at the very end may wait for their results: nobody sends such a view, and whoever
    added the calls adds the results next.
    """
    found: list[str] = [] if messages else ["no messages"]
    waiting: set[str] = set()
    for place, message in enumerate(messages):
        if isinstance(message, FunctionExecutionResultMessage):
            answered = [result.call_id for result in message.content]
            if not set(answered) <= waiting or len(set(answered)) < len(answered):
                found.append(f"message {place} answers {answered}, and {waiting} wait")
            waiting -= set(answered)
            continue
        if waiting:
            found.append(f"before message {place} {sorted(waiting)} were not answered")
        content = message.content if isinstance(message, AssistantMessage) else ""
        waiting = set() if isinstance(content, str) else {call.id for call in content}
    return found


def says(text: str = "hi") -> UserMessage:
    return UserMessage(content=text, source="ada")


def replies(text: str = "hello") -> AssistantMessage:
    return AssistantMessage(content=text, source="bot")


def rule(text: str = "Be brief.") -> SystemMessage:
    return SystemMessage(content=text)


def calls(*ids: str) -> AssistantMessage:
    return AssistantMessage(
        content=[FunctionCall(id=each, name="add", arguments="{}") for each in ids], source="bot"
    )


def results(*ids: str) -> FunctionExecutionResultMessage:
    return FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="3", name="add", call_id=each) for each in ids]
    )
