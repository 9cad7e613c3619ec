"""A reply that quotes the key it was asked for with is shown without it."""

from __future__ import annotations

import base64
import pickle
from itertools import pairwise
from time import process_time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from nbagents._keys import Secret
from nbagents.errors import ConfigurationError, IncompleteReplyError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    Image,
    LLMMessage,
    RequestUsage,
    StreamChunk,
    SystemMessage,
    UserMessage,
)
from nbagents.models._openai import OpenAIChatCompletionClient
from nbagents.models._veil import Veil
from nbagents.tools import FunctionTool
from tests.support import DONE, STOP, Handler, Server, answer, completion, event, stream, text

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
KEY = "sk-canary-1234-abcdefgh"
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
LETTERS = base64.b64encode(KEY.encode()).decode()[:-2]


def shown(*pieces: str) -> str:
    veil = Veil([Secret(KEY)])
    seen = [part for piece in pieces for part in veil.see(StreamChunk(piece))]
    return "".join([*seen, *veil.rest()])


def sent_of(veil: Veil, said: str) -> str:
    """What is sent of a message."""
    request = veil.sent({"messages": [{"role": "user", "content": said}]})
    return str(request["messages"][0]["content"])


@example([15], KEY)
@example([13, 14, 15, 16, 17, 18], KEY)
@given(st.lists(st.integers(0, 60), max_size=8), st.sampled_from([KEY, LETTERS]))
def test_a_key_is_hidden_however_it_is_cut(cuts: list[int], form: str) -> None:
    whole = f"Your key is {form}, sk- or so."
    places = sorted({0, *cuts, len(whole)})
    pieces = [whole[a:b] for a, b in pairwise(places)]
    said = shown(*pieces)
    # Of a key that is cut, so few characters may have been seen that nothing is told by them.
    assert form[4:] not in said
    assert said.startswith("Your key is ")
    assert said.endswith("***, sk- or so.")


@given(st.lists(st.text("sk-canry12 ", max_size=9)))
def test_all_other_text_comes_as_it_is(pieces: list[str]) -> None:
    assert shown(*pieces) == "".join(pieces)


def test_ordinary_chunks_are_not_held_back() -> None:
    veil = Veil([Secret(KEY)])
    assert [list(veil.see(StreamChunk(word))) for word in ("Task", " s", "k")] == [
        ["Task"],
        [" s"],
        ["k"],
    ]


def test_a_key_that_the_end_cuts_is_hidden() -> None:
    assert shown("It is ", KEY[:-3]) == "It is ***"
    assert shown("It is ", KEY[:5]) == f"It is {KEY[:5]}"


CALL: dict[str, Any] = {
    "index": 0,
    "id": "c1",
    "function": {"name": "run", "arguments": f'{{"command": "curl -H {KEY}"}}'},
}
NAMED: dict[str, Any] = {"index": 0, "id": KEY, "function": {"name": KEY, "arguments": "{}"}}
ECHOES = {
    "name": stream(event({"tool_calls": [NAMED]}), event(finish_reason="tool_calls"), DONE),
    "model": answer(200, completion() | {"model": KEY, "id": KEY}),
    "text": stream(text("It is sk-can"), text("ary-1234-abc"), text("defgh."), STOP, DONE),
    "reasoning": stream(event({"reasoning_content": f"Is it {KEY}?"}), text("No."), STOP, DONE),
    "call": stream(event({"tool_calls": [CALL]}), event(finish_reason="tool_calls"), DONE),
    "whole": answer(200, completion(f"It is {KEY}.")),
}


@pytest.mark.parametrize("handler", ECHOES.values(), ids=ECHOES.keys())
async def test_neither_chunks_nor_result_hold_it(handler: Handler) -> None:
    with Server(handler) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url
        ) as client:
            events = [event async for event in client.create_stream(HI)]
    result = events[-1]
    assert isinstance(result, CreateResult)
    assert KEY not in "".join(map(str, events[:-1]))
    assert KEY not in result.model_dump_json()
    assert "***" in result.model_dump_json()


async def test_nor_does_what_it_is_parsed_to() -> None:
    class Answer(BaseModel):
        key: str

    with Server(answer(200, completion(f'{{"key": "{KEY}"}}'))) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url
        ) as client:
            result = await client.create(HI, json_output=Answer)
    assert result.parsed == Answer(key="***")


async def test_nor_does_what_had_come_of_a_reply_that_broke_off() -> None:
    with Server(stream(text("It is sk-can"), text("ary-1234-abcdefgh. And"), None)) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url, max_retries=0
        ) as client:
            with pytest.raises(IncompleteReplyError) as caught:
                await client.create(HI)
    assert caught.value.partial == "It is ***. And"


@pytest.mark.parametrize("key", ["lm-studio", "not-needed", "sk-no-key-required", "ollama2"])
def test_what_stands_in_for_a_key_is_a_word_like_others(key: str) -> None:
    veil = Veil([Secret(key)])
    said = [str(each) for each in veil.see(StreamChunk(f"Start {key} first."))]
    assert said == [f"Start {key} first."]


def test_a_short_key_is_hidden_from_chunks_as_from_results() -> None:
    veil = Veil([Secret("token-abc123")])
    seen = [*veil.see(StreamChunk("It is token-ab")), *veil.see(StreamChunk("c123."))]
    assert "".join(seen) == "It is ***."


