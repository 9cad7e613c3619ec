"""Messages: they survive JSON, and show themselves."""

from __future__ import annotations

import base64
import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from nbagents.errors import ConfigurationError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    Image,
    LLMMessage,
    ModelFamily,
    RequestUsage,
    StreamChunk,
    SystemMessage,
    UserMessage,
    validate_model_info,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MESSAGES: list[LLMMessage] = [
    SystemMessage(content="Be brief."),
    UserMessage(content=["Look:", Image.from_bytes(PNG)], source="ada"),
    AssistantMessage(content=[FunctionCall("1", '{"x": 1}', "f")], thought="Hm.", source="tutor"),
    FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="2", name="f", call_id="1", is_error=False)]
    ),
    AssistantMessage(content="Two.", source="tutor"),
]
EVERY_MESSAGE = TypeAdapter(list[LLMMessage])
COUNTS = st.none() | st.integers(0, 10**9)
USAGES = st.builds(
    RequestUsage, st.integers(0, 10**9), st.integers(0, 10**9), COUNTS, COUNTS, st.booleans()
)


def _result(**changes: object) -> CreateResult:
    fields = {
        "finish_reason": "stop",
        "content": "**Two.**",
        "usage": RequestUsage(1200, 3),
        "cached": False,
        "model": "gpt-4o",
        "latency": 1.234,
    }
    return CreateResult(**{**fields, **changes})  # type: ignore[arg-type]


def test_messages_come_back_from_json_as_they_went() -> None:
    assert EVERY_MESSAGE.validate_json(EVERY_MESSAGE.dump_json(MESSAGES)) == MESSAGES


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_every_message_shows_who_said_what(message: LLMMessage) -> None:
    bundle = message._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/markdown", "text/plain"}
    label = {"SystemMessage": "system", "UserMessage": "user · ada"}.get(message.type, "t")
    assert label in bundle["text/plain"]


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
    ],
)
def test_an_image_is_sent_as_the_bytes_it_was_made_of(head: bytes, media_type: str) -> None:
    image = Image.from_bytes(head + b"rest")
    part = image.to_openai_format("low")
    encoded = base64.b64encode(head + b"rest").decode()
    assert part == {
        "type": "image_url",
        "image_url": {"url": f"data:{media_type};base64,{encoded}", "detail": "low"},
    }
    assert Image.from_uri(image.data_uri) == image


@pytest.mark.parametrize("uri", ["https://example.org/a.png", "file:///etc/passwd", "a.png"])
def test_an_image_address_is_never_fetched(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="from_file"):
        Image.from_uri(uri)


def test_bytes_that_are_no_image_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not a PNG"):
        Image.from_bytes(b"<svg onload=alert(1)>")


def test_an_image_goes_to_pillow_and_back() -> None:
    picture = Image.from_bytes(PNG).image
    assert picture.size == (1, 1)
    assert Image(picture).media_type == "image/png"


@given(USAGES, USAGES, USAGES)
def test_usages_add_up_in_any_order(a: RequestUsage, b: RequestUsage, c: RequestUsage) -> None:
    assert (a + b) + c == a + (b + c) == sum([c, b, a])
    assert (a + b).total_tokens == a.total_tokens + b.total_tokens


def test_unknown_counts_stay_unknown_until_one_is_known() -> None:
    nothing = RequestUsage(1, 1)
    assert (nothing + nothing).cached_tokens is None
    assert (nothing + RequestUsage(1, 1, cached_tokens=5)).cached_tokens == 5


def test_a_chunk_is_a_string_that_knows_its_kind() -> None:
    chunk = StreamChunk("hm", "reasoning")
    assert chunk == "hm"
    copies = [pickle.loads(pickle.dumps(chunk)), copy.deepcopy(chunk)]
    assert [(kept, kept.kind) for kept in copies] == [("hm", "reasoning")] * 2


def test_a_result_never_changes() -> None:
    with pytest.raises(ValidationError):
        _result().content = "Three."  # type: ignore[misc]


def test_a_result_shows_its_text_and_one_line_of_usage_and_cost() -> None:
    bundle = _result(thought="I counted.")._repr_mimebundle_()
    assert bundle["text/plain"] == "**Two.**\n\ngpt-4o · 1,200 → 3 tokens · $0.0030"
    assert "<strong>Two.</strong>" in bundle["text/html"]
    assert "<details>" in bundle["text/html"]


def test_the_seconds_are_shown_to_a_person_and_left_out_where_outputs_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    monkeypatch.delenv("NBAGENTS_RENDER", raising=False)
    assert "1.2 s" in _result()._repr_mimebundle_()["text/plain"]
    monkeypatch.setenv("NBAGENTS_RENDER", "final")
    assert "1.2 s" not in _result()._repr_mimebundle_()["text/plain"]
    assert "1.234" not in repr(_result())


def test_a_result_of_calls_shows_each_call() -> None:
    calls = [FunctionCall("1", '{"city":"Ulm"}', "weather"), FunctionCall("2", "{cut", "f")]
    result = _result(content=calls, finish_reason="function_calls")
    assert str(result) == 'weather({"city":"Ulm"})\nf({cut)'
    bundle = result._repr_mimebundle_()
    assert "calls weather(city='Ulm')\ncalls f('{cut')" in bundle["text/plain"]
    assert bundle["text/html"].count("<details>") == 2
    assert "Ulm" in bundle["text/html"]


def test_a_refusal_is_shown_and_marked() -> None:
    result = _result(content="", refusal="I cannot help with that.")
    assert (result.status, str(result)) == ("refused", "I cannot help with that.")
    assert "refused" in result._repr_mimebundle_()["text/plain"]


def test_an_unknown_price_is_left_out_and_an_estimate_is_marked() -> None:
    usage = RequestUsage(1, 2, estimated=True)
    shown = _result(model="my-own", usage=usage)._repr_mimebundle_()["text/plain"]
    assert shown.endswith("my-own · 1 → 2 tokens · estimated")


def test_a_result_says_what_it_cost() -> None:
    # 1,200 tokens at $2.50 and 3 at $10 a million.
    assert _result().cost == pytest.approx(0.00303)
    assert _result(cached=True).cost == 0
    assert _result(model="my-own").cost is None


def test_a_result_becomes_one_row_of_a_frame() -> None:
    frame = _result().to_frame()
    assert frame["cost"].tolist() == [_result().cost]
    assert frame["prompt_tokens"].tolist() == [1200]
    assert frame["cached_tokens"].isna().tolist() == [True]


def test_model_families_are_a_namespace() -> None:
    with pytest.raises(TypeError, match="namespace"):
        ModelFamily()
    assert ModelFamily.is_openai(ModelFamily.GPT_5)
    assert not ModelFamily.is_openai(ModelFamily.R1)


def test_a_model_info_that_lacks_a_key_is_told_which() -> None:
    with pytest.raises(ConfigurationError, match="'vision'"):
        validate_model_info({"family": "unknown"})


def test_a_source_that_is_the_role_itself_is_said_once() -> None:
    shown = UserMessage(content="Hi", source="user")._repr_mimebundle_()["text/plain"]
    assert shown == "Hi\n\nuser"
