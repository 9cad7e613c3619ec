"""A request, as the chat completions API takes it: messages, tools, the form of the reply.

Nothing here knows a client. The wire content is AutoGen's, the particulars of model families
included, save where that fails: names are made to fit rather than refused, and characters
that no JSON can carry (lone surrogates) are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from nbagents._unicode import mended
from nbagents.errors import ConfigurationError, ProtocolError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResultMessage,
    Image,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    SystemMessage,
    UserMessage,
)
from nbagents.models._wire.calls import sanitized_name
from nbagents.models._wire.fastjson import JSONError, loads
from nbagents.models._wire.schema import strict_schema

if TYPE_CHECKING:
    from nbagents.models._client import JsonOutput, ToolChoice, ToolLike

__all__ = [
    "check_capabilities",
    "check_messages",
    "parsed_content",
    "response_format_for",
    "to_params",
    "tool_choice_to_param",
    "tools_to_params",
]

_Param = dict[str, Any]
_Style = Literal["claude", "gemini", "mistral", ""]

_MESSAGES = (SystemMessage, UserMessage, AssistantMessage, FunctionExecutionResultMessage)

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def to_params(
    messages: Sequence[LLMMessage],
    *,
    family: str = ModelFamily.UNKNOWN,
    model: str = "",
    multiple_system_messages: bool = True,
    include_name_in_message: bool = True,
    add_name_prefixes: bool = False,
) -> list[_Param]:
    r"""Turn messages into the API's ``messages``.

    Args:
        messages: The conversation; it is not changed.
        family: The model's family; when unknown, the model's name stands for it. Claude's get
            no empty messages and no white space at the end of the last assistant message,
            Gemini's a space where content is empty, Mistral's no names.
        model: The model's name.
        multiple_system_messages: Whether the model takes several. If not, those that follow
            each other become one.
        include_name_in_message: Whether user messages carry their source as ``name``.
        add_name_prefixes: Whether user messages begin with ``{source} said:\n``.

    Raises:
        ConfigurationError: Several system messages that do not follow each other, for a model
            that takes one.
    """
    style = _style_of(model if family == ModelFamily.UNKNOWN else family)
    if not multiple_system_messages:
        messages = _with_one_system_message(messages)
    if style == "claude":
        messages = _without_trailing_space(messages)
    params: list[_Param] = []
    for message in messages:
        match message:
            case SystemMessage():
                params.append({"role": "system", "content": _filled(message.content, style)})
            case UserMessage():
                params += _user_params(message, style, include_name_in_message, add_name_prefixes)
            case AssistantMessage():
                params += _assistant_params(message, style)
            case FunctionExecutionResultMessage():
                params += _tool_params(message)
    return params


def tools_to_params(tools: Iterable[ToolLike]) -> list[_Param]:
    """Turn tools, or their schemas, into the API's ``tools``.

    Raises:
        ConfigurationError: A tool has no name that the API takes.
    """
    return [{"type": "function", "function": _function(tool)} for tool in tools]


def tool_choice_to_param(tool_choice: ToolChoice, tools: Sequence[ToolLike]) -> Any:
    """The API's ``tool_choice``; None when nothing is to be sent, for want of tools.

    Raises:
        ConfigurationError: The choice is none of the words, or a tool that is not offered.
    """
    if isinstance(tool_choice, str):
        if tool_choice not in ("auto", "required", "none"):
            raise ConfigurationError(
                f"tool_choice is {tool_choice!r}; give 'auto', 'required', 'none' or a tool."
            )
        return tool_choice if tools else None
    if not hasattr(tool_choice, "schema"):
        raise ConfigurationError(
            f"tool_choice is of type {type(tool_choice).__name__}; give 'auto', 'required', "
            "'none' or a tool."
        )
    name = _function(tool_choice)["name"]
    if name not in [_function(tool)["name"] for tool in tools]:
        raise ConfigurationError(f"tool_choice is {name!r}, which is not in tools; add it there.")
    return {"type": "function", "function": {"name": name}}


def response_format_for(json_output: JsonOutput) -> _Param | None:
    """The API's ``response_format``; None when nothing is asked for.

    Raises:
        ConfigurationError: ``json_output`` is neither a bool nor a pydantic model.
    """
    if json_output is None:
        return None
    if isinstance(json_output, bool):
        return {"type": "json_object" if json_output else "text"}
    if not (isinstance(json_output, type) and issubclass(json_output, BaseModel)):
        raise ConfigurationError(
            f"json_output is {json_output!r}; give True, False or a pydantic model class."
        )
    name = sanitized_name(json_output.__name__)
    schema = {"name": name, "strict": True, "schema": strict_schema(json_output)}
    return {"type": "json_schema", "json_schema": schema}


def parsed_content(json_output: JsonOutput, result: CreateResult) -> Any:
    """The object that ``json_output`` asked for, out of a reply.

    None when nothing was asked for, and where no object can be: in calls, in a refusal, in
    text that the length limit or a filter cut.

    Raises:
        ProtocolError: The reply is whole, but not JSON of the model's schema.
    """
    text = result.content
    cut = result.finish_reason in ("length", "content_filter")
    if not json_output or cut or result.refusal or not isinstance(text, str):
        return None
    try:
        if isinstance(json_output, type):
            return json_output.model_validate_json(text)
        return loads(text)
    except JSONError as error:
        raise _unfit("JSON", str(error), text) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        why = f"{place}: {first['msg']}" if place else first["msg"]
        raise _unfit(f"a {error.title}", why, text) from error


def check_messages(messages: object) -> None:
    """Refuse what is no list of messages, such as a text.

    Raises:
        ConfigurationError: It says what to write.
    """
    found = f"is of type {type(messages).__name__}"
    if isinstance(messages, Sequence) and not isinstance(messages, str):
        others = [message for message in messages if not isinstance(message, _MESSAGES)]
        if not others:
            return
        found = f"holds what is of type {type(others[0]).__name__}"
    raise ConfigurationError(
        f"messages is a list: [UserMessage(content=..., source='user')]. What was given {found}."
    )


def check_capabilities(
    info: ModelInfo,
    messages: Sequence[LLMMessage],
    tools: Sequence[ToolLike] = (),
    json_output: JsonOutput = None,
    advice: str = "",
) -> None:
    """Refuse a request that asks for what the model cannot do.

    ``advice`` says what to do about it, where saying that the model can do it would be wrong.

    Raises:
        ConfigurationError: It names the entry of ``model_info`` that says so.
    """
    asked = {
        "vision": any(_has_image(message) for message in messages),
        "function_calling": bool(tools),
        "json_output": json_output is True,
        "structured_output": isinstance(json_output, type),
    }
    for ability, needed in asked.items():
        if needed and info.get(ability, False) is False:
            advice = advice or (
                f"choose another model, or say model_info={{..., '{ability}': True}} if it does."
            )
            raise ConfigurationError(
                f"The request needs {ability}, which this model does not have; {advice}"
            )


def _user_params(
    message: UserMessage, style: _Style, include_name: bool, add_prefix: bool
) -> list[_Param]:
    prefix = f"{message.source} said:\n" if add_prefix else ""
    content: str | list[_Param]
    if isinstance(message.content, str):
        if style == "claude" and not message.content.strip():
            return []
        content = mended(prefix + message.content) or (" " if style == "gemini" else "")
    else:
        content = _parts(message.content, prefix)
    param: _Param = {"role": "user", "content": content}
    if include_name and style != "mistral" and (name := sanitized_name(message.source)):
        param["name"] = name
    return [param]


def _parts(content: Sequence[str | Image], prefix: str) -> list[_Param]:
    """Text and images as content parts; the prefix goes before the first text."""
    parts: list[_Param] = []
    for part in content:
        if isinstance(part, Image):
            parts.append(part.to_openai_format())
        else:
            parts.append({"type": "text", "text": mended(prefix + part)})
            prefix = ""
    return parts


def _assistant_params(message: AssistantMessage, style: _Style) -> list[_Param]:
    if message.content and isinstance(message.content, list):
        calls = [_call_param(call) for call in message.content]
        said = None if message.thought is None else _filled(message.thought, style)
        return [{"role": "assistant", "content": said, "tool_calls": calls}]
    text = message.content if isinstance(message.content, str) else message.thought or ""
    if style == "claude" and not text.strip():
        return []
    return [{"role": "assistant", "content": _filled(text, style)}]


def _call_param(call: FunctionCall) -> _Param:
    function = {"name": sanitized_name(call.name), "arguments": mended(call.arguments) or "{}"}
    return {"id": mended(call.id), "type": "function", "function": function}


def _tool_params(message: FunctionExecutionResultMessage) -> list[_Param]:
    return [
        {"role": "tool", "tool_call_id": mended(result.call_id), "content": mended(result.content)}
        for result in message.content
    ]


def _filled(text: str, style: _Style) -> str:
    """Text that is not empty where the family's servers refuse empty content."""
    return mended(text) or (" " if style in ("claude", "gemini") else "")


