"""Legal but unusual: what the chunks of different servers look like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nbagents.testing._script import chunk
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    DONE,
    END,
    EVENTS,
    HELLO,
    SAID,
    START,
    STOP,
    USAGE,
    WHOLE,
    plain,
)

__all__ = ["faults"]

_THOUGHT = Outcome(HELLO, thought="Let me see.", usage=(7, 3))


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, events, wanted in (
        *_servers(),
        *_reasoning(),
        *_usage(),
        *_choices(),
        *_absent(),
        *_signs(),
    ):
        yield Fault(name, "legal", what, [plain(*events)], wanted)


_Case = tuple[str, str, list[Any], Outcome]


def _servers() -> Iterator[_Case]:
    safe = {"hate": {"filtered": False, "severity": "safe"}}
    prompt = [{"prompt_index": 0, "content_filter_results": safe}]
    first = {**chunk(), "choices": [], "prompt_filter_results": prompt, "id": "", "model": ""}
    marked = [_with(each, content_filter_results=safe) for each in START]
    filters = {"content_filter_offsets": {"check_offset": 3}, "content_filter_results": safe}
    late = {**chunk(), "choices": [{"index": 0, "finish_reason": None, **filters}]}
    yield (
        "azure",
        "filter results before, in and between the chunks",
        [first, *marked, late, *END],
        WHOLE,
    )
    yield (
        "openrouter",
        "a provider's name, native reasons, and usage with its cost on the finish chunk",
        [
            *({**each, "provider": "Acme"} for each in START),
            {
                **_with(STOP, native_finish_reason="STOP"),
                "usage": {**USAGE, "cost": 1e-5, "is_byok": False},
            },
            DONE,
        ],
        WHOLE,
    )
    yield (
        "vllm",
        "usage on every chunk, stop_reason beside finish_reason",
        [
            *(
                {
                    **each,
                    "usage": {"prompt_tokens": 7, "completion_tokens": n, "total_tokens": 7 + n},
                }
                for n, each in enumerate([*START, _with(STOP, stop_reason=None)])
            ),
            DONE,
        ],
        WHOLE,
    )
    yield (
        "ollama",
        "role and content in every chunk, the last one empty",
        [
            *(
                _delta(role="assistant", content=each, system_fingerprint="fp")
                for each in ("Hello ", "wörld 😀.")
            ),
            _with(_delta(role="assistant", content=""), finish_reason="stop"),
            {**chunk(), "choices": [], "usage": USAGE},
            DONE,
        ],
        WHOLE,
    )
    yield (
        "gemini",
        "no created, no index, usage without completion tokens in each chunk",
        [
            *(
                {
                    "choices": [{"delta": {"content": each, "role": "assistant"}}],
                    "model": "gemini",
                    "usage": {"prompt_tokens": 7, "total_tokens": 10},
                }
                for each in ("Hello ", "wörld 😀.")
            ),
            {"choices": [{"delta": {"role": "assistant"}, "finish_reason": "stop"}]},
            DONE,
        ],
        WHOLE,
    )
    yield (
        "llama_cpp",
        "content null at first, timings at the end",
        [
            _delta(role="assistant", content=None),
            *START[1:],
            {**STOP, "timings": {"prompt_n": 7}},
            {**chunk(), "choices": [], "usage": USAGE},
            DONE,
        ],
        WHOLE,
    )
    yield (
        "mistral",
        "content as a list of parts",
        [
            _delta(content=[{"type": "text", "text": "Hello "}, "wörld"]),
            _delta(content=[{"type": "text", "text": " 😀."}]),
            *END,
        ],
        WHOLE,
    )
    yield (
        "perplexity",
        "the whole message so far beside each delta, and citations",
        [
            {
                **_with(each, message={"role": "assistant", "content": "Hello"}),
                "citations": ["https://example.org"],
            }
            for each in START
        ]
        + [*END],
        WHOLE,
    )


def _reasoning() -> Iterator[_Case]:
    for name, what, key in (
        ("reasoning_content", "reasoning as vLLM and DeepSeek send it", "reasoning_content"),
        ("reasoning", "reasoning as OpenRouter and Ollama send it", "reasoning"),
    ):
        thoughts = [_delta(**{key: each, "content": None}) for each in ("Let me ", "see.")]
        yield name, what, [*thoughts, *EVENTS], _THOUGHT
    details = [{"type": "reasoning.text", "text": "Let me see."}]
    both = _delta(reasoning="Let me see.", reasoning_details=details, content="")
    yield "reasoning_twice", "reasoning under two names at once", [both, *EVENTS], _THOUGHT
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}]}]
    yield (
        "reasoning_in_parts",
        "reasoning as a part of the content",
        [_delta(content=parts), *EVENTS],
        _THOUGHT,
    )


def _usage() -> Iterator[_Case]:
    alone = {**chunk(), "choices": [], "usage": USAGE}
    zeros = {**alone, "usage": dict.fromkeys(USAGE, 0)}
    half: dict[str, Any] = {"prompt_tokens": 7}
    odd = {"prompt_tokens": "7", "completion_tokens": -3}
    for name, what, end in (
        ("usage_before_the_end", "usage in a chunk before the finish reason", (alone, STOP)),
        ("usage_on_the_end", "usage on the finish chunk", ({**STOP, "usage": USAGE},)),
        (
            "usage_in_the_choice",
            "usage inside the choice, as Moonshot sends it",
            (_with(STOP, usage=USAGE),),
        ),
        (
            "usage_of_groq",
            "usage in x_groq",
            ({**STOP, "x_groq": {"id": "1", "usage": USAGE}},),
        ),
        ("usage_zero_at_last", "zeros after the real usage", (*END[:-1], zeros)),
    ):
        yield name, what, [*START, *end, DONE], WHOLE
    yield (
        "usage_at_first",
        "usage in the first chunk",
        [{**START[0], "usage": USAGE}, *START[1:], STOP, DONE],
        WHOLE,
    )
    for name, what, end in (
        ("no_usage", "nobody reports usage", (STOP,)),
        ("usage_half", "usage of the prompt alone", ({**STOP, "usage": half},)),
        ("usage_odd", "usage that is no usage", ({**STOP, "usage": odd},)),
    ):
        yield name, what, [*START, *end, DONE], SAID
    yield (
        "usage_null",
        "usage is null in every chunk",
        [*({**each, "usage": None} for each in (*START, STOP)), DONE],
        SAID,
    )


def _choices() -> Iterator[_Case]:
    other = {"index": 1, "delta": {"content": "never"}, "finish_reason": "stop"}
    for name, what, choices in (
        ("second_choice", "another choice in chunks of its own", [other]),
        ("empty_choices", "chunks without choices between the others", []),
        ("choices_null", "choices is null in a chunk", None),
    ):
        yield name, what, [*START, {**chunk(), "choices": choices}, *END], WHOLE
    yield (
        "two_choices_a_chunk",
        "another choice before the first in every chunk",
        [*({**each, "choices": [other, *each["choices"]]} for each in START), *END],
        WHOLE,
    )


def _absent() -> Iterator[_Case]:
    bare = [{"choices": [{"delta": {"content": each}}]} for each in ("Hello ", "wörld 😀.")]
    end = {"choices": [{"finish_reason": "stop"}], "usage": USAGE}
    yield "bare_chunks", "no id, object, model, role or index", [*bare, end, DONE], WHOLE
    yield "no_role", "no chunk says a role", [*START[1:], *END], WHOLE
    yield "null_delta", "a delta that is null", [*START, _with(chunk(), delta=None), *END], WHOLE
    yield (
        "null_everything",
        "every field of a delta is null",
        [
            _delta(
                role=None,
                content=None,
                tool_calls=None,
                refusal=None,
                function_call=None,
                audio=None,
            ),
            *EVENTS,
        ],
        WHOLE,
    )
    yield (
        "unknown_parts",
        "fields that no standard knows, of all types",
        [*({**each, "x": [{}], "object": 7} for each in START), _delta(y={"z": [1]}), *END],
        WHOLE,
    )
    yield (
        "model_changes",
        "another id and model in each chunk",
        [*({**each, "id": f"c{n}", "model": f"m{n}"} for n, each in enumerate(START)), *END],
        WHOLE,
    )


def _signs() -> Iterator[_Case]:
    def said(text: str, *events: Any) -> tuple[list[Any], Outcome]:
        return [*(events or (chunk(text),)), *END], Outcome(text, usage=(7, 3))

    half = json.dumps(chunk("\ud83d"))
    yield "escapes", "every letter is escaped", *said("Hé\u2028😀", json.dumps(chunk("Hé\u2028😀")))
    yield (
        "split_surrogates",
        "an emoji whose halves come in two chunks",
        *said("a😀b", chunk("a"), half, json.dumps(chunk("\ude00b"))),
    )
    yield (
        "lone_surrogate",
        "half an emoji, and never the other",
        *said("a\ufffdb", chunk("a"), half, chunk("b")),
    )
    yield (
        "half_at_the_end",
        "half an emoji at the end of the reply",
        *said("a\ufffd", chunk("a"), half),
    )
    yield (
        "line_separators",
        "raw U+2028, U+2029, U+0085, VT and FF",
        *said("a\u2028b\u2029c\u0085d", chunk("a\u2028b\u2029c\u0085d")),
    )
    yield "nul", "a NUL inside the text", *said("a\0b")
    yield (
        "data_in_the_text",
        "the text looks like an event stream",
        *said("data: [DONE]\n\ndata: {}\n\n: x"),
    )
    yield (
        "escaped_slash",
        "a slash that is escaped",
        *said("</script>", json.dumps(chunk("</script>")).replace("/", "\\/")),
    )
    yield (
        "right_to_left",
        "bidirectional and invisible characters",
        *said("\u202eabc\u202c \u200b\u05e9\u05dc\u05d5\u05dd"),
    )


def _delta(**delta: Any) -> Any:
    return _with(chunk(), delta=delta)


def _with(event: Any, **choice: Any) -> Any:
    return {**event, "choices": [{**event["choices"][0], **choice}]}
