"""An agent as a file: its name, its instructions and its conversation. No client, no secret."""

from __future__ import annotations

import os
from collections.abc import Coroutine, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from nbagents.errors import ConfigurationError
from nbagents.model_context import ChatCompletionContext
from nbagents.models._wire.server_errors import one_line

__all__ = ["SavedAgent", "at_once"]

T = TypeVar("T")


class SavedAgent(BaseModel):
    """What `ChatAgent.save` writes.

    Attributes:
        kind: Says what the file is.
        version: Of the form of the file.
        name: The agent's name.
        system_message: Its instructions.
        tools: The names of its tools; their code is not saved.
        conversation: All messages of its context.
    """

    kind: Literal["nbagents.ChatAgent"] = "nbagents.ChatAgent"
    version: Literal[1] = 1
    name: str
    system_message: str | None = None
    tools: list[str] = []
    conversation: dict[str, Any]

    def write(self, path: str | Path) -> None:
        """Write the file, whole or not at all; only its owner may read it.

        Raises:
            ConfigurationError: Its folder is not there.
        """
        target = Path(path)
        if not target.parent.is_dir():
            raise ConfigurationError(
                f"There is no folder {target.parent} to save the agent in. Make it first, or give "
                "another path."
            )
        # A name that nobody foresees, and never an existing file: a link may lie in wait there.
        draft = target.with_name(f".{target.name}.{token_hex(8)}.part")
        try:
            with open(draft, "x", encoding="utf-8", opener=_for_me_alone) as file:
                file.write(self.model_dump_json(indent=2))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: str | Path) -> SavedAgent:
        """Read a file that `write` wrote.

        Raises:
            ConfigurationError: It is something else, or damaged.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise _damaged(str(path), error) from error

    def check_tools(self, given: Mapping[str, object]) -> None:
        """See that the tools the conversation was held with are there again.

        Raises:
            ConfigurationError: One is missing.
        """
        missing = [name for name in self.tools if name not in given]
        if missing:
            names = one_line(", ".join(missing))
            raise ConfigurationError(
                f"The agent was saved with the tools {names}; pass them again: "
                "ChatAgent.load(path, client, tools=[...])."
            )

    def restore(self, context: ChatCompletionContext) -> None:
        """Put the conversation into ``context``.

        Raises:
            ConfigurationError: It is damaged, or was saved from a context of another kind.
        """
        try:
            at_once(context.load_state(self.conversation))
        except ValidationError as error:
            raise _damaged("The conversation", error) from error


def _for_me_alone(path: str, flags: int) -> int:
    # A conversation is nobody else's business on a machine with several users.
    return os.open(path, flags, 0o600)


def _damaged(what: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{what} is not what nbagents saved, or it is damaged ({str(error).splitlines()[0]}). "
        "Save the agent again."
    )


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for, without an event loop.

    Raises:
        ConfigurationError: It waits for something.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise ConfigurationError(
        "This context waits for something when it is saved or loaded. Use its own save_state and "
        "load_state with await."
    )
