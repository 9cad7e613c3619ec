"""Who answers a chat cell: the notebook's own conversation, or an agent in a variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nbagents.errors import ConfigurationError
from nbagents.notebook._description import instance
from nbagents.notebook._variables import NotThereError, did_you_mean, find

if TYPE_CHECKING:
    from nbagents.agents import ChatAgent
    from nbagents.model_context import ChatCompletionContext
    from nbagents.models import ChatCompletionClient
    from nbagents.notebook._arguments import ChatArguments

__all__ = ["Conversations"]


class Conversations:
    """The conversations that the cells of one notebook hold.

    The notebook has one of its own. A client in a variable has another, for as long as the
    client lives; an agent in a variable has its own memory anyway.
    """

    def __init__(self) -> None:
        self._context: ChatCompletionContext | None = None
        self._buffer_size = 0
        self._system: str | None = None
        # Weak: a client that no variable holds any more goes, with its connections.
        self._of_clients: WeakKeyDictionary[ChatCompletionClient, ChatCompletionContext]
        self._of_clients = WeakKeyDictionary()

    def start_over(self) -> None:
        """Forget the notebook's own conversation, its instructions and its size."""
        self._context = None
        self._system = None

    def start_afresh(self, buffer_size: int) -> None:
        """Forget the instructions; the context stays, so that panels follow, if its size does.

        Its messages are for its agent to clear.
        """
        self._system = None
        if self._buffer_size != buffer_size:
            self._context = None

    def own(
        self, client: ChatCompletionClient, *, system: str | None, buffer_size: int
    ) -> ChatAgent:
        """Return the notebook's own agent, speaking through ``client``.

        Args:
            client: Whoever answers this turn; it may differ from turn to turn.
            system: Instructions from now on; None keeps those there are.
            buffer_size: How many messages the conversation shows the model.
        """
        from nbagents.agents import ChatAgent

        self._system = system or self._system
        return ChatAgent(
            client,
            name="chat",
            system_message=self._system,
            model_context=self.context(buffer_size),
        )

    def named(self, name: str, namespace: Mapping[str, Any], advice: str = "") -> ChatAgent:
        """Return the agent of a variable that holds one, or holds a client.

        Args:
            name: The variable's name.
            namespace: The user's variables.
            advice: What else to do where there is no such variable.

        Raises:
            ConfigurationError: There is no such variable, or it holds something else.
        """
        from nbagents.agents import ChatAgent
        from nbagents.models import ChatCompletionClient

        if name not in namespace:
            known = [each for each, value in namespace.items() if _answers(value)]
            hint = did_you_mean(name, known) or "."
            raise ConfigurationError(
                f"There is no variable {name!r} to talk to{hint} Make an agent: %%chat {name} "
                f"--new, or {name} = ChatAgent(client).{advice}"
            )
        value = namespace[name]
        if isinstance(value, ChatAgent):
            return value
        if isinstance(value, ChatCompletionClient) and not isinstance(value, type):
            return self._of_client(name, value)
        raise ConfigurationError(
            f"{name!r} is of type {type(value).__name__}, which is neither an agent nor a model "
            f"client. Name a variable that holds one."
        )

    def new(
        self,
        arguments: ChatArguments,
        client: ChatCompletionClient,
        namespace: Mapping[str, Any],
        buffer_size: int,
    ) -> ChatAgent:
        """Make the agent that ``%%chat NAME --new`` asks for.

        Raises:
            ConfigurationError: The variable holds something else; a tool is not there, or is no
                function.
        """
        from nbagents.agents import ChatAgent
        from nbagents.model_context import BufferedChatCompletionContext

        name = str(arguments.name)
        if name in namespace and not instance(namespace[name], ChatAgent):
            raise ConfigurationError(
                f"{name!r} holds {_one(namespace[name])}, which a new agent would replace. Choose "
                f"another name, or write del {name} first."
            )
        return ChatAgent(
            client,
            name=name,
            system_message=arguments.system,
            model_context=BufferedChatCompletionContext(arguments.buffer or buffer_size),
            tools=[_tool(name, namespace) for name in arguments.tools],
        )

    def context(self, buffer_size: int) -> ChatCompletionContext:
        """The memory of the notebook's own conversation, made with ``buffer_size`` if need be."""
        if self._context is None:
            self._buffer_size = buffer_size
            from nbagents.model_context import BufferedChatCompletionContext

            self._context = BufferedChatCompletionContext(buffer_size)
        return self._context

    def _of_client(self, name: str, client: ChatCompletionClient) -> ChatAgent:
        from nbagents.agents import ChatAgent

        agent = ChatAgent(client, name=name, model_context=self._of_clients.get(client))
        self._of_clients[client] = agent.model_context
        return agent


def _answers(value: object) -> bool:
    from nbagents.agents import ChatAgent
    from nbagents.models import ChatCompletionClient

    if instance(value, type):
        return False
    return instance(value, ChatAgent) or instance(value, ChatCompletionClient)


def _one(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _tool(name: str, namespace: Mapping[str, Any]) -> Any:
    try:
        return find(name, namespace)
    except NotThereError as error:
        if not error.variable:
            raise ConfigurationError(f"--tools: {error.reason}.") from None
        hint = did_you_mean(name, namespace) or "; define it in a cell above"
        raise ConfigurationError(f"--tools: there is no function {name}{hint}") from None
