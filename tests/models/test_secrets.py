"""A client shows its key to nobody but the server."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import pytest

from nbagents.errors import ConfigurationError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models._azure import AzureOpenAIChatCompletionClient
from nbagents.models._openai import OpenAIChatCompletionClient
from tests.support import Server, answer, completion

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
KEY = "open-sesame-1234"


def seen_in(thing: Any, depth: int = 6) -> str:
    """What whoever walks through attributes, mappings and lists gets to see."""
    said = repr(thing)
    if depth == 0:
        return said
    inside: list[Any] = []
    if isinstance(thing, dict):
        inside += [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set):
        inside += thing
    elif hasattr(thing, "__dict__") and not isinstance(thing, type):
        inside += vars(thing).values()
    return " ".join([said, *(seen_in(part, depth - 1) for part in inside)])


def clients() -> list[Any]:
    headers = {"Authorization": f"Bearer {KEY}"}
    azure: dict[str, Any] = {
        "model": "gpt-4o",
        "azure_endpoint": "https://mine.openai.azure.com",
        "api_version": "2024-10-21",
    }
    return [
        OpenAIChatCompletionClient(model="gpt-4o", api_key=KEY),
        OpenAIChatCompletionClient(model="gpt-4o", default_headers=headers),
        AzureOpenAIChatCompletionClient(**azure, api_key=KEY),
        AzureOpenAIChatCompletionClient(**azure, azure_ad_token=KEY),
    ]


@pytest.mark.parametrize("client", clients(), ids=["key", "headers", "azure_key", "azure_token"])
class TestHidden:
    def test_it_is_in_no_attribute(self, client: Any) -> None:
        assert KEY not in seen_in(client)

    def test_it_is_in_no_attribute_of_a_copy(self, client: Any) -> None:
        assert KEY not in seen_in(copy.copy(client))
        assert KEY not in seen_in(copy.deepcopy(client))

    def test_it_is_not_pickled(self, client: Any) -> None:
        with pytest.raises(ConfigurationError, match="environment variable"):
            pickle.dumps(client)


def test_it_is_in_no_attribute_after_a_request_either() -> None:
    async def ask(client: OpenAIChatCompletionClient) -> str:
        await client.create(HI)
        return seen_in(client)

    with Server(answer(200, completion())) as server:
        client = OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url, max_retries=0
        )
        assert KEY not in asyncio.run(ask(client))


async def test_a_copy_works() -> None:
    with Server(answer(200, completion())) as server:
        client = OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url, temperature=0.5
        )
        async with copy.deepcopy(client) as twin:
            assert (await twin.create(HI)).content == "Hello world"
        request = server.requests[0]
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["temperature"] == 0.5


def test_a_key_of_the_environment_is_pickled_as_the_variables_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    saved = pickle.dumps(OpenAIChatCompletionClient(model="gpt-4o", temperature=0.5))
    assert KEY.encode() not in saved
    monkeypatch.setenv("OPENAI_API_KEY", "another-key-5678")
    loaded = pickle.loads(saved)
    assert loaded._settings["api_key"].reveal() == "another-key-5678"
    assert loaded._settings["temperature"] == 0.5
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY, which is not set here"):
        pickle.loads(saved)


def test_a_client_says_its_model() -> None:
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key=KEY)
    assert repr(client) == "OpenAIChatCompletionClient(model='gpt-4o')"
