from __future__ import annotations

from typing import Any

import pytest

from nbagents.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    ModelNotFoundError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    RequestTimeoutError,
    ServerError,
)
from tests.models.wire.replies import chunk, failure


@pytest.mark.parametrize(
    "shape",
    [
        {"error": {"message": "Too many requests", "type": "requests", "code": "rate_limit"}},
        {"error": "Too many requests"},
        {"object": "error", "message": "Too many requests", "type": "TooMany", "code": 429},
        {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}},
        {"detail": "Too many requests"},
        {"message": "Too many requests", "code": 429},
        {"choices": [{"delta": {"content": ""}, "error": {"code": 429, "message": "no"}}]},
        {"error": {"code": "429"}, "choices": [{"delta": {}, "finish_reason": "error"}]},
    ],
)
def test_each_shape_is_an_error_with_the_text_so_far(shape: Any) -> None:
    error = failure(chunk(content="Hel"), shape)
    assert (type(error), error.partial, error.retryable) == (RateLimitError, "Hel", True)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"code": "insufficient_quota", "message": "You exceeded it"}, QuotaExceededError),
        ({"code": 402, "message": "Insufficient credits"}, QuotaExceededError),
        ({"code": "context_length_exceeded", "message": "Too long"}, ContextLengthError),
        ({"message": "This model's maximum context length is 8192."}, ContextLengthError),
        ({"code": "content_filter", "message": "Filtered", "status": 400}, ContentFilterError),
        ({"message": "Incorrect API key provided"}, AuthenticationError),
        ({"code": 403, "message": "Not for you"}, AuthenticationError),
        ({"code": "model_not_found", "message": "None such"}, ModelNotFoundError),
        ({"message": "Gateway timeout"}, RequestTimeoutError),
        ({"type": "overloaded_error", "message": "Overloaded"}, ServerError),
        ({"code": 503, "message": "?"}, ServerError),
        ({"type": "invalid_request_error", "message": "Bad"}, BadRequestError),
        ({"code": 429, "message": "context window of others"}, RateLimitError),
        ({}, ServerError),
        ("whatever", ServerError),
        (["whatever"], ServerError),
        (True, ServerError),
    ],
)
def test_the_class_is_what_the_server_describes(said: Any, kind: type[RequestError]) -> None:
    assert type(failure({"error": said or {"x": 1}})) is kind


def test_the_message_is_one_line_without_secrets() -> None:
    said = "Key sk-proj-abcdefghijkl****wxyz\nis\x1b[31m wrong " + "x" * 9_000
    error = failure({"error": {"message": said}})
    assert str(error).startswith("The server says: Key *** is[31m wrong xxx")
    assert len(str(error)) <= 500
