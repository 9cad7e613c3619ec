"""The agents of a runtime: how they are made, and those there are."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from nbagents.errors import AgentLookupError, ConfigurationError, UndeliverableException
from nbagents.runtime._deliveries import Delivery, current
from nbagents.runtime._identity import AgentId
from nbagents.runtime._instantiation import AgentInstantiationContext
from nbagents.runtime._protocol import Agent, AgentRuntime
from nbagents.runtime._types import is_instance, same_class

__all__ = ["Registry"]

Factory = Callable[[], Agent | Awaitable[Agent]]

# The agents whose factories wait for what is running.
_being_made: ContextVar[tuple[AgentId, ...]] = ContextVar("nbagents_being_made", default=())


@dataclass(eq=False)
class _Registration:
    """How the agents of a type come to be: by a factory, or one by one from outside."""

    factory: Factory | None
    agent_class: type | None


class Registry:
    """The agents of a runtime."""

    def __init__(self, runtime: AgentRuntime) -> None:
        self._runtime = runtime
        self.types: dict[str, _Registration] = {}
        self.agents: dict[AgentId, Agent] = {}
        self._making: dict[AgentId, tuple[asyncio.Future[None], Delivery | None]] = {}

    def knows(self, agent_id: AgentId) -> bool:
        """Whether there is such an agent, or a factory to make it."""
        known = self.types.get(agent_id.type)
        return known is not None and (known.factory is not None or agent_id in self.agents)

    def is_made_by_factory(self, kind: str) -> bool:
        """Whether the agents of a type come from a factory."""
        known = self.types.get(kind)
        return known is not None and known.factory is not None

    def forget_making(self) -> None:
        """Give up the agents that were being made on an event loop that is gone."""
        self._making.clear()

    @property
    def busy(self) -> bool:
        """Whether an agent is being made."""
        return bool(self._making)

    def add_factory(self, kind: str, factory: Factory, expected: type | None) -> list[Agent]:
        """Let agents of a type be made by ``factory``.

        Returns:
            The agents that an earlier factory had made; they are agents of the runtime no more.
        """
        try:
            inspect.signature(factory).bind()
        except TypeError:
            raise ConfigurationError(
                f"The factory of {kind!r} must take no arguments; AgentInstantiationContext "
                "tells it the id and the runtime."
            ) from None
        gone = self.remove_type(kind) if kind in self.types else []
        self.types[kind] = _Registration(factory, expected)
        return gone

    def add_agent(self, agent: Agent, agent_id: AgentId) -> list[Agent]:
        """Take in an agent that exists; return those that a factory made before it."""
        known, gone = self.types.get(agent_id.type), []
        others = [one for one in self.agents if one.type == agent_id.type and one != agent_id]
        if known is None or known.factory is not None:
            gone = self.remove_type(agent_id.type) if known else []
        elif others and not same_class(known.agent_class, type(agent)):
            raise ConfigurationError(
                f"Agents of type {agent_id.type!r} are {known.agent_class} here; register "
                f"{agent!r} under another type."
            )
        self.types[agent_id.type] = _Registration(None, type(agent))
        self.agents[agent_id] = agent
        return gone

    def remove_type(self, kind: str) -> list[Agent]:
        """Forget a type; return those of its agents that the runtime had made."""
        registration = self._registration(kind)
        del self.types[kind]
        gone = [self.agents.pop(one) for one in list(self.agents) if one.type == kind]
        return gone if registration.factory is not None else []

    def remove_agent(self, agent_id: AgentId) -> list[Agent]:
        """Forget an agent; return it if the runtime had made it."""
        registration = self._registration(agent_id.type)
        agent = self.agents.pop(agent_id, None)
        if agent is None:
            raise AgentLookupError(f"There is no agent {agent_id}.")
        return [agent] if registration.factory is not None else []

    async def find(self, agent_id: AgentId) -> Agent:
        """Return an agent, which is made if need be.

        Raises:
            AgentLookupError: There is none, and no factory that makes it.
        """
        while (agent := self.agents.get(agent_id)) is None:
            registration = self._registration(agent_id.type)
            if registration.factory is None:
                raise AgentLookupError(
                    f"There is no agent {agent_id}: agents of its type are registered one by "
                    "one. Use the key of one that is."
                )
            if agent_id in self._making:
                await self._wait_for(agent_id)
            else:
                await self._make(agent_id, registration, registration.factory)
        return agent

    async def _wait_for(self, agent_id: AgentId) -> None:
        made, maker = self._making[agent_id]
        here = current.get()
        let_in = maker is not None and here is not None and here.line is maker.line
        if let_in or agent_id in _being_made.get():
            raise UndeliverableException(
                f"{agent_id} is still being made, and its factory waits for this message."
            )
        # A cancelled wait must not cancel what others wait for.
        await asyncio.wait([made])

    async def _make(self, agent_id: AgentId, registration: _Registration, factory: Factory) -> None:
        made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._making[agent_id] = made, current.get()
        token = _being_made.set((*_being_made.get(), agent_id))
        try:
            with AgentInstantiationContext.populate_context((self._runtime, agent_id)):
                agent = await _called(factory)
            _check(agent, registration.agent_class, agent_id)
            await agent.bind_id_and_runtime(id=agent_id, runtime=self._runtime)
            # The type may have been registered again meanwhile.
            if self.types.get(agent_id.type) is registration:
                self.agents.setdefault(agent_id, agent)
        finally:
            _being_made.reset(token)
            self._making.pop(agent_id, None)
            made.set_result(None)

    def _registration(self, kind: str) -> _Registration:
        known = self.types.get(kind)
        if known is None:
            raise AgentLookupError(f"No agent type {kind!r} is registered. {self.hint()}")
        return known

    def hint(self) -> str:
        """Say which types there are."""
        if not self.types:
            return "None is; await YourAgent.register(runtime, 'name', factory) first."
        return f"Registered: {', '.join(sorted(self.types))}."


async def _called(factory: Factory) -> Any:
    made = factory()
    return await made if inspect.isawaitable(made) else made


def _check(agent: Any, expected: type | None, agent_id: AgentId) -> None:
    if expected is not None and not is_instance(agent, expected):
        raise ConfigurationError(
            f"The factory of {agent_id.type!r} made a {type(agent).__name__}, not a "
            f"{expected.__name__}; register it with {type(agent).__name__}.register."
        )
