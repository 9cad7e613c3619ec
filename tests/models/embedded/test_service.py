import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagents.models._embedded.service import MODEL, answer, cut_into_words

CHAT = "/v1/chat/completions"


def ask(question="Hello", path=CHAT, **options):
    request = {"messages": [{"role": "user", "content": question}], **options}
    return answer("POST", path, json.dumps(request).encode())


def text_of(said):
    return said.body["choices"][0]["message"]["content"]


def streamed_text(said, index=0):
    deltas = [choice for chunk in said.chunks for choice in chunk["choices"]]
    return "".join(
        choice["delta"].get("content", "") for choice in deltas if choice["index"] == index
    )


def message_of(said):
    return said.body["error"]["message"]


def test_streamed_and_whole_replies_are_equal():
    whole, streamed = ask("What does it cost?"), ask("What does it cost?", stream=True)
    assert streamed_text(streamed) == text_of(whole)
    assert streamed.chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert whole.body["model"] == MODEL


def test_the_same_request_has_the_same_answer():
    assert ask("What does it cost?", stream=True) == ask("What does it cost?", stream=True)


def test_usage_is_marked_as_estimated():
    assert ask().body["usage"] == {
        "prompt_tokens": 2,
        "completion_tokens": pytest.approx(130, abs=60),
        "total_tokens": ask().body["usage"]["completion_tokens"] + 2,
        "estimated": True,
    }


def test_a_stream_tells_its_usage_only_when_asked():
    asked = ask(stream=True, stream_options={"include_usage": True})
    assert asked.chunks[-1]["choices"] == []
    assert asked.chunks[-1]["usage"] == ask().body["usage"]
    assert all("usage" not in chunk for chunk in ask(stream=True).chunks)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_of_tokens_cuts_the_reply_and_says_so(name):
    said = ask(**{name: 10})
    assert said.body["choices"][0]["finish_reason"] == "length"
    assert 5 <= said.body["usage"]["completion_tokens"] <= 10
    assert text_of(ask()).startswith(text_of(said))


def test_a_stop_sequence_ends_the_reply():
    assert text_of(ask(stop=["zebra", " embedded"])) == "I am nbagents'"


def test_several_choices_are_alike():
    whole = ask(n=2).body
    assert [choice["index"] for choice in whole["choices"]] == [0, 1]
    streamed = ask(n=2, stream=True)
    assert streamed_text(streamed, 0) == streamed_text(streamed, 1) == text_of(ask())


def test_asked_for_json_it_answers_an_object():
    said = json.loads(text_of(ask("Hello", response_format={"type": "json_object"})))
    assert said["is_language_model"] is False


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"question": [{"type": "image_url", "image_url": {"url": "data:,"}}]}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": True}, "n"),
    ],
)
def test_what_it_cannot_do_is_refused_with_the_argument_named(options, param):
    said = ask(**options)
    assert (said.status, said.body["error"]["param"]) == (400, param)


def test_functions_that_need_not_be_called_are_no_obstacle():
    assert ask(tools=[{"type": "function"}], tool_choice="auto").status == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"messages": []}', b'{"messages": [1]}'])
def test_a_body_that_is_no_request_is_refused(body):
    assert answer("POST", CHAT, body).status == 400


def test_a_body_of_a_thousand_levels_is_answered():
    deep = b'{"messages": [{"role": "user", "content": ' + b"[" * 900 + b"]" * 900 + b"}]}"
    assert answer("POST", CHAT, deep).status in (200, 400)


def test_its_one_model_is_listed():
    assert [model["id"] for model in answer("GET", "/v1/models").body["data"]] == [MODEL]


def test_azures_paths_work():
    said = ask(path="/openai/deployments/mine/chat/completions?api-version=2024-10-21")
    assert said.status == 200


def test_other_paths_and_methods_are_refused_by_name():
    assert answer("POST", "/v1/embeddings").status == 404
    assert message_of(answer("POST", "/v1/embeddings")) == (
        "No such path here: /v1/embeddings. Try /v1/chat/completions."
    )
    assert answer("GET", CHAT).status == 405
    assert answer("POST", "/v1/models").status == 405


@given(st.text())
def test_words_joined_are_the_text(text):
    assert "".join(cut_into_words(text)) == text
