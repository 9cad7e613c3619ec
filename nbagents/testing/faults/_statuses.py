"""Answers that are no 200: every status, and every word on when to come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nbagents.testing._script import ScriptedReply, error
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    KEY_HINT,
    answer,
    failed,
)

__all__ = ["faults"]

_KINDS = {
    401: "AuthenticationError",
    402: "QuotaExceededError",
    403: "AuthenticationError",
    404: "ModelNotFoundError",
    408: "RequestTimeoutError",
    413: "ContextLengthError",
    429: "RateLimitError",
    504: "RequestTimeoutError",
}
# fmt: off
_CLIENT = (
    400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 413, 414, 415, 418, 421, 422, 423, 424,
    425, 426, 428, 429, 431, 451, 499,
)
# fmt: on
_SERVER = (500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 521, 522, 524, 529, 598, 599)


def faults() -> Iterator[Fault]:
    """All of this module."""
    for status in (*_CLIENT, *_SERVER):
        what = f"{status} with an error object"
        yield _one(f"status_{status}", what, error(status, "It did not work."), _of(status))
    for name, what, reply, wanted in (
        *_waits(),
        *_meanings(),
        *_azure(),
    ):
        yield _one(name, what, reply, wanted)


def _one(name: str, what: str, reply: ScriptedReply, wanted: Outcome) -> Fault:
    return Fault(name, "status", what, [reply], wanted)


def _of(status: int, kind: str = "", **more: Any) -> Outcome:
    kind = kind or _KINDS.get(status) or ("ServerError" if status >= 500 else "BadRequestError")
    retryable = kind in ("RateLimitError", "RequestTimeoutError", "ServerError")
    return failed(kind, retryable=retryable, status_code=status, **more)


_Case = tuple[str, str, ScriptedReply, Outcome]


def _waits() -> Iterator[_Case]:
    past, future = "Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 99999 23:59:59 GMT"
    forms = (
        ("seconds", {"retry-after": "7"}, 7.0),
        ("decimals", {"retry-after": "0.5"}, 0.5),
        ("milliseconds", {"retry-after-ms": "1500"}, 1.5),
        ("zero", {"retry-after": "0"}, 0.0),
        ("negative", {"retry-after": "-5"}, 0.0),
        ("past_date", {"retry-after": past}, 0.0),
        ("impossible_date", {"retry-after": future}, None),
        ("an_hour", {"retry-after": "3600"}, 3600.0),
        ("for_ever", {"retry-after": "inf"}, None),
        ("too_many_digits", {"retry-after": "9" * 400}, None),
        ("nan", {"retry-after": "nan"}, None),
        ("words", {"retry-after": "soon"}, None),
        ("nothing", {"retry-after": ""}, None),
    )
    for name, headers, seconds in forms:
        for status in (429, 503) if name == "seconds" else (429,):
            wanted = _of(status, retry_after=seconds if status == 429 else None)
            what = f"{status} with {', '.join(f'{n}: {v[:30]}' for n, v in headers.items())}"
            yield (
                f"wait_{name}_{status}",
                what,
                error(status, "Slow down.", headers=headers),
                wanted,
            )
    for name, said, seconds in (
        ("said_in_seconds", "Please try again in 20s.", 20.0),
        ("said_in_milliseconds", "Please try again in 250ms.", 0.25),
        ("said_in_words", "Retry after 59 seconds.", 59.0),
    ):
        reply = error(429, f"Rate limit reached. {said}", code="rate_limit_exceeded")
        yield f"wait_{name}", f"429: {said}", reply, _of(429, retry_after=seconds)


def _meanings() -> Iterator[_Case]:
    quota = "You exceeded your current quota, please check your plan and billing details."
    long = "This model's maximum context length is 8192 tokens, however you requested 9000."
    model = "The model `gpt-9` does not exist or you do not have access to it."
    yield (
        "quota",
        "429 for an account that is empty",
        error(429, quota, code="insufficient_quota", headers={"retry-after": "1"}),
        _of(429, "QuotaExceededError", retry_after=1.0),
    )
    yield (
        "context_length",
        "400 for a prompt that is too long",
        error(400, long, code="context_length_exceeded"),
        _of(400, "ContextLengthError"),
    )
    yield (
        "context_length_of_vllm",
        "the same as vLLM words it",
        answer(400, {"object": "error", "message": long, "type": "BadRequestError", "code": 400}),
        _of(400, "ContextLengthError"),
    )
    yield (
        "model_unknown",
        "404 for a model that is not there",
        error(404, model, code="model_not_found"),
        _of(404),
    )
    yield (
        "model_unknown_to_ollama",
        "the same as Ollama words it",
        answer(404, {"error": 'model "gpt-9" not found, try pulling it first'}),
        _of(404),
    )
    yield (
        "key_unknown",
        "401 that quotes the key",
        error(401, f"Incorrect API key provided: {KEY_HINT}.", code="invalid_api_key").but(
            echoes=True
        ),
        _of(401),
    )
    yield (
        "key_of_gemini",
        "Gemini's list with one error",
        answer(
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid.",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
        ),
        _of(400),
    )
    yield (
        "overloaded",
        "529 as Anthropic words it",
        answer(
            529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        ),
        _of(529),
    )
    yield (
        "validation",
        "422 with FastAPI's list of details",
        answer(
            422, {"detail": [{"loc": ["body", "n"], "msg": "field required", "type": "missing"}]}
        ),
        _of(422),
    )


def _azure() -> Iterator[_Case]:
    filtered = {"hate": {"filtered": True, "severity": "high"}}
    policy = {
        "code": "content_filter",
        "status": 400,
        "param": "prompt",
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's "
        "content management policy.",
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": filtered},
    }
    gone = {
        "code": "DeploymentNotFound",
        "message": "The API deployment for this resource does not exist.",
    }
    yield (
        "azure_filter",
        "400 by Azure's content filter",
        answer(400, {"error": policy}),
        _of(400, "ContentFilterError", says="hate"),
    )
    yield (
        "azure_deployment",
        "404 for a deployment that is not there",
        answer(404, {"error": gone}),
        _of(404),
    )
    yield (
        "azure_resource",
        "404 for a path that is not there",
        answer(404, {"error": {"code": "404", "message": "Resource not found"}}),
        _of(404),
    )
    yield "azure_version", "404 without any body", answer(404, b""), _of(404)
    yield (
        "azure_key",
        "401 without an error object",
        answer(
            401,
            {
                "statusCode": 401,
                "message": "Access denied due to invalid subscription key or wrong API endpoint.",
            },
        ),
        _of(401),
    )
    yield (
        "azure_busy",
        "429 with both headers",
        error(
            429,
            "Requests to ChatCompletions_Create have exceeded the call rate limit of your tier. "
            "Please retry after 9 seconds.",
            code="429",
            headers={"retry-after": "9", "retry-after-ms": "8500"},
        ),
        _of(429, retry_after=8.5),
    )
