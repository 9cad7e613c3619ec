"""Who answers a chat cell: the notebook's own conversation, or an agent in a variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbagents.errors import ConfigurationError

if TYPE_CHECKING:
    from nbagents.agents import ChatAgent
    from nbagents.model_context import ChatCompletionContext
    from nbagents.models import ChatCompletionClient

__all__ = ["Conversations"]


class Conversations:
    """The conversations that the cells of one notebook hold.

    The notebook has one of its own. A client in a variable has another, for as long as the
    client lives; an agent in a variable has its own memory anyway.
    """

    def __init__(self) -> None:
        self._context: ChatCompletionContext | None = None
        self._system: str | None = None
        self._of_clients: dict[int, ChatAgent] = {}

    def start_over(self) -> None:
        """Forget the notebook's own conversation."""
        self._context = None
        self._system = None

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

    def named(self, name: str, namespace: Mapping[str, Any]) -> ChatAgent:
        """Return the agent of a variable that holds one, or holds a client.

        Raises:
            ConfigurationError: There is no such variable, or it holds something else.
        """
        from nbagents.agents import ChatAgent
        from nbagents.models import ChatCompletionClient

        if name not in namespace:
            raise ConfigurationError(
                f"There is no variable {name!r} to talk to. Make an agent first: "
                f"{name} = ChatAgent(client). Or put the prompt on the next line."
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

    def context(self, buffer_size: int) -> ChatCompletionContext:
        """The memory of the notebook's own conversation, made with ``buffer_size`` if need be."""
        if self._context is None:
            from nbagents.model_context import BufferedChatCompletionContext

            self._context = BufferedChatCompletionContext(buffer_size)
        return self._context

    def _of_client(self, name: str, client: ChatCompletionClient) -> ChatAgent:
        from nbagents.agents import ChatAgent

        agent = self._of_clients.get(id(client))
        if agent is None or agent.client is not client:
            agent = self._of_clients[id(client)] = ChatAgent(client, name=name)
        return agent