def _style_of(name: str) -> _Style:
    if ModelFamily.is_claude(name):
        return "claude"
    if ModelFamily.is_gemini(name):
        return "gemini"
    return "mistral" if ModelFamily.is_mistral(name) else ""


def _with_one_system_message(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    places = [place for place, each in enumerate(messages) if isinstance(each, SystemMessage)]
    if not places:
        return list(messages)
    first, last = places[0], places[-1]
    if last - first + 1 != len(places):
        raise ConfigurationError(
            "This model takes one system message, and the conversation has several apart from "
            "each other; move them together, or say model_info={..., "
            "'multiple_system_messages': True} if it takes them."
        )
    texts = [each.content for each in messages if isinstance(each, SystemMessage)]
    merged = "\n".join(texts).rstrip()
    kept: list[LLMMessage] = [SystemMessage(content=merged)] if merged else []
    return [*messages[:first], *kept, *messages[last + 1 :]]


def _without_trailing_space(messages: Sequence[LLMMessage]) -> Sequence[LLMMessage]:
    last = messages[-1] if messages else None
    if not isinstance(last, AssistantMessage) or not isinstance(last.content, str):
        return messages
    return [*messages[:-1], last.model_copy(update={"content": last.content.rstrip()})]


def _function(tool: ToolLike) -> _Param:
    schema: Mapping[str, Any] = tool if isinstance(tool, Mapping) else tool.schema
    if schema.get("type") == "function" and isinstance(schema.get("function"), Mapping):
        schema = schema["function"]
    name = schema.get("name")
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise ConfigurationError(
            f"A tool is named {name!r}; the API takes letters, digits, '_' and '-', at most 64."
        )
    return {
        "name": name,
        "description": mended(schema.get("description") or ""),
        "parameters": schema.get("parameters") or {},
        "strict": bool(schema.get("strict")),
    }


def _has_image(message: LLMMessage) -> bool:
    if not isinstance(message, UserMessage) or isinstance(message.content, str):
        return False
    return any(isinstance(part, Image) for part in message.content)


def _unfit(wanted: str, why: str, text: str) -> ProtocolError:
    return ProtocolError(
        f"The reply is not {wanted} ({' '.join(why.split())[:200]}); .partial has its text. "
        "Run it again, or say in the prompt what is wanted.",
        partial=text,
        retryable=True,
    )
