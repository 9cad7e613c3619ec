from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagents.errors import (
    IncompleteReplyError,
    NbAgentsError,
    ProtocolError,
    RateLimitError,
    RequestError,
    ServerError,
)
from nbagents.messages import CreateResult, StreamChunk
from nbagents.models._wire.reader import ReplyReader, read_completion
from nbagents.models._wire.reply import ReplyBuilder


def event(chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def said(content: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return event({"choices": [choice]})


def read(*chunks: bytes, **settings: Any) -> tuple[list[StreamChunk], CreateResult]:
    builder = ReplyBuilder()
    reader = ReplyReader(builder, **settings)
    shown = [piece for chunk in chunks for piece in reader.feed(chunk)]
    shown += reader.close()
    return shown, builder.result()


def outcome(*chunks: bytes) -> tuple[str, str, Any]:
    """The text shown, and how it ended: comparable, and never an error that is not ours."""
    builder = ReplyBuilder()
    reader = ReplyReader(builder, max_line=10_000)
    shown = ""
    try:
        for chunk in chunks:
            for piece in reader.feed(chunk):
                shown += piece
        for piece in reader.close():
            shown += piece
        return shown, builder.status, builder.result()
    except NbAgentsError as error:
        return shown, type(error).__name__, str(error)


def failure(*chunks: bytes, **settings: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(*chunks, **settings)
    assert len(str(caught.value)) <= 500
    assert "\n" not in str(caught.value)
    return caught.value


COMPLETION = {
    "id": "c1",
    "model": "m",
    "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}

STREAMS = {
    "complete": said("Hel") + said("lo 😀", "stop") + b"data: [DONE]\n\n",
    "comments": b": wait\n\n: wait\n\n" + said("Hi", "stop") + b": bye\n\ndata: [DONE]\n\n",
    "cut": said("Hel") + said("lo"),
    "cut in a chunk": said("Hel") + b'data: {"choices": [{"del',
    "done without a reason": said("Hi") + b"data: [DONE]\n\n",
    "done without line end": said("Hi") + b"data: [DONE]",
    "something after done": said("Hi") + b"data: [DONE]\n\ndata: {bad\n\n" + b"x" * 20_000,
    "a line too long after done": said("Hi") + b"data: [DONE]\n\n" + b"x" * 20_000,
    "an error inside": said("Hel") + event({"error": {"message": "Rate limit", "code": 429}}),
    "an event named error": said("Hel") + b"event: error\ndata: overloaded\n\n",
    "not JSON": said("Hel") + b"data: {oops}\n\n" + said("lo", "stop"),
    "JSON too deep": said("Hel") + b"data: " + b"[" * 5_000 + b"\n\n",
    "a line too long": said("Hel") + b"data: " + b"x" * 20_000 + b"\n\n",
    "split surrogates": said("a\ud83d") + said("\ude00b", "stop"),
    "invalid UTF-8": b'data: {"choices":[{"delta":{"content":"\xff"},"finish_reason":"stop"}]}\n\n',
    "a whole completion": json.dumps(COMPLETION, indent=1).encode(),
    "a whole completion after a BOM": b"\xef\xbb\xbf\n " + json.dumps(COMPLETION).encode(),
    "a completion that is cut": json.dumps(COMPLETION).encode()[:-20],
    "an error object": b'{"error": {"message": "The server had an error"}}',
    "HTML": b"<!doctype html><title>Login</title>",
    "plain words": b"upstream connect error",
    "nothing": b"",
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_every_cut_gives_the_same_outcome(stream: bytes) -> None:
    whole = outcome(stream)
    for cut in range(min(len(stream), 400)):
        assert outcome(stream[:cut], stream[cut:]) == whole


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from([said("a"), said("é😀\u2028", "stop"), *STREAMS.values()]), max_size=4
    ),
    st.lists(st.integers(0, 1_000), max_size=6),
)
def test_any_chunking_of_any_streams_gives_the_same_outcome(
    streams: list[bytes], cuts: list[int]
) -> None:
    body = b"".join(streams)
    marks = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    assert outcome(*(body[start:end] for start, end in pairwise(marks))) == outcome(body)


@given(st.binary(max_size=300))
def test_random_bytes_end_in_a_result_or_a_typed_error(body: bytes) -> None:
    outcome(body)
    outcome(said("x") + body)


def test_text_is_shown_before_the_error_that_follows_it_in_the_same_bytes() -> None:
    assert outcome(STREAMS["an error inside"])[:2] == ("Hel", "RateLimitError")


def test_a_stream_that_ends_before_its_end_is_incomplete() -> None:
    error = failure(STREAMS["cut"])
    assert (type(error), error.partial) == (IncompleteReplyError, "Hello")


def test_a_finish_reason_without_done_is_complete() -> None:
    assert read(said("Hi", "stop"))[1].finish_reason == "stop"


def test_done_without_a_finish_reason_is_complete_and_unknown() -> None:
    result = read(STREAMS["done without a reason"])[1]
    assert (result.content, result.finish_reason) == ("Hi", "unknown")


def test_done_without_a_line_end_counts() -> None:
    assert read(STREAMS["done without line end"])[1].content == "Hi"


def test_what_follows_done_is_not_read() -> None:
    builder = ReplyBuilder()
    reader = ReplyReader(builder)
    assert "".join(reader.feed(STREAMS["something after done"])) == "Hi"
    assert reader.done
    assert list(reader.feed(b"data: {\n\n")) == []


def test_raw_line_separators_inside_json_are_content() -> None:
    chunk = '{"choices":[{"delta":{"content":"a\u2028b\u0085c"},"finish_reason":"stop"}]}'
    assert read(f"data: {chunk}\n\n".encode())[1].content == "a\u2028b\u0085c"


def test_an_emoji_cut_in_two_chunks_is_whole() -> None:
    shown, result = read(STREAMS["split surrogates"])
    assert (shown, result.content) == (["a", "😀b"], "a😀b")


def test_an_event_named_error_is_an_error_whatever_its_data() -> None:
    error = failure(STREAMS["an event named error"])
    assert (type(error), error.partial) == (ServerError, "Hel")
    assert str(error).startswith("The server says: overloaded. Run it again")
    named = b'event: error\ndata: {"code": 429, "message": "slow down"}\n\n'
    assert type(failure(named)) is RateLimitError


def test_a_chunk_that_is_not_json_is_a_protocol_error_that_shows_it() -> None:
    error = failure(STREAMS["not JSON"])
    assert (type(error), error.partial) == (ProtocolError, "Hel")
    assert "{oops}" in str(error)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"choices":['])
def test_json_that_is_too_deep_is_a_protocol_error(opening: bytes) -> None:
    assert type(failure(b"data: " + opening * 100_000 + b"\n\n")) is ProtocolError


def test_a_line_that_is_too_long_keeps_the_text_before_it() -> None:
    error = failure(STREAMS["a line too long"], max_line=10_000)
    assert (type(error), error.partial) == (ProtocolError, "Hel")


def test_a_server_that_does_not_stream_is_read_all_the_same() -> None:
    shown, result = read(STREAMS["a whole completion"])
    assert (shown, result) == (["Hi"], read(STREAMS["a whole completion after a BOM"])[1])


def test_a_page_of_html_is_told_for_what_it_is() -> None:
    error = failure(STREAMS["HTML"])
    assert type(error) is ProtocolError
    assert str(error).startswith("The server answered with a web page, not with a reply: <!doctype")


def test_other_text_is_told_for_what_it_is() -> None:
    assert "is not a chat completion: upstream connect error" in str(
        failure(b"upstream connect error")
    )


def test_a_completion_that_is_cut_is_incomplete() -> None:
    assert type(failure(STREAMS["a completion that is cut"])) is IncompleteReplyError


def test_an_answer_that_is_no_stream_has_a_limit() -> None:
    assert "1,000 bytes" in str(failure(b"{" + b" " * 600, b" " * 600, max_line=1_000))


def test_an_error_in_a_whole_body_is_that_error() -> None:
    assert type(failure(b'[{"error": {"code": 429, "message": "Too fast"}}]')) is RateLimitError


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b'{"choices": 1}', b"<p>", b"hello"])
def test_a_body_that_is_no_completion_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_completion(ReplyBuilder(), body)


def test_a_key_in_a_strange_answer_is_masked() -> None:
    assert "sk-abc" not in str(failure(b"no such key sk-abcdefghijklmnop"))
