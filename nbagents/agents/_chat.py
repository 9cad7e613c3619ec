"""The ready-made agent: a client, instructions, and a bounded memory of the conversation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

from nbagents.agents._events import Cleared, TurnEnded, TurnStarted, Watcher, Watchers
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
Event: TypeAlias = StreamChunk | CreateResult

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
        self._watchers = Watchers()

    async def ask(self, prompt: Prompt, **arguments: Any) -> CreateResult:
        """Take a turn and return the whole reply.

        Args:
            prompt: Text, or texts and images.
            **arguments: As for `ChatCompletionClient.create`.
        """
        async with aclosing(self._turn(prompt, arguments, streaming=False)) as events:
            async for event in events:
                if isinstance(event, CreateResult):
                    return event
        raise AssertionError("a turn ends in a result or an error")

    def stream(self, prompt: Prompt, **arguments: Any) -> ReplyStream[Event]:
        """Take a turn and yield the reply's chunks as they come; last, the `CreateResult`.

        Args:
            prompt: Text, or texts and images.
            **arguments: As for `ChatCompletionClient.create_stream`.
        """
        return ReplyStream(self._turn(prompt, arguments, streaming=True))

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` with every `TurnEvent` of this agent's turns, whoever asks for them.

        It is called in the thread of the loop that runs the turn, and must return at once.

        Returns:
            A function that ends it.
        """
        return self._watchers.add(watcher)

    async def clear(self) -> None:
        """Forget the conversation, after the turns under way."""
        async with self._turns:
            await self.model_context.clear()
            self._watchers.tell(Cleared())

    async def _turn(
        self, prompt: Prompt, arguments: dict[str, Any], *, streaming: bool
    ) -> AsyncGenerator[Event, None]:
        async with self._turns:
            before = await self.model_context.save_state()
            message = UserMessage(
                content=prompt if isinstance(prompt, str) else list(prompt), source="user"
            )
            self._watchers.tell(TurnStarted(message))
            try:
                await self.model_context.add_message(message)
                async with aclosing(self._reply(arguments, streaming=streaming)) as events:
                    async for event in events:
                        self._watchers.tell(event)
                        if isinstance(event, CreateResult):
                            result = event
                        else:
                            yield event
                await self._remember(result)
            except BaseException as error:
                await self.model_context.load_state(before)
                self._watchers.tell(TurnEnded(error))
                raise
            self._watchers.tell(TurnEnded())
        # Yielded after the turn: a reader that leaves now undoes nothing.
        yield result

    async def _reply(
        self, arguments: dict[str, Any], *, streaming: bool
    ) -> AsyncGenerator[StreamChunk | CreateResult, None]:
        """One reply of the model: chunks, if it streams, and in any case a result last."""
        messages = [*self._instructions(), *await self.model_context.get_messages()]
        client = self._routed()
        if not streaming:
            yield await client.create(messages, **arguments)
            return
        result = None
        async with aclosing(client.create_stream(messages, **arguments)) as events:
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
        yield result

    def _routed(self) -> ChatCompletionClient:
        with attribute(source=self.name):
            return through(self.client)

    def _instructions(self) -> list[LLMMessage]:
        return [SystemMessage(content=self.system_message)] if self.system_message else []

    async def _remember(self, result: CreateResult) -> None:
        content = result.content or result.refusal or ""
        await self.model_context.add_message(
            AssistantMessage(content=content, thought=result.thought, source=self.name)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, client={type(self.client).__name__})"
