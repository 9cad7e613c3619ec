"""The ready-made agent: a client, instructions, tools, and a bounded memory."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from nbagents._panels import panel_of
from nbagents.agents._arguments import check_arguments
from nbagents.agents._calls import run_calls
from nbagents.agents._card import card_bundle
from nbagents.agents._events import Cleared, TurnEnded, TurnStarted, Watcher, watchers_of
from nbagents.agents._hosted import as_tool, register
from nbagents.agents._limits import TurnLimits, TurnMeter
from nbagents.agents._replies import as_message, next_reply
from nbagents.agents._saving import LONGEST_NAME, SavedAgent, at_once
from nbagents.agents._turns import turns_of
from nbagents.errors import ConfigurationError
from nbagents.loop import run
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResultMessage,
    Image,
    RequestUsage,
    StreamChunk,
    UserMessage,
)
from nbagents.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    ChatCompletionContextState,
)
from nbagents.models import ChatCompletionClient, ReplyStream
from nbagents.models._secrets import check_no_key
from nbagents.runtime import AgentRuntime, AgentType
from nbagents.tools import FunctionTool, Tool, tools_from
from nbagents.tools._approval import Approve

if TYPE_CHECKING:
    from nbagents.notebook._panel.widget import ChatPanel

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
        ConfigurationError: The client or a tool is none, or two tools have the same name.
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
        if not isinstance(client, ChatCompletionClient) or isinstance(client, type):
            raise ConfigurationError(
                f"An agent is of a model client, not of {type(client).__name__}; for example "
                "ChatAgent(OpenAIChatCompletionClient(model='gpt-4.1-mini'))."
            )
        if not isinstance(name, str) or len(name) > LONGEST_NAME:
            what = f"one of {len(name):,}" if isinstance(name, str) else type(name).__name__
            raise ConfigurationError(
                f"An agent's name is a text of at most {LONGEST_NAME} characters, not {what}."
            )
        check_no_key(name, "name", "who the agent is")
        self.client = client
        self.name = name
        self.system_message = system_message
        self.model_context = model_context or BufferedChatCompletionContext(_BUFFER_SIZE)
        self.tools = tools_from(tools)
        self.approve = approve
        self.limits = limits or TurnLimits()
        self._used = _Used()
        self._turns = turns_of(self.model_context)
        self._watchers = watchers_of(self.model_context)

    @property
    def model(self) -> str:
        """The name of its model, or of its client's class."""
        return str(getattr(self.client, "model", "") or type(self.client).__name__)

    @property
    def usage(self) -> RequestUsage:
        """The tokens of all its replies so far."""
        return self._used.total

    @property
    def cost(self) -> float | None:
        """What all its replies so far have cost, in USD; None when a price is not known."""
        return self._used.cost

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

    def ask_sync(self, prompt: Prompt, **arguments: Any) -> CreateResult:
        """As `ask`, for code that does not ``await``: in a cell, a callback, a script, a thread.

        It runs on nbagents' own event loop while the calling thread waits, and runs the
        synchronous tools. The kernel's interrupt, or Ctrl-C, ends the turn.

        Raises:
            Interrupted: (a KeyboardInterrupt) after the interrupt.
            RuntimeStateError: A turn of this conversation runs on the event loop of the calling
                thread, which stands still meanwhile.
        """
        return run(self.ask(prompt, **arguments))

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
        """Call ``watcher`` with every `TurnEvent` of this conversation, whoever asks.

        It is called in the thread of the loop that runs the turn, and must return at once.

        Returns:
            A function that ends it.
        """
        return self._watchers.add(watcher)

    def but(self, **changes: Any) -> Self:
        """The same agent with other attributes, in the same conversation."""
        other = copy.copy(self)
        for name, value in changes.items():
            setattr(other, name, value)
        return other

    def save(self, path: str | Path) -> None:
        """Write name, instructions and conversation to a JSON file; no client and no secret.

        What people and the model said is in the file as it was said.
        """
        SavedAgent(
            name=self.name,
            system_message=self.system_message,
            tools=[tool.name for tool in self.tools],
            conversation=dict(at_once(self.model_context.save_state())),
        ).write(path)

    @classmethod
    def load(cls, path: str | Path, client: ChatCompletionClient, **options: Any) -> Self:
        """Make an agent of a file that `save` wrote.

        Args:
            path: The file.
            client: The model client, which may be another than before.
            **options: As for the constructor; tools must be given again.

        Raises:
            ConfigurationError: It is another kind of file, damaged, or a tool is missing.
        """
        saved = SavedAgent.read(path)
        named = {"name": saved.name, "system_message": saved.system_message}
        agent = cls(client, **{**named, **options})
        saved.check_tools({tool.name: tool for tool in agent.tools})
        saved.restore(agent.model_context)
        return agent

    async def register(self, runtime: AgentRuntime, type: str) -> AgentType:  # noqa: A002
        """Let this agent answer the `UserMessage`s sent to agents of a type in ``runtime``.

        The answer to each is the `CreateResult`. All keys of the type share the conversation.
        """
        return await register(self, runtime, type)

    def panel(self) -> ChatPanel:
        """A chat panel of this conversation; as the last expression of a cell it is shown."""
        return panel_of(self)

    def as_tool(self, name: str | None = None, description: str | None = None) -> FunctionTool:
        """A tool with which another agent asks this one.

        Args:
            name: What the other's model calls it; the agent's name when left out.
            description: When to ask; the agent's instructions when left out.
        """
        return as_tool(self, name, description)

    async def _turn(
        self, prompt: Prompt, arguments: dict[str, Any], *, streaming: bool
    ) -> AsyncGenerator[Event, None]:
        method = self.client.create_stream if streaming else self.client.create
        check_arguments(method, arguments)
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
        used = _Used()
        while True:
            async with aclosing(next_reply(self, arguments, streaming=streaming)) as events:
                while (event := await meter.next(events)) is not None:
                    if isinstance(event, CreateResult):
                        result = event
                    else:
                        yield event
            used.add(result)
            self._used.add(result)
            reply = as_message(self, result)
            await self.model_context.add_message(reply)
            if isinstance(reply.content, str):
                yield result.of_turn(used.total, used.cost)
                return
            meter.count(len(reply.content))
            yield reply
            results = run_calls(
                reply.content,
                self.tools,
                approve=self.approve,
                cancellation_token=token,
                tell=self._watchers.tell,
            )
            with self._turns.waiting():
                answers = await meter.wait(results)
            await self.model_context.add_message(answers)
            yield answers

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        state = at_once(self.model_context.save_state())
        return card_bundle(self, ChatCompletionContextState.model_validate(state).messages)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, client={type(self.client).__name__})"


class _Used:
    """What an agent's replies took; one for all that `ChatAgent.but` makes of it."""

    def __init__(self) -> None:
        self.total = RequestUsage(0, 0)
        self.cost: float | None = 0.0

    def add(self, result: CreateResult) -> None:
        """Count a reply."""
        self.total += result.usage
        cost = result.cost
        self.cost = None if cost is None or self.cost is None else self.cost + cost