PROJECT = "sk-proj-" + "aB3dE5gH7j" * 15
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsIng1dCI6" + "Zx81" * 400


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (PROJECT, "The keys of projects begin with sk-proj- and are long."),
        (PROJECT, "Not mine: sk-proj-qwertyuiopasdfghjklzxcvbnm."),
        (TOKEN, "Read eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.e30.x please."),
    ],
)
def test_what_keys_of_others_begin_with_stays(key: str, said: str) -> None:
    veil = Veil([Secret(key)])
    result = CreateResult(
        finish_reason="stop", content=said, usage=RequestUsage(1, 1), cached=False
    )
    assert "".join(veil.see(StreamChunk(said))) == said
    assert sent_of(veil, said) == said
    assert veil.covered(result).content == said


def test_half_a_key_is_hidden() -> None:
    half = PROJECT[: len(PROJECT) // 2]
    assert sent_of(Veil([Secret(PROJECT)]), f"It is {half} and more.") == "It is *** and more."


@pytest.mark.parametrize("key", [PROJECT, TOKEN])
@pytest.mark.parametrize("part", [4, 8, 40, -1])
def test_beginnings_of_keys_cost_no_more_than_other_text(key: str, part: int) -> None:
    said = f"{key[:part]} " * (400_000 // len(key[:part]))
    veil = Veil([Secret(key)])
    begun = process_time()
    seen = "".join([*veil.see(StreamChunk(said)), *veil.rest()])
    sent_of(veil, said)
    assert process_time() - begun < 3  # it took minutes
    assert seen == said


async def test_what_is_sent_as_text_holds_it_neither() -> None:
    said = FunctionExecutionResult(content=f"OPENAI_API_KEY={KEY}", name="run", call_id="c1")
    messages: list[LLMMessage] = [
        SystemMessage(content=f"Use {KEY}."),
        UserMessage(content=[f"My key is {LETTERS}.", Image.from_bytes(PIXEL)], source="ada"),
        AssistantMessage(content=[FunctionCall("c1", f'{{"k": "{KEY}"}}', "run")], source="bot"),
        FunctionExecutionResultMessage(content=[said]),
    ]
    with Server(answer(200, completion())) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url
        ) as client:
            await client.create(messages)
    raw = server.requests[0].raw.decode()
    assert KEY not in raw
    assert LETTERS not in raw
    assert raw.count("***") == 4
    assert base64.b64encode(PIXEL).decode() in raw


async def test_nor_does_what_is_sent_beside_the_messages() -> None:
    class Answer(BaseModel):
        key: str = Field(description=f"Not {KEY}.")

    body: dict[str, Any] = {
        "guided_choice": [f"It is {KEY}.", "It is not."],
        "chat_template_kwargs": {"note": LETTERS},
    }
    with Server(answer(200, completion(f'{{"key": "{KEY}"}}'))) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o",
            api_key=KEY,
            base_url=server.base_url,
            extra_body=body,
            stop=(f"{KEY}!",),
        ) as client:
            prediction = {"type": "content", "content": f"It is {KEY}."}
            await client.create(
                HI, json_output=Answer, extra_create_args={"user": KEY, "prediction": prediction}
            )
    raw = server.requests[0].raw.decode()
    assert KEY not in raw
    assert LETTERS not in raw
    assert raw.count("***") == 6
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_what_holds_itself_is_told() -> None:
    body: dict[str, Any] = {}
    body["again"] = [body]
    given: dict[str, Any] = {"model": "gpt-4o", "api_key": KEY, "base_url": "http://localhost:9"}
    with pytest.raises(ConfigurationError, match="extra_body holds itself"):
        OpenAIChatCompletionClient(**given, extra_body=body)
    async with OpenAIChatCompletionClient(**given) as client:
        for more in ({"extra_body": body}, {"metadata": body}):
            with pytest.raises(ConfigurationError, match="holds itself"):
                await client.create(HI, extra_create_args=more)


async def test_a_credential_that_the_server_is_given_in_the_body_reaches_it() -> None:
    source = {"type": "azure_search", "authentication": {"type": "api_key", "key": KEY}}
    body = {"data_sources": [source], "api_key": "another-key-of-5678", "top_k": 5}
    with Server(answer(200, completion(f"Found with {KEY} and another-key-of-5678."))) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url, extra_body=body
        ) as client:
            for _ in range(2):
                result = await client.create(HI)
            with pytest.raises(ConfigurationError, match="is not pickled"):
                pickle.dumps(client)
            assert KEY not in repr(client._settings)
    assert result.content == "Found with *** and ***."
    assert {name: server.requests[1].body[name] for name in body} == body


async def test_nor_does_what_is_sent_of_tools() -> None:
    def look(image_url: str = KEY) -> str:
        return image_url

    with Server(answer(200, completion())) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url
        ) as client:
            await client.create(HI, tools=[FunctionTool(look, description=f"Look with {KEY}.")])
    raw = server.requests[0].raw.decode()
    assert KEY not in raw
    assert raw.count("***") == 2


@pytest.mark.parametrize("key", ["lm-studio", "not-needed", "sk-no-key-required", "ollama2"])
def test_a_key_that_is_none_is_a_word_like_others(key: str) -> None:
    veil = Veil([Secret(key)])
    said = f"Say {key} to it."
    assert "".join(veil.see(StreamChunk(said))) == said
    assert sent_of(veil, said) == said
