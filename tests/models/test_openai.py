"""The client of OpenAI's API, over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import warnings
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI
from pydantic import BaseModel

from nbagents.errors import (
    ConfigurationError,
    IncompleteReplyError,
    ProtocolError,
    RequestError,
)
from nbagents.messages import (
    CreateResult,
    FunctionCall,
    Image,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    StreamChunk,
    UserMessage,
)
from nbagents.models._client import ChatCompletionClient
from nbagents.models._openai import OpenAIChatCompletionClient
from tests.support import (
    DONE,
    HELLO,
    STOP,
    USAGE,
    Server,
    answer,
    completion,
    event,
    refusal,
    stream,
    text,
)

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
CALLS = [
    {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
]
ADD = {"name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}}}


class City(BaseModel):
    name: str
    people: int


def client_of(server: Server, **given: Any) -> OpenAIChatCompletionClient:
    given = {"model": "gpt-4o", "api_key": "test-key-1234", "max_retries": 0, **given}
    return OpenAIChatCompletionClient(base_url=server.base_url, **given)


async def events_of(server: Server, /, client: Any = None, **given: Any) -> list[Any]:
    client = client or client_of(server)
    async with client:
        return [event async for event in client.create_stream(HI, **given)]


async def test_create_returns_the_whole_reply_with_its_usage() -> None:
    with Server(answer(200, completion())) as server:
        async with client_of(server) as client:
            result = await client.create(HI)
            assert client.total_usage() == client.actual_usage() == RequestUsage(7, 3)
    assert (result.content, result.finish_reason) == ("Hello world", "stop")
    assert result.usage == RequestUsage(7, 3)
    assert (result.model, result.response_id) == ("gpt-4o-2024-08-06", "chatcmpl-1")
    assert result.latency is not None


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ("Hello", "is of type str"),
        (HI[0], "is of type UserMessage"),
        ([*HI, {"role": "user", "content": "hi"}], "holds what is of type dict"),
        ((message for message in HI), "is of type generator"),
    ],
)
@pytest.mark.parametrize("call", ["create", "create_stream"])
async def test_what_is_no_list_of_messages_is_refused_with_what_to_write(
    messages: Any, found: str, call: str
) -> None:
    with Server() as server:
        async with client_of(server) as client:
            made = client.create(messages) if call == "create" else None
            with pytest.raises(ConfigurationError) as caught:
                await (made or anext(client.create_stream(messages)))
        assert not server.requests
    assert str(caught.value) == (
        f"messages is a list: [UserMessage(content=..., source='user')]. What was given {found}."
    )


async def test_a_stream_yields_chunks_and_last_the_result() -> None:
    with Server(stream(*HELLO)) as server:
        events = await events_of(server)
    assert events[:-1] == ["Hello", " world"]
    assert all(isinstance(chunk, StreamChunk) for chunk in events[:-1])
    result = events[-1]
    assert isinstance(result, CreateResult)
    assert (result.content, result.usage) == ("Hello world", RequestUsage(7, 3))
    assert 0 < result.time_to_first_token <= result.latency


async def test_the_request_is_what_the_api_takes() -> None:
    with Server(answer(200, completion())) as server:
        async with client_of(server, temperature=0.5, extra_body={"top_k": 3}) as client:
            await client.create(HI, tools=[ADD], extra_create_args={"max_tokens": 9})
        request = server.requests[0]
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer test-key-1234"
    assert request.body == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi", "name": "ada"}],
        "temperature": 0.5,
        "max_tokens": 9,
        "top_k": 3,
        "tools": [{"type": "function", "function": {**ADD, "strict": False}}],
        "tool_choice": "auto",
    }


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_request_is_the_one_that_the_sdk_would_send(streamed: bool) -> None:
    given: dict[str, Any] = {
        "temperature": 0.5,
        "stop": ["a", "b"],
        "metadata": {"team": "é"},
        "extra_headers": {"x-team": "one"},
        "extra_query": {"trace": "1"},
        "extra_body": {"top_k": 3},
    }
    handler = stream(*HELLO) if streamed else answer(200, completion())
    with Server(handler) as server:
        async with client_of(server) as client:
            await last(client, "create_stream" if streamed else "create", extra_create_args=given)
        more = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
        async with AsyncOpenAI(api_key="test-key-1234", base_url=server.base_url) as sdk:
            await sdk.chat.completions.create(
                model="gpt-4o",
                messages=[{"role": "user", "content": "hi", "name": "ada"}],
                **given,
                **more,
            )
        ours, theirs = server.requests
    assert ours.path == theirs.path
    assert ours.body == theirs.body
    names = ours.headers.keys() | theirs.headers.keys()
    differing = {name for name in names if ours.headers.get(name) != theirs.headers.get(name)}
    assert differing == {"x-stainless-read-timeout"}


def test_any_class_with_the_methods_is_a_client_and_ours_is_one() -> None:
    assert isinstance(OpenAIChatCompletionClient(model="gpt-4o", api_key="x"), ChatCompletionClient)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {"include_usage": True}),
        ({"include_usage": True}, {"include_usage": True}),
        ({"include_usage": False}, None),
        ({"extra_create_args": {"stream_options": {"include_usage": False}}}, None),
        (
            {"extra_create_args": {"stream_options": {"include_obfuscation": False}}},
            {"include_obfuscation": False, "include_usage": True},
        ),
    ],
)
async def test_usage_is_asked_for_unless_somebody_says_no(
    given: dict[str, Any], sent: dict[str, bool] | None
) -> None:
    with Server(stream(*HELLO)) as server:
        await events_of(server, **given)
        assert server.requests[0].body.get("stream_options") == sent


async def test_a_contradiction_about_usage_is_an_error() -> None:
    args = {"stream_options": {"include_usage": True}}
    with Server(stream(*HELLO)) as server, pytest.raises(ConfigurationError, match="include_usage"):
        await events_of(server, include_usage=False, extra_create_args=args)


async def test_a_server_that_refuses_stream_options_is_asked_again_without_and_once() -> None:
    plain = stream(text("Hello"), STOP, DONE)
    with Server(refusal(400, "Unknown field: stream_options"), plain) as server:
        async with client_of(server) as client:
            results = [[e async for e in client.create_stream(HI)][-1] for _ in range(2)]
        asked = ["stream_options" in request.body for request in server.requests]
    assert asked == [True, False, False]
    assert all(result.usage.estimated for result in results)
    assert all(result.usage.prompt_tokens > 0 for result in results)
    assert all(result.usage.completion_tokens > 0 for result in results)


async def test_another_refusal_is_not_asked_again() -> None:
    with Server(refusal(400, "temperature is too high")) as server:
        with pytest.raises(RequestError, match="temperature"):
            await events_of(server)
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", ["create", "create_stream"])
async def test_a_pydantic_model_gives_a_validated_object(call: str) -> None:
    said = '{"name": "Oslo", "people": 700000}'
    handler = (
        answer(200, completion(said)) if call == "create" else stream(text(said), STOP, USAGE, DONE)
    )
    with Server(handler) as server:
        async with client_of(server) as client:
            result = await last(client, call, json_output=City)
        sent = server.requests[0].body["response_format"]
    assert result.parsed == City(name="Oslo", people=700_000)
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["strict"] is True


@pytest.mark.parametrize("call", ["create", "create_stream"])
async def test_a_reply_that_does_not_fit_the_model_is_an_error_with_the_text(call: str) -> None:
    said = '{"name": "Oslo"}'
    handler = (
        answer(200, completion(said)) if call == "create" else stream(text(said), STOP, USAGE, DONE)
    )
    with Server(handler) as server:
        async with client_of(server) as client:
            with pytest.raises(ProtocolError, match="people: Field required") as caught:
                await last(client, call, json_output=City)
            assert client.total_usage() == RequestUsage(7, 3)
    assert caught.value.partial == said


async def test_json_output_true_asks_for_a_json_object() -> None:
    with Server(answer(200, completion("{}"))) as server:
        async with client_of(server) as client:
            await client.create(HI, json_output=True)
        assert server.requests[0].body["response_format"] == {"type": "json_object"}


async def last(client: OpenAIChatCompletionClient, call: str, **given: Any) -> CreateResult:
    if call == "create":
        return await client.create(HI, **given)
    events = [event async for event in client.create_stream(HI, **given)]
    assert isinstance(events[-1], CreateResult)
    return events[-1]


SAME = {
    "text": ({"content": "Hello **world**"}, "stop"),
    "call": ({"content": None, "tool_calls": CALLS}, "tool_calls"),
    "call_and_text": ({"content": "Let me see.", "tool_calls": CALLS}, "tool_calls"),
    "call_said_to_be_stop": ({"content": "", "tool_calls": CALLS}, "stop"),
    "refusal": ({"content": None, "refusal": "I would rather not."}, "stop"),
    "filtered": ({"content": "Half"}, "content_filter"),
    "cut": ({"content": "Half"}, "length"),
    "reasoning": ({"content": "4", "reasoning_content": "2+2"}, "stop"),
    "line_separators": ({"content": "a\u2028b\u0085c\rd"}, "stop"),
}


@pytest.mark.parametrize("name", SAME)
async def test_the_same_content_gives_equal_results_streamed_or_not(name: str) -> None:
    message, finish = SAME[name]
    streamed = stream(
        *(event({key: value}) for key, value in message.items()),
        event(finish_reason=finish),
        USAGE,
        DONE,
    )
    with Server(answer(200, completion(**{**message, "finish_reason": finish})), streamed) as one:
        async with client_of(one) as client:
            results = [await last(client, call) for call in ("create", "create_stream")]
    times = {"latency": None, "time_to_first_token": None}
    assert results[0].model_copy(update=times) == results[1].model_copy(update=times)


CUTS = b"".join((text("Grüße \u2028 "), text("😀"), STOP, USAGE, DONE))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(cuts=st.lists(st.integers(1, len(CUTS) - 1), max_size=6))
def test_however_the_network_cuts_the_bytes_the_reply_is_the_same(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(CUTS)]
    pieces = [CUTS[a:b] for a, b in pairwise(edges)]

    async def ask() -> CreateResult:
        with Server(stream(*pieces)) as server:
            return (await events_of(server))[-1]

    assert asyncio.run(ask()).content == "Grüße \u2028 😀"


async def test_a_completion_that_comes_instead_of_a_stream_is_a_whole_reply() -> None:
    with Server(answer(200, completion())) as server:
        events = await events_of(server)
    assert events[0] == "Hello world"
    assert events[-1].usage == RequestUsage(7, 3)


async def test_a_login_page_is_told_for_what_it_is() -> None:
    page = answer(200, "<!doctype html><html><title>Sign in</title></html>")
    with Server(page) as server, pytest.raises(ProtocolError, match="web page"):
        await events_of(server)


@pytest.mark.parametrize("end", [(), (None,)])
async def test_a_stream_that_breaks_off_raises_with_the_text_so_far(end: tuple[None, ...]) -> None:
    with Server(stream(text("Hel"), text("lo"), 0.05, *end)) as server:
        async with client_of(server) as client:
            with pytest.raises(IncompleteReplyError) as caught:
                await last(client, "create_stream")
            usage = client.total_usage()
    assert caught.value.partial == "Hello"
    assert usage.estimated
    assert usage.completion_tokens > 0


async def test_compressed_streams_are_read() -> None:
    body = gzip.compress(b"".join(HELLO))
    handler = stream(body[:20], body[20:], **{"content-encoding": "gzip"})
    with Server(handler) as server:
        assert (await events_of(server))[-1].content == "Hello world"


async def test_calls_come_out_as_content() -> None:
    with Server(stream(event({"tool_calls": CALLS}), event(finish_reason="tool_calls"), DONE)) as s:
        result = (await events_of(s, tools=[ADD]))[-1]
    assert result.content == [FunctionCall("c1", "{}", "add")]
    assert result.finish_reason == "function_calls"


class TestArguments:
    def test_an_unknown_keyword_is_named_with_the_nearest_that_exists(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'temprature'.*'temperature'"):
            OpenAIChatCompletionClient(model="gpt-4o", api_key="x", temprature=0.5)

    def test_a_misspelt_setting_is_named_too(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'baseurl'.*'base_url'"):
            OpenAIChatCompletionClient(model="gpt-4o", api_key="x", baseurl="http://x")

    async def test_an_unknown_argument_of_a_call_is_named(self) -> None:
        client = OpenAIChatCompletionClient(model="gpt-4o", api_key="x")
        with pytest.raises(ConfigurationError, match=r"'max_token'.*'max_tokens'"):
            await client.create(HI, extra_create_args={"max_token": 3})

    @pytest.mark.parametrize("name", ["n", "stream", "messages", "functions", "function_call"])
    def test_what_goes_elsewhere_says_where(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match=f"'{name}' is not an argument here"):
            OpenAIChatCompletionClient(model="gpt-4o", api_key="x", **{name: 1})

    async def test_what_the_model_cannot_do_is_refused_before_anything_is_sent(self) -> None:
        client = OpenAIChatCompletionClient(model="gpt-3.5-turbo", api_key="x")
        picture = Image.from_bytes(b"\x89PNG\r\n\x1a\n")
        with pytest.raises(ConfigurationError, match="vision"):
            await client.create([UserMessage(content=["look", picture], source="ada")])
        with pytest.raises(ConfigurationError, match="structured_output"):
            await client.create(HI, json_output=City)

    def test_model_capabilities_is_a_deprecated_alias(self) -> None:
        older = {"vision": True, "function_calling": False, "json_output": True}
        with pytest.warns(DeprecationWarning, match="model_info") as seen:
            client = OpenAIChatCompletionClient(
                model="mine",
                api_key="x",
                model_capabilities=older,  # type: ignore[arg-type]
            )
        assert seen[0].filename == __file__
        assert client.model_info["vision"] is True
        assert client.capabilities == older

    def test_an_unknown_model_gets_one_warning_at_the_line_that_names_it(self) -> None:
        with pytest.warns(UserWarning, match="'never-heard-of-1'") as seen:
            client = OpenAIChatCompletionClient(model="never-heard-of-1", api_key="x")
        assert seen[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            OpenAIChatCompletionClient(model="never-heard-of-1", api_key="x")
        assert client.model_info["function_calling"] is True
        assert client.remaining_tokens(HI) > 30_000

    def test_capabilities_can_be_overridden(self) -> None:
        info = ModelInfo(
            vision=True,
            function_calling=False,
            json_output=False,
            family="mine",
            structured_output=False,
        )
        client = OpenAIChatCompletionClient(model="unheard-of-2", api_key="x", model_info=info)
        assert client.model_info == info


class TestKeys:
    @pytest.mark.parametrize("key", [None, "", "  "])
    def test_a_missing_key_is_one_readable_error(self, key: str | None) -> None:
        with pytest.raises(ConfigurationError, match="variable OPENAI_API_KEY"):
            OpenAIChatCompletionClient(model="gpt-4o", api_key=key)

    def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            OpenAIChatCompletionClient(model="gpt-4o", api_key="abc\ndef")
        assert "abc" not in str(caught.value)

    async def test_a_server_on_this_machine_needs_none(self) -> None:
        with Server(answer(200, completion())) as server:
            async with client_of(server, api_key=None) as client:
                assert (await client.create(HI)).content == "Hello world"

    async def test_the_key_comes_from_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
        with Server(answer(200, completion())) as server:
            async with client_of(server, api_key=None) as client:
                await client.create(HI)
            assert server.requests[0].headers["authorization"] == "Bearer from-environment"

    async def test_a_function_may_give_the_key(self) -> None:
        with Server(answer(200, completion())) as server:
            async with client_of(server, api_key=lambda: "fresh-key") as client:
                await client.create(HI)
            assert server.requests[0].headers["authorization"] == "Bearer fresh-key"

    def test_a_makers_model_goes_to_its_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigurationError, match="GEMINI_API_KEY"):
            OpenAIChatCompletionClient(model="gemini-2.5-flash")


def test_making_a_client_does_not_import_the_sdk() -> None:
    program = (
        "import sys; from nbagents.models._openai import OpenAIChatCompletionClient as C;"
        "C(model='gpt-4o', api_key='x', temperature=0);"
        "print([name for name in ('openai', 'httpx2', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_known_create_arguments_are_those_of_the_sdk() -> None:
    from inspect import signature

    from nbagents.models._arguments import CREATE_ARGUMENTS
    from nbagents.models._connections import create_method

    elsewhere = {"self", "messages", "stream", "n", "functions", "function_call"}
    assert set(signature(create_method()).parameters) - elsewhere == CREATE_ARGUMENTS
