"""Broken streams: JSON that is none, errors in every shape, what is no reply at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from nbagents.testing._script import ScriptedReply, chunk, completion
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    BEGUN,
    DONE,
    END,
    EVENTS,
    HELLO,
    KEY_HINT,
    START,
    WHOLE,
    answer,
    failed,
    lines,
    plain,
    sent,
)

__all__ = ["faults"]

_PROTOCOL = failed("ProtocolError", HELLO)
_NO_REPLY = failed("ProtocolError")
_SERVER = failed("ServerError", HELLO, retryable=True)


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, reply, wanted in (*_json(), *_types(), *_errors(), *_no_replies()):
        yield Fault(name, "broken", what, [reply], wanted)


_Case = tuple[str, str, ScriptedReply, Outcome]


def _json() -> Iterator[_Case]:
    for name, what, text in (
        ("cut", "a chunk that is cut", b'{"choices": [{"delta": {"content": "ne'),
        ("deep", "a chunk a hundred thousand deep", b'{"choices":' + b"[" * 100_000),
        (
            "deep_objects",
            "objects a hundred thousand deep",
            b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        ),
        ("single_quotes", "a chunk in Python's notation", b"{'choices': []}"),
        ("words", "a chunk that is words", b"upstream connect error"),
        ("comment", "a chunk with a comment in it", b'{"choices": [] /* none */}'),
        ("trailing_comma", "a chunk with a comma too many", b'{"choices": [],}'),
        ("two", "two objects in one event", b"{}{}"),
        ("control", "a raw control character in a string", b'{"choices": "\x01"}'),
        ("with_key", "a chunk that is no JSON and holds the key", b"key=" + KEY_HINT.encode()),
    ):
        yield (
            f"json_{name}",
            what,
            sent(BEGUN, b"data: %b\n\n" % text, echoes=name == "with_key"),
            _PROTOCOL,
        )
    bad = lines(chunk("a\x7fb")).replace(b"\x7f", b"\xff\xfe")
    yield (
        "json_not_utf_8",
        "bytes that are not UTF-8",
        sent(bad, lines(*END)),
        Outcome("a\ufffd\ufffdb", usage=(7, 3)),
    )
    twice = '{"choices": [{"delta": {"content": "never", "content": "Hello wörld 😀."}}]}'
    yield "json_twice", "a key twice in one object", plain(twice, *END), WHOLE
    yield (
        "json_nan",
        "NaN and Infinity",
        plain('{"choices": [], "created": NaN, "x": -Infinity}', *EVENTS),
        WHOLE,
    )
    yield (
        "json_huge_number",
        "a number of ten thousand digits",
        plain('{"choices": [], "created": %s}' % ("9" * 10_000), *EVENTS),
        _NO_REPLY,
    )
    yield (
        "json_huge_exponent",
        "a number beyond every float",
        plain(
            '{"choices": [], "usage": {"prompt_tokens": 1e999, "completion_tokens": 1}}', *EVENTS
        ),
        WHOLE,
    )


def _types() -> Iterator[_Case]:
    wrong: dict[str, Any] = {
        "chunk_as_number": 7,
        "chunk_as_list": [],
        "chunk_as_null": None,
        "chunk_as_text": "text",
        "choices_as_object": {"choices": {"delta": {}}},
        "choices_as_text": {"choices": "none"},
        "choice_as_text": {"choices": ["none"]},
        "delta_as_text": _choice(delta="text"),
        "delta_as_list": _choice(delta=[1]),
        "content_as_number": _delta(content=7),
        "content_as_object": _delta(content={"text": "x"}),
        "content_part_as_number": _delta(content=[7]),
        "refusal_as_number": _delta(refusal=7),
        "calls_as_object": _delta(tool_calls={"id": "c1"}),
        "call_as_text": _delta(tool_calls=["add"]),
        "call_id_as_number": _delta(tool_calls=[{"id": 7, "function": {"name": "add"}}]),
        "function_as_text": _delta(tool_calls=[{"function": "add"}]),
        "function_name_as_list": _delta(tool_calls=[{"function": {"name": ["add"]}}]),
    }
    for name, event in wrong.items():
        what = f"the wrong type: {name.replace('_', ' ')}"
        yield f"type_{name}", what, plain(*START, event, DONE), _PROTOCOL
    odd = {
        **chunk(),
        "id": 7,
        "model": [],
        "usage": "much",
        "choices": [{"index": "0", "delta": {"role": 7}, "finish_reason": 7, "logprobs": 7}],
    }
    yield "type_of_the_rest", "wrong types where nothing depends on it", plain(odd, *EVENTS), WHOLE


def _errors() -> Iterator[_Case]:
    def during(name: str, what: str, said: Any, kind: Outcome = _SERVER) -> _Case:
        return f"error_{name}", what, plain(*START, said, echoes=KEY_HINT in str(said)), kind

    message = "The server had an error while processing your request."
    yield (
        "error_first",
        "an error object is the first event",
        plain({"error": {"message": message}}),
        failed("ServerError", retryable=True),
    )
    yield during(
        "object",
        "an error object behind some text",
        {"error": {"message": message, "type": "server_error"}},
    )
    yield during("text", "an error that is a string", {"error": message})
    yield during(
        "of_vllm",
        "an error as vLLM sends it",
        {"object": "error", "message": message, "code": 500},
        replace(_SERVER, status_code=500),
    )
    yield during(
        "of_anthropic",
        "an error as Anthropic sends it",
        {"type": "error", "error": {"type": "api_error", "message": message}},
    )
    yield during(
        "of_openrouter",
        "an error in the choice",
        _choice(error={"code": 502, "message": "Provider returned error"}, finish_reason="error"),
        replace(_SERVER, status_code=502),
    )
    yield during(
        "of_gemini",
        "an error in a list",
        [{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}],
        replace(_SERVER, status_code=503),
    )
    yield during(
        "as_detail", "an error as FastAPI words it", {"detail": "Internal failure of the engine"}
    )
    yield during("finish", "the finish reason is error", chunk(None, "error"))
    yield during(
        "rate_limit",
        "429 in the middle",
        {"error": {"code": 429, "message": "Too many requests"}},
        failed("RateLimitError", HELLO, retryable=True, status_code=429),
    )
    yield during(
        "quota",
        "the quota ends in the middle",
        {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota."}},
        failed("QuotaExceededError", HELLO),
    )
    yield during(
        "filter",
        "a filter stops it in the middle",
        {"error": {"code": "content_filter", "message": "Stopped."}},
        failed("ContentFilterError", HELLO),
    )
    yield during(
        "length",
        "the window is full in the middle",
        {"error": {"code": "context_length_exceeded", "message": "Full."}},
        failed("ContextLengthError", HELLO),
    )
    yield during(
        "with_key",
        "an error that quotes the key",
        {"error": {"message": f"internal: bad key {KEY_HINT} at upstream"}},
    )
    yield during("empty", "an error without a word", {"error": {"message": "", "type": None}})
    yield during(
        "huge", "an error of half a megabyte", {"error": {"message": "internal " * 60_000}}
    )
    for name, what, said in (
        ("named", "an event named error with an object", b'{"error": {"message": "internal"}}'),
        ("named_text", "an event named error with words", b"internal failure"),
        (
            "named_bare",
            "an event named error with a bare object",
            b'{"message": "internal", "code": 500}',
        ),
    ):
        wanted = _SERVER if name != "named_bare" else replace(_SERVER, status_code=500)
        yield f"error_{name}", what, sent(BEGUN, b"event: error\ndata: %b\n\n" % said), wanted


def _no_replies() -> Iterator[_Case]:
    page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>{key}</body></html>"
    said = completion(HELLO)
    body = b"".join(step for step in said.steps if isinstance(step, bytes))
    cut = failed("IncompleteReplyError", retryable=True)
    yield "page", "a login page that quotes the key", answer(200, page).but(echoes=True), _NO_REPLY
    yield (
        "page_as_stream",
        "a page that calls itself a stream",
        answer(200, page, content_type="text/event-stream").but(echoes=True),
        _NO_REPLY,
    )
    yield (
        "page_in_the_stream",
        "a page behind some text",
        sent(BEGUN, b"<html><body>502 Bad Gateway</body></html>"),
        failed("IncompleteReplyError", HELLO, retryable=True),
    )
    yield (
        "text",
        "words instead of a reply",
        answer(200, b"404 page not found", content_type="text/plain"),
        _NO_REPLY,
    )
    yield "empty", "200 with an empty body", answer(200, b""), cut
    yield "spaces", "200 with white space alone", answer(200, b" \n\n "), cut
    yield "whole_cut", "one JSON object that is cut", answer(200, body[:-40]), cut
    for name, what in (
        ("object", {}),
        ("list", []),
        ("numbers", [1, 2]),
        ("other", {"data": [{"embedding": [0.1]}]}),
        ("choices_null", {"choices": None}),
        ("choices_text", {"choices": "none"}),
    ):
        yield (
            f"whole_{name}",
            f"the JSON {json.dumps(what)} instead of a reply",
            answer(200, what),
            _NO_REPLY,
        )
    yield "whole_number", "the JSON 7 instead of a reply", answer(200, b"7"), _NO_REPLY
    yield (
        "whole_error",
        "200 with an error object",
        answer(200, {"error": {"message": "internal"}}),
        failed("ServerError", retryable=True),
    )
    yield (
        "whole_deep",
        "one JSON object a hundred thousand deep",
        answer(200, b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        _NO_REPLY,
    )
    yield (
        "whole_without_choices",
        "a reply whose choices are empty",
        answer(200, {**json.loads(body), "choices": []}),
        failed("ProtocolError"),
    )


def _delta(**delta: Any) -> Any:
    return _choice(delta=delta)


def _choice(**choice: Any) -> Any:
    return {**chunk(), "choices": [{"index": 0, **choice}]}
