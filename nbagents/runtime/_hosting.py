"""The half of the runtime that keeps agents: registering, finding, saving, letting go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar, overload

from nbagents.errors import AgentTypeError
from nbagents.runtime._dispatch import Dispatcher
from nbagents.runtime._identity import AgentId, AgentMetadata, AgentType
from nbagents.runtime._instantiation import registering_type
from nbagents.runtime._protocol import Agent, AgentRuntime
from nbagents.runtime._registry import Registry
from nbagents.runtime._subscriptions import Subscription
from nbagents.runtime._topics import Topics
from nbagents.runtime._types import is_instance

__all__ = ["AgentHost"]

_log = logging.getLogger("nbagents.runtime")

T = TypeVar("T", bound=Agent)
Result = TypeVar("Result")


class AgentHost(AgentRuntime):
    """Keeps the agents of a runtime.

    An agent that a factory made is kept until its type is registered again, `remove_agent`
    takes it out, or the runtime itself is let go.
    """

    _registry: Registry
    _topics: Topics
    _dispatcher: Dispatcher

    @property
    def agents(self) -> Mapping[AgentId, Agent]:
        """The agents there are at this moment, by their ids; those not yet made are not."""
        return dict(self._registry.agents)

    @property
    def agent_types(self) -> list[AgentType]:
        """The agent types that are registered."""
        return [AgentType(kind) for kind in self._registry.types]

    async def register_factory(
        self,
        type: str | AgentType,
        agent_factory: Callable[[], T | Awaitable[T]],
        *,
        expected_class: type[T] | None = None,
    ) -> AgentType:
        """Let agents of a type be made when they are first needed; `Agent.register` is simpler.

        A type that is registered already is replaced: its subscriptions that came with the
        registration and its agents go, once they have handled what they are at.

        Args:
            type: The name that the agents' ids begin with.
            agent_factory: Makes an agent; `AgentInstantiationContext` tells it which.
            expected_class: What the factory is to make, which is checked when it does.

        Raises:
            ConfigurationError: The factory takes arguments.
        """
        kind = AgentId(type, "").type

        async def register() -> None:
            gone = self._registry.add_factory(kind, agent_factory, expected_class)
            self._topics.remove_owned(kind)
            await self._replace(kind, gone)

        await self._at_home(register)
        return AgentType(kind)

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        """Take in an agent that exists already, in place of one with the same id.

        Raises:
            ConfigurationError: Agents of another class are registered under that type.
        """

        async def register() -> None:
            await agent_instance.bind_id_and_runtime(id=agent_id, runtime=self)
            by_factory = self._registry.is_made_by_factory(agent_id.type)
            gone = self._registry.add_agent(agent_instance, agent_id)
            if by_factory:
                self._topics.remove_owned(agent_id.type)
            await self._replace(agent_id.type, gone)

        await self._at_home(register)
        return agent_id

    async def remove_agent(self, agent: AgentId | AgentType | str) -> None:
        """Take an agent out, or a whole type with its subscriptions and waiting messages.

        What it is handling comes to its end. One that a factory had made is closed then, and
        made anew when a message comes for it.

        Raises:
            AgentLookupError: There is none.
        """

        async def remove() -> None:
            if isinstance(agent, AgentId):
                await self._let_go(self._registry.remove_agent(agent))
                return
            kind = agent.type if isinstance(agent, AgentType) else agent
            gone = self._registry.remove_type(kind)
            self._topics.remove_type(kind)
            with self._dispatcher.lock:
                self._dispatcher.discard(f"The agents of type {kind!r} were removed.", kind)
            await self._let_go(gone)

        await self._at_home(remove)

    async def try_get_underlying_agent_instance(
        self,
        id: AgentId,
        type: type[T] = Agent,  # type: ignore[assignment] # a bound is no default for mypy
    ) -> T:
        """Return the agent itself, made if need be; messages are the usual way to reach it.

        Raises:
            AgentLookupError: There is none, and no factory for it.
            AgentTypeError: It is not of class ``type``.
        """
        agent = await self._at_home(lambda: self._registry.find(id))
        if type is not Agent and not is_instance(agent, type):
            raise AgentTypeError(f"{id} is a {agent.__class__.__name__}, not a {type.__name__}.")
        return agent  # type: ignore[return-value] # seen just now

    @overload
    async def get(self, id: AgentId, /, *, lazy: bool = ...) -> AgentId: ...

    @overload
    async def get(
        self, type: AgentType | str, /, key: str = ..., *, lazy: bool = ...
    ) -> AgentId: ...

    async def get(
        self, id_or_type: AgentId | AgentType | str, /, key: str = "default", *, lazy: bool = True
    ) -> AgentId:
        """Return an agent's id.

        Args:
            id_or_type: The id, or the type.
            key: Which agent of the type.
            lazy: False makes the agent too.

        Raises:
            AgentLookupError: It is to be made, and there is no factory for it.
        """
        agent_id = id_or_type if isinstance(id_or_type, AgentId) else AgentId(id_or_type, key)
        if not lazy:
            await self._at_home(lambda: self._registry.find(agent_id))
        return agent_id

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        """Return what an agent says about itself."""
        return (await self.try_get_underlying_agent_instance(agent)).metadata

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """Return what one agent remembers, as JSON-able data."""
        found: Agent = await self.try_get_underlying_agent_instance(agent)
        return await found.save_state()

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Give one agent back what it remembered."""
        await (await self.try_get_underlying_agent_instance(agent)).load_state(state)

    async def save_state(self) -> Mapping[str, Any]:
        """Return what all agents remember, by their ids; subscriptions are not in it."""
        return {str(one): dict(await agent.save_state()) for one, agent in self.agents.items()}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Give the agents back what `save_state` returned; they are made if need be.

        Agents of types that are not registered are left out, with a warning in the log.
        """
        for name, remembered in state.items():
            agent_id = AgentId.from_str(name)
            if agent_id.type in self._registry.types:
                await self.agent_load_state(agent_id, remembered)
            else:
                _log.warning("The state of %s is left out: its type is not registered.", name)

    async def add_subscription(self, subscription: Subscription) -> None:
        """Give an agent the messages of further topics; one that equals it is replaced."""
        self._topics.add(subscription, registering_type.get())

    async def remove_subscription(self, id: str) -> None:
        """Take a subscription away.

        Raises:
            AgentLookupError: There is none with that id.
        """
        self._topics.remove(id)

    def add_message_serializer(self, serializer: Any | Sequence[Any]) -> None:
        """Accept a serializer, which is not needed: messages do not leave the process."""

    async def _replace(self, kind: str, gone: list[Agent]) -> None:
        with self._dispatcher.lock:
            self._dispatcher.handling.replace(kind, asyncio.get_running_loop())
        await self._let_go(gone)

    async def _let_go(self, agents: list[Agent]) -> None:
        """Close agents that the runtime made, each when it has handled what it is at."""
        for agent in agents:
            if self._is_handling(agent):
                self._later(self._close_when_done(agent))
            else:
                await _close(agent)

    async def _close_when_done(self, agent: Agent) -> None:
        await self._dispatcher.watch.until(lambda: not self._is_handling(agent))
        await _close(agent)

    def _is_handling(self, agent: Agent) -> bool:
        return any(delivery.agent is agent for delivery in self._dispatcher.handling.active)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        # A loop keeps only weak references to its tasks.
        task = asyncio.create_task(work)
        self._dispatcher.chores.add(task)
        task.add_done_callback(self._dispatcher.chores.discard)

    async def _at_home(self, action: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Do something on the loop where the runtime's messages are under way."""
        with self._dispatcher.lock:
            home = self._dispatcher.enter(asyncio.get_running_loop())
        return await (action() if home else self._elsewhere(action()))

    async def _elsewhere(self, work: Coroutine[Any, Any, Result]) -> Result:
        loop = self._dispatcher.loop
        assert loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


async def _close(agent: Agent) -> None:
    try:
        await agent.close()
    except Exception:  # noqa: BLE001 - whoever puts another in its place has no part in it
        _log.exception("An agent that was replaced or removed failed to close.")
