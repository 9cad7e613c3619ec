"""The ready-made agent: a client, instructions, and a bounded memory of the conversation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

from nbagents.agents._turns import turns_of
from nbagents.errors import ProtocolError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    Image,
    LLMMessage,
    StreamChunk,
    SystemMessage,
    UserMessage,
)
from nbagents.model_context import BufferedChatCompletionContext, ChatCompletionContext
from nbagents.models import ChatCompletionClient, ReplyStream, through
from nbagents.usage import attribute

__all__ = ["ChatAgent"]

Prompt: TypeAlias = str | Sequence[str | Image]

_BUFFER_SIZE = 40


class ChatAgent:
    """An agent that holds a conversation with a model.

    It takes one turn at a time, whichever cells, threads and loops ask at once; the others wait.
    A turn that fails or is interrupted leaves the conversation as it was before.

    Args:
        client: The model client.
        name: Who the agent is, in messages and in the usage ledger.
        system_message: Instructions that stand before every view of the conversation.
        model_context: What it remembers; by default the newest 40 messages.
    """

    def __init__(
        self,
        client: ChatCompletionClient,
        *,
        name: str = "assistant",
        system_message: str | None = None,
        model_context: ChatCompletionContext | None = None,
    ) -> None:
        self.client = client
        self.name = name
        self.system_message = system_message
        self.model_context = model_context or BufferedChatCompletionContext(_BUFFER_SIZE)
        self._turns = turns_of(self.model_context)

    async def ask(self, prompt: Prompt, **arguments: Any) -> CreateResult:
        """Take a turn and return the whole reply.

        Args:
            prompt: Text, or texts and images.
            **arguments: As for `ChatCompletionClient.create`.
        """
        async with self._turn(prompt) as messages:
            result = await self._routed().create(messages, **arguments)
            await self._remember(result)
        return result

    def stream(self, prompt: Prompt, **arguments: Any) -> ReplyStream:
        """Take a turn and yield the reply's chunks as they come; last, the `CreateResult`.

        Args:
            prompt: Text, or texts and images.
            **arguments: As for `ChatCompletionClient.create_stream`.
        """
        return ReplyStream(self._stream(prompt, arguments))

    async def clear(self) -> None:
        """Forget the conversation, after the turns under way."""
        async with self._turns:
            await self.model_context.clear()

    async def _stream(
        self, prompt: Prompt, arguments: dict[str, Any]
    ) -> AsyncGenerator[StreamChunk | CreateResult, None]:
        async with self._turn(prompt) as messages:
            result: CreateResult | None = None
            events = self._routed().create_stream(messages, **arguments)
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, CreateResult):
                        result = event
                    else:
                        yield event if isinstance(event, StreamChunk) else StreamChunk(event)
            if result is None:
                raise ProtocolError(
                    f"{type(self.client).__name__}.create_stream ended without a CreateResult; "
                    "it must yield one last."
                )
            await self._remember(result)
        # Yielded after the turn: a reader that leaves now undoes nothing.
        yield result

    def _routed(self) -> ChatCompletionClient:
        with attribute(source=self.name):
            return through(self.client)

    @asynccontextmanager
    async def _turn(self, prompt: Prompt) -> AsyncGenerator[list[LLMMessage], None]:
        async with self._turns:
            before = await self.model_context.save_state()
            try:
                content = prompt if isinstance(prompt, str) else list(prompt)
                await self.model_context.add_message(UserMessage(content=content, source="user"))
                yield [*self._instructions(), *await self.model_context.get_messages()]
            except BaseException:
                await self.model_context.load_state(before)
                raise

    def _instructions(self) -> list[LLMMessage]:
        return [SystemMessage(content=self.system_message)] if self.system_message else []

    async def _remember(self, result: CreateResult) -> None:
        content = result.content or result.refusal or ""
        await self.model_context.add_message(
            AssistantMessage(content=content, thought=result.thought, source=self.name)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, client={type(self.client).__name__})"
