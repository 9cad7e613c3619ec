"""Agents that ask a model: AutoGen's programs with their imports changed, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from nbagents import (
    AgentId,
    CancellationToken,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    message_handler,
)
from nbagents.model_context import BufferedChatCompletionContext
from nbagents.models import (
    AssistantMessage,
    ChatCompletionClient,
    OpenAIChatCompletionClient,
    SystemMessage,
    UserMessage,
)
from nbagents.testing import LoopbackServer, text

AGENT = AgentId("assistant", "default")


@dataclass
class Message:
    content: str


class Assistant(RoutedAgent):
    """Answers each message by itself."""

    def __init__(self, model_client: ChatCompletionClient) -> None:
        super().__init__("An assistant")
        self._system_messages = [SystemMessage(content="Be brief.")]
        self._model_client = model_client

    @message_handler
    async def handle_message(self, message: Message, ctx: MessageContext) -> Message:
        response = await self._model_client.create(
            [*self._system_messages, UserMessage(content=message.content, source="user")],
            cancellation_token=ctx.cancellation_token,
        )
        assert isinstance(response.content, str)
        return Message(content=response.content)


class RememberingAssistant(RoutedAgent):
    """Answers with the last five messages before its eyes."""

    def __init__(self, model_client: ChatCompletionClient) -> None:
        super().__init__("An assistant with a memory")
        self._system_messages = [SystemMessage(content="Be brief.")]
        self._model_client = model_client
        self._model_context = BufferedChatCompletionContext(buffer_size=5)

    @message_handler
    async def handle_message(self, message: Message, ctx: MessageContext) -> Message:
        user_message = UserMessage(content=message.content, source="user")
        await self._model_context.add_message(user_message)
        response = await self._model_client.create(
            self._system_messages + (await self._model_context.get_messages()),
            cancellation_token=ctx.cancellation_token,
        )
        assert isinstance(response.content, str)
        await self._model_context.add_message(
            AssistantMessage(content=response.content, source=self.metadata["type"])
        )
        return Message(content=response.content)


@pytest.fixture
async def server() -> AsyncIterator[LoopbackServer]:
    async with LoopbackServer() as server:
        yield server


@pytest.fixture
async def client(server: LoopbackServer) -> AsyncIterator[OpenAIChatCompletionClient]:
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key="x", base_url=server.base_url)
    yield client
    await client.close()


def asked(server: LoopbackServer) -> list[list[str]]:
    """The contents of each request's messages."""
    return [
        [message["content"] for message in request.json()["messages"]]
        for request in server.requests
    ]


async def test_an_agent_answers_with_what_the_model_says(
    server: LoopbackServer, client: OpenAIChatCompletionClient
) -> None:
    server.will_reply("Seattle is a city.")
    runtime = SingleThreadedAgentRuntime()
    await Assistant.register(runtime, "assistant", lambda: Assistant(client))
    runtime.start()
    response = await runtime.send_message(Message("What is Seattle?"), AGENT)
    await runtime.stop()
    assert response == Message("Seattle is a city.")
    assert asked(server) == [["Be brief.", "What is Seattle?"]]


async def test_an_agent_with_a_context_tells_what_it_was_asked_first(
    server: LoopbackServer, client: OpenAIChatCompletionClient
) -> None:
    server.will_reply("In Paris.", "Lyon.", "The Louvre.")
    runtime = SingleThreadedAgentRuntime()
    await RememberingAssistant.register(runtime, "assistant", lambda: RememberingAssistant(client))
    runtime.start()
    for question in ("Where is the Louvre?", "And the opera?", "What did I ask first?"):
        response = await runtime.send_message(Message(question), AGENT)
    await runtime.stop_when_idle()
    assert response == Message("The Louvre.")
    assert asked(server)[-1] == [
        "Be brief.",
        "Where is the Louvre?",
        "In Paris.",
        "And the opera?",
        "Lyon.",
        "What did I ask first?",
    ]


@pytest.mark.parametrize("how", ["task", "token"])
async def test_an_interrupted_request_stops_the_model_call(
    server: LoopbackServer, client: OpenAIChatCompletionClient, how: str
) -> None:
    server.will_reply(text("never quite all").but(ending="stall"))
    runtime = SingleThreadedAgentRuntime()
    await Assistant.register(runtime, "assistant", lambda: Assistant(client))
    runtime.start()
    token = CancellationToken()
    send = runtime.send_message(Message("Tell me."), AGENT, cancellation_token=token)
    request = asyncio.create_task(send)
    async with asyncio.timeout(30):
        while not server.requests:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.01)
        (request if how == "task" else token).cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await runtime.stop_when_idle()
    assert await asyncio.to_thread(server.requests[0].wait)
    assert server.requests[0].left is not None
