"""A request's arguments for the SDK's ``create``, checked against what the model can do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbagents.errors import ConfigurationError
from nbagents.messages import CreateResult, LLMMessage, ModelInfo
from nbagents.models._arguments import check_create_arguments
from nbagents.models._embedded.service import MODEL as EMBEDDED
from nbagents.models._secrets import hidden_arguments
from nbagents.models._wire.params import (
    check_capabilities,
    check_messages,
    parsed_content,
    response_format_for,
    to_params,
    tool_choice_to_param,
    tools_to_params,
)

if TYPE_CHECKING:
    from nbagents.models._client import JsonOutput, ToolChoice, ToolLike

__all__ = [
    "Asked",
    "Defaults",
    "arguments_for",
    "asked_of",
    "final_request",
    "parsed_in",
    "plain_client",
    "schema_in",
    "unchecked_arguments_for",
]


_NO_LANGUAGE_MODEL = (
    f"{EMBEDDED} is no language model. Start a server such as Ollama on this computer, or set "
    "OPENAI_API_KEY or Azure's settings, before Jupyter is started."
)


@dataclass(frozen=True)
class Defaults:
    """What every request of a client has in common.

    Attributes:
        model: The model's name.
        info: What it can do.
        arguments: Create arguments of the API.
        add_name_prefixes: Whether texts begin with who says them.
        include_name_in_message: Whether messages carry the name of who says them.
    """

    model: str
    info: ModelInfo
    arguments: Mapping[str, Any] = field(default_factory=dict)
    add_name_prefixes: bool = False
    include_name_in_message: bool = True


@dataclass(frozen=True)
class Asked:
    """What one call of ``create`` or ``create_stream`` asks for."""

    messages: Sequence[LLMMessage]
    tools: Sequence[ToolLike] = ()
    tool_choice: ToolChoice = "auto"
    json_output: JsonOutput = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def asked_of(messages: Sequence[LLMMessage], arguments: Mapping[str, Any]) -> Asked:
    """The call that was made with ``messages`` and these keyword arguments."""
    return Asked(
        messages,
        arguments.get("tools", ()),
        arguments.get("tool_choice", "auto"),
        arguments.get("json_output"),
        arguments.get("extra_create_args", {}),
    )


def arguments_for(asked: Asked, defaults: Defaults) -> dict[str, Any]:
    """The keyword arguments of ``chat.completions.create``, ``stream`` left out.

    Raises:
        ConfigurationError: The model cannot do it, or an argument is unknown.
    """
    check_create_arguments(asked.extra)
    check_messages(asked.messages)
    schema = schema_in(asked, defaults)
    advice = _NO_LANGUAGE_MODEL if defaults.model == EMBEDDED else ""
    check_capabilities(defaults.info, asked.messages, asked.tools, schema, advice)
    return unchecked_arguments_for(asked, defaults)


def final_request(client: Any, asked: Asked) -> dict[str, Any]:
    """What ``client`` would send: its own arguments with those of the call.

    A client that nobody here knows is taken to send what `create` was given, and its ``model``.

    Raises:
        ConfigurationError: The request is wrong before it is sent.
    """
    plain = plain_client(client)
    prepare = getattr(plain, "request_for", None)
    if prepare is not None:
        prepared: dict[str, Any] = prepare(asked)
        return prepared
    model = str(getattr(client, "model", None) or type(client).__name__)
    return unchecked_arguments_for(asked, Defaults(model, client.model_info))


def plain_client(client: Any) -> Any:
    """The plain client behind a public one of ours; any other client as it is."""
    return getattr(client, "_direct", client)


def parsed_in(client: Any, asked: Asked, result: CreateResult) -> Any:
    """The object that a call to ``client`` asked for, out of a reply that came another way."""
    schema_of = getattr(plain_client(client), "schema_of", None)
    return parsed_content(schema_of(asked) if schema_of else asked.json_output, result)


def unchecked_arguments_for(asked: Asked, defaults: Defaults) -> dict[str, Any]:
    """The same, whatever the model can do and whether the arguments are known."""
    arguments = {"model": defaults.model, **defaults.arguments, **hidden_arguments(asked.extra)}
    arguments["messages"] = to_params(
        asked.messages,
        family=defaults.info["family"],
        model=arguments["model"],
        multiple_system_messages=bool(defaults.info.get("multiple_system_messages", False)),
        include_name_in_message=defaults.include_name_in_message,
        add_name_prefixes=defaults.add_name_prefixes,
    )
    choice = tool_choice_to_param(asked.tool_choice, asked.tools)
    if asked.tools:
        arguments["tools"] = tools_to_params(asked.tools)
    if choice is not None:
        arguments["tool_choice"] = choice
    wanted = schema_in(asked, defaults)
    if wanted is not None:
        arguments["response_format"] = response_format_for(wanted)
    return arguments


def schema_in(asked: Asked, defaults: Defaults) -> JsonOutput:
    """What form the reply must have: ``json_output``, or a ``response_format`` that is a model.

    Raises:
        ConfigurationError: Both are given, and are models.
    """
    response_format = {**defaults.arguments, **asked.extra}.get("response_format")
    if not isinstance(response_format, type):
        return asked.json_output
    if isinstance(asked.json_output, type):
        raise ConfigurationError(
            "json_output and response_format both give a model; give json_output alone."
        )
    return response_format
