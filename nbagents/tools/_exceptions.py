"""What can go wrong with a call of a tool."""

from __future__ import annotations

from nbagents.errors import NbAgentsError

__all__ = [
    "InvalidToolArgumentsException",
    "ToolException",
    "ToolExecutionException",
    "ToolNotFoundException",
]


class ToolException(NbAgentsError):  # noqa: N818 - AutoGen's names
    """A call failed.

    Attributes:
        call_id: The `FunctionCall.id` of the call.
        content: What went wrong: one line for the model.
        name: The name that was called.
    """

    def __init__(self, call_id: str, content: str, name: str) -> None:
        super().__init__(call_id, content, name)
        self.call_id = call_id
        self.content = content
        self.name = name

    def __str__(self) -> str:
        return self.content


class ToolNotFoundException(ToolException):
    """There is no tool of that name."""


class InvalidToolArgumentsException(ToolException):
    """The arguments are not JSON, or not what the tool takes."""


class ToolExecutionException(ToolException):
    """The tool raised an error, which is the ``__cause__``."""
