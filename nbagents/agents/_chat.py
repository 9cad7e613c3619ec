"""The ready-made agent: a client, instructions, tools, and a bounded memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

from nbagents.agents._approval import Approve
from nbagents.agents._calls import run_calls
from nbagents.agents._events import Cleared, TurnEnded, TurnStarted, Watcher, Watchers
from nbagents.agents._limits import TurnLimits, TurnMeter
from nbagents.agents._turns import turns_of
from nbagents.errors import ProtocolError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResultMessage,
    Image,
    LLMMessage,
    StreamChunk,
    SystemMessage,
    UserMessage,
)
from nbagents.model_context import BufferedChatCompletionContext, ChatCompletionContext
from nbagents.models import ChatCompletionClient, ReplyStream, through
from nbagents.tools import Tool, tools_from
from nbagents.usage import attribute

__all__ = ["ChatAgent", "Event"]

Prompt: TypeAlias = str | Sequence[str | Image]
Event: TypeAlias = StreamChunk | AssistantMessage | FunctionExecutionResultMessage | CreateResult

_BUFFER_SIZE = 40


class ChatAgent:
    """An agent that holds a conversation with a model, and runs the tools that it calls.

    It takes one turn at a time, whichever cells, threads and loops ask at once; the others wait.
    A turn that fails or is interrupted leaves the conversation as it was before.

    Args:
        client: The model client.
        name: Who the agent is, in messages and in the usage ledger.
        system_message: Instructions that stand before every view of the conversation.
        model_context: What it remembers; by default the newest 40 messages.
        tools: What the model may call: tools, or functions with annotations.
        approve: Who says whether a call of a tool with side effects may run: a function of the
            call and the tool, True for all, False for none. By default the person is asked; where
            nobody can be, such a call does not run.
        limits: What one turn may take.

    Raises:
        ConfigurationError: A tool is none, or two have the same name.
    """

    def __init__(
        self,
        client: ChatCompletionClient,
        *,
        name: str = "assistant",
        system_message: str | None = None,
        model_context: ChatCompletionContext | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        approve: Approve | bool | None = None,
        limits: TurnLimits | None = None,
    ) -> None:
        self.client = client
        self.name = name
        self.system_message = system_message
        self.model_context = model_context or BufferedChatCompletionContext(_BUFFER_SIZE)
        self.tools = tools_from(tools)
        self.approve = approve
        self.limits = limits or TurnLimits()
        self._turns = turns_of(self.model_context)
        self._watchers = Watchers()

    @property
    def busy(self) -> bool:
        """Whether a turn is under way."""
        return self._turns.held

    async def ask(self, prompt: Prompt, **arguments: Any) -> CreateResult:
        """Take a turn and return the last reply, with the usage of the whole turn.

        Args:
            prompt: Text, or texts and images.
            **arguments: As for `ChatCompletionClient.create`.

        Raises:
            RequestError: A request failed.
            TurnLimitError: The turn took more than `limits` allow.
        """
        async with aclosing(self._turn(prompt, arguments, streaming=False)) as events:
            async for event in events:
                if isinstance(event, CreateResult):
                    return event
        raise AssertionError("a turn ends in a result or an error")

    def stream(self, prompt: Prompt, **arguments: Any) -> ReplyStream[Event]:
        """Take a turn and yield what happens in it, as it happens.

        These are the chunks of the replies; an `AssistantMessage` with the calls of a reply, and
        a `FunctionExecutionResultMessage` with their results; and last the `CreateResult`, with
        the usage of the whole turn. Arguments and errors are those of `ask`.
        """
        return ReplyStream(self._turn(prompt, arguments, streaming=True))

    async def clear(self) -> None:
        """Forget the conversation, after the turns under way."""
        async with self._turns:
            await self.model_context.clear()
            self._watchers.tell(Cleared())

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` with every `TurnEvent` of this agent's turns, whoever asks for them.

        It is called in the thread of the loop that runs the turn, and must return at once.

        Returns:
            A function that ends it.
        """
        return self._watchers.add(watcher)

    async def _turn(
        self, prompt: Prompt, arguments: dict[str, Any], *, streaming: bool
    ) -> AsyncGenerator[Event, None]:
        async with self._turns:
            before = await self.model_context.save_state()
            content = prompt if isinstance(prompt, str) else list(prompt)
            message = UserMessage(content=content, source="user")
            self._watchers.tell(TurnStarted(message))
            try:
                await self.model_context.add_message(message)
                async with aclosing(self._rounds(arguments, streaming=streaming)) as events:
                    async for event in events:
                        self._watchers.tell(event)
                        if isinstance(event, CreateResult):
                            result = event
                        else:
                            yield event
            except BaseException as error:
                await self.model_context.load_state(before)
                self._watchers.tell(TurnEnded(error))
                raise
            self._watchers.tell(TurnEnded())
        # Yielded after the turn: a reader that leaves now undoes nothing.
        yield result

    async def _rounds(
        self, arguments: dict[str, Any], *, streaming: bool
    ) -> AsyncGenerator[Event, None]:
        """Replies and the calls they ask for, until a reply asks for none."""
        meter = TurnMeter(self.limits)
        token = arguments.get("cancellation_token")
        usage = None
        while True:
            async with aclosing(self._reply(arguments, streaming=streaming)) as events:
                while (event := await meter.next(events)) is not None:
                    if isinstance(event, CreateResult):
                        result = event
                    else:
                        yield event
            usage = result.usage if usage is None else usage + result.usage
            reply = self._as_message(result)
            await self.model_context.add_message(reply)
            if isinstance(reply.content, str):
                yield result.model_copy(update={"usage": usage})
                return
            meter.count(len(reply.content))
            yield reply
            results = run_calls(
                reply.content, self.tools, approve=self.approve, cancellation_token=token
            )
            answers = await meter.wait(results)
            await self.model_context.add_message(answers)
            yield answers

    async def _reply(
        self, arguments: dict[str, Any], *, streaming: bool
    ) -> AsyncGenerator[StreamChunk | CreateResult, None]:
        """One reply of the model: chunks, if it streams, and in any case a result last."""
        messages = [*self._instructions(), *await self.model_context.get_messages()]
        client = self._routed()
        if self.tools:
            arguments = {"tools": self.tools, **arguments}
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

    def _as_message(self, result: CreateResult) -> AssistantMessage:
        content = result.content or result.refusal or ""
        return AssistantMessage(content=content, thought=result.thought, source=self.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, client={type(self.client).__name__})"
