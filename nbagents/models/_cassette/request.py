"""Requests in the form in which they are recorded and compared: what the model sees. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["canonical", "fingerprint", "lines_of"]

# Arguments that travel with a request and make no difference to the model.
_UNSEEN = frozenset(
    {
        "extra_headers", "extra_query", "metadata", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "safety_identifier", "service_tier", "store", "stream",
        "stream_options", "timeout", "user",
    }
)  # fmt: skip
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,([A-Za-z0-9+/=]{200,})")


def canonical(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Put a request's arguments into the one form of all requests that mean the same.

    What the model does not see is left out, and so is what says no more than the default. Tools
    stand in the order of their names, calls are numbered, images become digests.
    """
    kept = {
        name: value
        for name, value in arguments.items()
        if name not in _UNSEEN and not _says_nothing(name, value)
    }
    request: dict[str, Any] = json.loads(json.dumps(kept, sort_keys=True, default=repr))
    if "tools" in request:
        request["tools"].sort(key=lambda tool: json.dumps(tool, sort_keys=True))
    _number_calls(request.get("messages", []))
    plain: dict[str, Any] = _plain(request)
    return plain


def fingerprint(request: Mapping[str, Any]) -> str:
    """A digest that canonical requests share when they are equal."""
    text = json.dumps(request, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def lines_of(request: Mapping[str, Any]) -> list[str]:
    """A canonical request as lines to read and to compare."""
    lines = [
        f"{name}: {_shown(value)}"
        for name, value in sorted(request.items(), key=lambda item: (item[0] != "model", item[0]))
        if name not in ("messages", "tools")
    ]
    lines += [f"tool: {_shown(tool.get('function', tool))}" for tool in request.get("tools", [])]
    for message in request.get("messages", []):
        rest = {key: value for key, value in message.items() if key not in ("role", "content")}
        said = _shown(message.get("content") or "").split("\n")
        lines.append(f"{message.get('role', '?')}: {said[0]}")
        lines += [f"    {line}" for line in said[1:]]
        lines += [f"    {name}: {_shown(value)}" for name, value in sorted(rest.items())]
    return lines


def _says_nothing(name: str, value: Any) -> bool:
    return (
        value is None
        or (name == "tool_choice" and value == "auto")
        or (name == "response_format" and value == {"type": "text"})
    )


def _number_calls(messages: list[dict[str, Any]]) -> None:
    """Servers give calls other ids each time; here they are numbered as they come."""
    numbers: dict[str, str] = {}
    for message in messages:
        for call in message.get("tool_calls") or []:
            call["id"] = numbers.setdefault(call.get("id"), f"call-{len(numbers) + 1}")
        if "tool_call_id" in message:
            told = message["tool_call_id"]
            message["tool_call_id"] = numbers.setdefault(told, f"call-{len(numbers) + 1}")


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _DATA_URI.sub(_digest, value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value


def _digest(match: re.Match[str]) -> str:
    data = match.group(2)
    digest = hashlib.sha256(data.encode()).hexdigest()[:32]
    return f"[{match.group(1)}, {len(data):,} characters, sha256:{digest}]"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
