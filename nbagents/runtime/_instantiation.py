"""What code that makes an agent, or its subscriptions, may ask: for which runtime, as whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from nbagents.errors import RuntimeStateError
from nbagents.runtime._identity import AgentId

if TYPE_CHECKING:
    from nbagents.runtime._protocol import AgentRuntime

__all__ = ["AgentInstantiationContext", "leave_factory", "registering", "registering_type"]

_making: ContextVar[tuple[AgentRuntime, AgentId] | None] = ContextVar(
    "nbagents_making_agent", default=None
)
# The agent type whose registration is under way; its subscriptions belong to it.
registering_type: ContextVar[str | None] = ContextVar("nbagents_registering", default=None)


class AgentInstantiationContext:
    """Tells a factory, or an agent's ``__init__``, which agent is being made, and where."""

    def __init__(self) -> None:
        raise RuntimeStateError(
            "AgentInstantiationContext has no instances; call its class methods in a factory."
        )

    @classmethod
    @contextmanager
    def populate_context(cls, ctx: tuple[AgentRuntime, AgentId]) -> Iterator[None]:
        """Make ``ctx`` the runtime and id of the agents that are made inside."""
        token = _making.set(ctx)
        try:
            yield
        finally:
            _making.reset(token)

    @classmethod
    def current_runtime(cls) -> AgentRuntime:
        """The runtime that is making the agent.

        Raises:
            RuntimeStateError: None is.
        """
        return cls._current()[0]

    @classmethod
    def current_agent_id(cls) -> AgentId:
        """The id of the agent that is being made.

        Raises:
            RuntimeStateError: None is.
        """
        return cls._current()[1]

    @classmethod
    def is_in_factory_call(cls) -> bool:
        """Whether a runtime is making an agent."""
        return _making.get() is not None

    @classmethod
    def _current(cls) -> tuple[AgentRuntime, AgentId]:
        current = _making.get()
        if current is None:
            raise RuntimeStateError(
                "No runtime is making an agent here; register a factory, in which this works."
            )
        return current


def leave_factory() -> None:
    """Forget, in what a factory has set off, that it was called."""
    if _making.get() is not None:
        _making.set(None)


@contextmanager
def registering(agent_type: str) -> Iterator[None]:
    """Let subscriptions that are made or added inside belong to ``agent_type``."""
    token = registering_type.set(agent_type)
    try:
        yield
    finally:
        registering_type.reset(token)
