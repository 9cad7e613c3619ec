"""A request that a server does not take as it is goes once more, changed as the server asks."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from nbagents.errors import BadRequestError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models import OpenAIChatCompletionClient
from nbagents.tools import FunctionTool
from tests.support import Server, answer, completion, refusal

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
NO_REASONING = (
    "Function tools with reasoning_effort are not supported for gpt-5.6-sol in "
    "/v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to "
    "'none'."
)
NOT_NONE = "Unsupported value: 'reasoning_effort' does not support 'none' with this model."


def now() -> str:
    """The time of day."""
    return "noon"


TOOLS = [FunctionTool(now, "The time of day.")]


def client_of(server: Server) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(
        model="gpt-5.6-sol", base_url=server.base_url, api_key="of-nobody", max_retries=0
    )


def efforts(server: Server) -> list[Any]:
    return [request.body.get("reasoning_effort") for request in server.requests]


async def test_tools_go_without_reasoning_where_the_model_takes_no_others() -> None:
    with Server(refusal(400, NO_REASONING), answer(200, completion())) as server:
        async with client_of(server) as client:
            with pytest.warns(UserWarning, match="only without reasoning"):
                await client.create(HI, tools=TOOLS)
            with warnings.catch_warnings(action="error"):
                await client.create(HI, tools=TOOLS)
                await client.create(HI)
    assert efforts(server) == [None, "none", "none", None]


async def test_an_effort_that_was_asked_for_is_not_changed() -> None:
    with Server(refusal(400, NO_REASONING)) as server:
        async with client_of(server) as client:
            with pytest.raises(BadRequestError, match="set reasoning_effort to 'none'"):
                await client.create(HI, tools=TOOLS, extra_create_args={"reasoning_effort": "low"})
    assert efforts(server) == ["low"]


async def test_a_model_that_takes_tools_in_no_way_is_said_to() -> None:
    with Server(refusal(400, NO_REASONING), refusal(400, NOT_NONE)) as server:
        async with client_of(server) as client:
            with (
                pytest.warns(UserWarning, match="only without reasoning"),
                pytest.raises(BadRequestError, match="only over OpenAI's Responses API") as caught,
            ):
                await client.create(HI, tools=TOOLS)
    assert caught.value.status == 400
    assert efforts(server) == [None, "none"]
