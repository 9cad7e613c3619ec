"""One turn of a chat cell: what is asked for, what is shown while it comes, and what stays."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbagents._waits import told_of_waits
from nbagents.agents import ChatAgent, Event
from nbagents.errors import ConfigurationError
from nbagents.loop import Interrupted, InterruptGuard, drive
from nbagents.messages import CreateResult, Image, ModelInfo
from nbagents.notebook._arguments import ChatArguments
from nbagents.notebook._display import reply_display
from nbagents.notebook._prompt import Prompt
from nbagents.notebook._reply import Reply
from nbagents.notebook._settings import ChatSettings
from nbagents.notebook._variables import NotThereError, did_you_mean, find

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["request_for", "take_turn"]


def request_for(
    arguments: ChatArguments,
    settings: ChatSettings,
    namespace: Mapping[str, Any],
    info: ModelInfo,
) -> dict[str, Any]:
    """The arguments of the request that options and settings ask for.

    Raises:
        ConfigurationError: ``--schema`` names no pydantic model.
    """
    extra: dict[str, Any] = {}
    if arguments.name and arguments.model and not arguments.new:
        extra["model"] = arguments.model
    temperature = _first(arguments.temperature, settings.temperature)
    if temperature is not None:
        extra["temperature"] = temperature
    max_tokens = _first(arguments.max_tokens, settings.max_tokens)
    if max_tokens is not None:
        extra[_max_tokens_name(info["family"])] = max_tokens
    request: dict[str, Any] = {"extra_create_args": extra} if extra else {}
    if arguments.schema:
        request["json_output"] = _schema(arguments.schema, namespace)
    elif arguments.format == "json":
        request["json_output"] = True
    return request


def take_turn(
    shell: InteractiveShell,
    agent: ChatAgent,
    prompt: Prompt,
    arguments: ChatArguments,
    request: Mapping[str, Any],
) -> CreateResult:
    """Ask, show the reply as it comes, and leave it in the cell.

    Raises:
        Interrupted: The kernel was interrupted; what had come is shown.
        NbAgentsError: The request failed; what had come is shown.
    """
    shown = "json" if arguments.schema else arguments.format or "markdown"
    display = reply_display(shell, label=agent.model)
    reply = Reply(shown, prompt.notices, display)

    def source() -> AsyncGenerator[Event, None]:
        content = prompt.content
        if arguments.no_stream:
            return _whole(agent, content, request)
        return agent.stream(content, **request)

    with InterruptGuard() as guard, told_of_waits(display.wait_for):
        try:
            drive(source, reply.see, due=display.due, tick=display.paint, guard=guard)
        except Interrupted:
            reply.leave("cancelled")
            raise
        except Exception as error:
            reply.fail(error)
            raise
        reply.leave()
    assert isinstance(reply.result, CreateResult)
    return reply.result


async def _whole(
    agent: ChatAgent, content: str | Sequence[str | Image], request: Mapping[str, Any]
) -> AsyncGenerator[CreateResult, None]:
    yield await agent.ask(content, **request)


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _max_tokens_name(family: str) -> str:
    # OpenAI's reasoning models take only the newer name, other servers often only the older.
    return "max_completion_tokens" if re.match(r"o\d|gpt-[56]", family) else "max_tokens"


def _schema(name: str, namespace: Mapping[str, Any]) -> Any:
    from pydantic import BaseModel

    try:
        schema = find(name, namespace)
    except NotThereError:
        hint = did_you_mean(name, namespace) or "; define it in a cell above"
        raise ConfigurationError(f"--schema: there is no class {name}{hint}") from None
    if not (isinstance(schema, type) and issubclass(schema, BaseModel)):
        raise ConfigurationError(
            f"--schema takes a pydantic model; {name} is {type(schema).__name__}. "
            f"Write: class {name}(pydantic.BaseModel): ..."
        )
    return schema
