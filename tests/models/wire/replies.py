"""Chunks as servers send them, and what the builder makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from nbagents.errors import RequestError
from nbagents.messages import CreateResult, StreamChunk
from nbagents.models._wire.reply import ReplyBuilder

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def chunk(finish: str | None = None, /, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(index: int | None = None, call_id: str = "", /, **function: Any) -> dict[str, Any]:
    """A piece of a function call, with only what is given."""
    said: dict[str, Any] = {} if index is None else {"index": index}
    if call_id:
        said["id"] = call_id
    return {**said, "function": function} if function else said


def stream(
    *chunks: Any, think_tags: bool = False, end: bool = True
) -> tuple[list[StreamChunk], CreateResult]:
    builder = ReplyBuilder(think_tags=think_tags)
    shown = [piece for each in chunks for piece in builder.add(each)]
    shown += builder.end() if end else builder.flush()
    return shown, builder.result()


def reply(*chunks: Any, **settings: Any) -> CreateResult:
    return stream(*chunks, **settings)[1]


def failure(*chunks: Any, **settings: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        stream(*chunks, **settings)
    assert len(str(caught.value)) <= 500
    return caught.value
