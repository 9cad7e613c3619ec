"""A conversation as a DataFrame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["history_frame"]

_ROLES = {
    "SystemMessage": "system",
    "UserMessage": "user",
    "AssistantMessage": "assistant",
    "FunctionExecutionResultMessage": "tool",
}


def history_frame(state: Mapping[str, Any]) -> pd.DataFrame:
    """A context's saved state as a DataFrame, a row a message, oldest first.

    Columns: ``role`` (category: system, user, assistant or tool), ``source`` (who spoke; ``<NA>``
    where nobody is named) and ``content`` (the text, without what would command a terminal; an
    image is ``[image]``).
    """
    import pandas as pd

    from nbagents.rendering import plain

    messages = state["messages"]
    return pd.DataFrame(
        {
            "role": pd.Categorical(
                [_ROLES[message["type"]] for message in messages], categories=[*_ROLES.values()]
            ),
            "source": pd.array([message.get("source") for message in messages], dtype="string"),
            "content": pd.array(
                [plain(_text(message["content"])) for message in messages], dtype="string"
            ),
        }
    )


def _text(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(_part(part) for part in content)


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        if "arguments" in part:
            return f"{part['name']}({part['arguments']})"
        return str(part.get("content", "[image]"))
    return str(part)
