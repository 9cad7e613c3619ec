"""The create arguments of the API: which there are, and what a wrong one may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from nbagents.errors import ConfigurationError

__all__ = ["CREATE_ARGUMENTS", "check_create_arguments", "stream_options_for"]

CREATE_ARGUMENTS = frozenset(
    {
        "audio", "extra_body", "extra_headers", "extra_query", "frequency_penalty", "logit_bias",
        "logprobs", "max_completion_tokens", "max_tokens", "metadata", "modalities", "model",
        "moderation", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
        "prompt_cache_options", "prompt_cache_retention", "reasoning_effort", "response_format",
        "safety_identifier", "seed", "service_tier", "stop", "store", "stream_options",
        "temperature", "timeout", "tool_choice", "tools", "top_logprobs", "top_p", "user",
        "verbosity", "web_search_options",
    }
)  # fmt: skip
"""Those of openai 3.54, known here so that making a client does not import the SDK."""

_OURS = {
    "messages": "give the messages to create() or create_stream()",
    "stream": "call create_stream() for a stream",
    "n": "one reply is read per request; ask several times",
    "functions": "give tools= to create(); the API's functions are deprecated",
    "function_call": "give tool_choice= to create(); the API's function_call is deprecated",
}


def check_create_arguments(given: Iterable[str], also: Iterable[str] = ()) -> None:
    """Refuse an argument that neither the API nor the client has.

    Args:
        given: The arguments' names.
        also: What the caller takes beside the API's, to suggest from.

    Raises:
        ConfigurationError: It names the argument, and the nearest that exists.
    """
    for name in given:
        if name in _OURS:
            raise ConfigurationError(f"{name!r} is not an argument here: {_OURS[name]}.")
        if name not in CREATE_ARGUMENTS and name not in _arguments_of_the_sdk():
            raise ConfigurationError(_unknown(name, CREATE_ARGUMENTS.union(also)))


def stream_options_for(
    arguments: Mapping[str, Any], include_usage: bool | None
) -> dict[str, Any] | None:
    """The ``stream_options`` to send: usage is asked for unless somebody said no.

    Args:
        arguments: The create arguments, which may hold ``stream_options``.
        include_usage: What ``create_stream`` was told; None when nothing.

    Raises:
        ConfigurationError: The two contradict each other.
    """
    options = dict(arguments.get("stream_options") or {})
    said = options.pop("include_usage", None)
    if said is not None and include_usage is not None and bool(said) != include_usage:
        raise ConfigurationError(
            f"include_usage is {include_usage}, but stream_options says {said}; give one of them."
        )
    if (said if said is not None else include_usage) in (None, True):
        options["include_usage"] = True
    return options or None


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"{name!r} is not an argument of the client or of the API.{meant} What only your server "
        f"knows goes into extra_body={{{name!r}: ...}}."
    )


def _arguments_of_the_sdk() -> frozenset[str]:
    """The arguments of the installed SDK, which may be newer than the list above."""
    from inspect import signature

    from nbagents.models._connections import create_method

    return frozenset(signature(create_method()).parameters) - _OURS.keys() - {"self"}
