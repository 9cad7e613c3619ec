"""What goes to a model: system, user, assistant and tool messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from nbagents.messages._image import Image
from nbagents.messages._show import (
    calls_markdown,
    parts_markdown,
    results_markdown,
    speaker,
    text_bundle,
)

__all__ = [
    "AssistantMessage",
    "FunctionCall",
    "FunctionExecutionResult",
    "FunctionExecutionResultMessage",
    "LLMMessage",
    "SystemMessage",
    "UserMessage",
]


@dataclass
class FunctionCall:
    """A model's wish that a function be called.

    Attributes:
        id: Names the call, so that its result can be matched to it.
        arguments: The arguments, as JSON text.
        name: The function's name.
    """

    id: str
    arguments: str
    name: str


class SystemMessage(BaseModel):
    """Instructions from the developer to the model."""

    content: str
    type: Literal["SystemMessage"] = "SystemMessage"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return text_bundle(self.content, "system")


class UserMessage(BaseModel):
    """What a person, or a program on their behalf, says to the model.

    Attributes:
        content: Text, or a list of texts and images.
        source: Who says it.
    """

    content: str | list[str | Image]
    source: str
    type: Literal["UserMessage"] = "UserMessage"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return text_bundle(parts_markdown(self.content), speaker("user", self.source))


class AssistantMessage(BaseModel):
    """What a model said.

    Attributes:
        content: Text, or the functions it wants called.
        thought: Its reasoning, and text that stood beside function calls.
        source: Which agent the model spoke for.
    """

    content: str | list[FunctionCall]
    thought: str | None = None
    source: str
    type: Literal["AssistantMessage"] = "AssistantMessage"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        content = self.content
        text = content if isinstance(content, str) else calls_markdown(content)
        return text_bundle(text, speaker("assistant", self.source), self.thought or "")


class FunctionExecutionResult(BaseModel):
    """What one function call gave.

    Attributes:
        content: The result, or the error, as text for the model.
        name: The function's name.
        call_id: The `FunctionCall.id` it answers.
        is_error: Whether the call failed; None when nobody said.
    """

    content: str
    name: str
    call_id: str
    is_error: bool | None = None


class FunctionExecutionResultMessage(BaseModel):
    """The results of the function calls of one assistant message."""

    content: list[FunctionExecutionResult]
    type: Literal["FunctionExecutionResultMessage"] = "FunctionExecutionResultMessage"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return text_bundle(results_markdown(self.content), "tool")


LLMMessage = Annotated[
    SystemMessage | UserMessage | AssistantMessage | FunctionExecutionResultMessage,
    Field(discriminator="type"),
]
"""Any message that a model takes; pydantic tells them apart by ``type``."""
