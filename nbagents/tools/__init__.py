"""Functions that a model may call.

``@tool`` on an annotated function is enough::

    @tool
    def convert(amount: float, currency: Annotated[str, "Three letters, as EUR"]) -> float:
        "Convert dollars into another currency."
        return amount * RATES[currency]

What the author gets wrong is said where the tool is defined; what the model gets wrong is said
to the model, as a result that is marked as an error.
"""

from nbagents.tools._base import BaseTool, Tool
from nbagents.tools._calls import execute_call
from nbagents.tools._exceptions import (
    InvalidToolArgumentsException,
    ToolException,
    ToolExecutionException,
    ToolNotFoundException,
)
from nbagents.tools._function import FunctionTool, tool
from nbagents.tools._schema import ParametersSchema, ToolOverride, ToolSchema
from nbagents.tools._selection import tools_from
from nbagents.tools._synchronous import SynchronousCaller, synchronous_calls
from nbagents.tools._tool_agent import ToolAgent, tool_agent_caller_loop

__all__ = [
    "BaseTool",
    "FunctionTool",
    "InvalidToolArgumentsException",
    "ParametersSchema",
    "SynchronousCaller",
    "Tool",
    "ToolAgent",
    "ToolException",
    "ToolExecutionException",
    "ToolNotFoundException",
    "ToolOverride",
    "ToolSchema",
    "execute_call",
    "synchronous_calls",
    "tool",
    "tool_agent_caller_loop",
    "tools_from",
]
