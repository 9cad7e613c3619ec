"""An agent as a file: its name, its instructions and its conversation. No client, no secret."""

from __future__ import annotations

import json
import os
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from nbagents._unicode import mended
from nbagents.errors import ConfigurationError
from nbagents.model_context import ChatCompletionContext
from nbagents.models._wire.server_errors import one_line

__all__ = ["LONGEST_NAME", "SavedAgent", "at_once"]

T = TypeVar("T")

LONGEST_NAME = 200
"""Characters of an agent's name: it is shown in lines, cards and tables."""

_MOST_NAMED = 5  # tools that are missing


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
    name: Annotated[str, Field(max_length=LONGEST_NAME)]
    system_message: str | None = None
    tools: list[str] = []
    conversation: dict[str, Any]

    def write(self, path: str | Path) -> None:
        """Write the file, whole or not at all; only its owner may read it.

        Raises:
            ConfigurationError: Its folder is not there, or it cannot be written.
        """
        target = Path(path)
        if not target.parent.is_dir():
            raise ConfigurationError(
                f"There is no folder {target.parent} to save the agent in. Make it first, or give "
                "another path."
            )
        # Not pydantic's own, which has no half of a surrogate pair.
        text = mended(json.dumps(self.model_dump(), indent=2, ensure_ascii=False))
        # A name that nobody foresees, and never an existing file: a link may lie in wait there.
        draft = target.with_name(f".{target.name}.{token_hex(8)}.part")
        try:
            with open(draft, "x", encoding="utf-8", opener=_for_me_alone) as file:
                file.write(text)
            draft.replace(target)
        except OSError as error:
            raise ConfigurationError(
                f"The agent cannot be saved as {target}: {error.strerror}. Make room on its disk, "
                "or give another path."
            ) from error
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: str | Path) -> SavedAgent:
        """Read a file that `write` wrote.

        Raises:
            ConfigurationError: It is something else, damaged, or cannot be read.
        """
        file = Path(path)
        try:
            if file.exists() and not file.is_file():  # a pipe would let us wait for ever
                raise _unreadable(file, "it is not a file")
            return cls.model_validate_json(file.read_text(encoding="utf-8-sig"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise _damaged(str(path), error) from error
        except OSError as error:
            raise _unreadable(file, error.strerror or str(error)) from error

    def check_tools(self, given: Mapping[str, object]) -> None:
        """See that the tools the conversation was held with are there again.

        Raises:
            ConfigurationError: One is missing.
        """
        missing = [name for name in self.tools if name not in given]
        if missing:
            more = f" and {len(missing) - _MOST_NAMED} more" * (len(missing) > _MOST_NAMED)
            names = ", ".join(one_line(name, 64) for name in missing[:_MOST_NAMED]) + more
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


def _unreadable(file: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The agent {file} cannot be read: {why}. Give the path of a file that ChatAgent.save "
        "wrote."
    )


def _damaged(what: str, error: ValidationError | UnicodeDecodeError) -> ConfigurationError:
    why = str(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        why = f"{place}: {first['msg']}" if place else first["msg"]
        if place == "version":
            why = "it is of another version of nbagents"
    return ConfigurationError(
        f"{what} is not what nbagents saved, or it is damaged ({one_line(why, 200)}). "
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
