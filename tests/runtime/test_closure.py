"""Agents that are functions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nbagents import (
    AgentId,
    ClosureAgent,
    ClosureContext,
    DefaultSubscription,
    MessageContext,
    SingleThreadedAgentRuntime,
)
from nbagents.errors import CantHandleException, HandlerDefinitionError, RuntimeStateError
from tests.runtime.messages import ECHO, TOPIC, Echo, Text, runtime_with

CLOSURE = AgentId("closure", "default")


async def test_a_closure_collects_what_is_published() -> None:
    results = asyncio.Queue[Text]()

    async def collect(agent: ClosureContext, message: Text, ctx: MessageContext) -> None:
        assert agent.id == CLOSURE
        await results.put(message)

    runtime = SingleThreadedAgentRuntime()
    await ClosureAgent.register_closure(
        runtime, "closure", collect, subscriptions=lambda: [DefaultSubscription()]
    )
    runtime.start()
    await runtime.publish_message(Text("hi"), TOPIC)
    await runtime.stop_when_idle()
    assert results.get_nowait() == Text("hi")


async def test_subscriptions_may_be_awaited() -> None:
    async def subscriptions() -> list[Any]:
        return [DefaultSubscription()]

    async def ignore(agent: ClosureContext, message: Text, ctx: MessageContext) -> None: ...

    runtime = SingleThreadedAgentRuntime()
    await ClosureAgent.register_closure(runtime, "closure", ignore, subscriptions=subscriptions)
    runtime.start()
    await runtime.publish_message(Text("hi"), TOPIC)
    await runtime.stop_when_idle()
    assert list(runtime.agents) == [CLOSURE]


async def test_a_closure_sends_and_publishes() -> None:
    async def relay(agent: ClosureContext, message: str, ctx: MessageContext) -> str:
        await agent.publish_message(Text("published"), TOPIC)
        answer: Text = await agent.send_message(Text(message), ECHO)
        return answer.words

    runtime = await runtime_with(echo=Echo)
    await ClosureAgent.register_closure(runtime, "closure", relay, description="Relays.")
    assert await runtime.send_message("hi", CLOSURE) == "echo/default: hi"
    assert (await runtime.agent_metadata(CLOSURE))["description"] == "Relays."
    await runtime.agent_load_state(CLOSURE, {})
    assert await runtime.agent_save_state(CLOSURE) == {}


async def one_type(agent: ClosureContext, message: int, ctx: MessageContext) -> int:
    return message


async def any_type(agent: ClosureContext, message: Any, ctx: MessageContext) -> str:
    return type(message).__name__


class Callable:
    async def __call__(self, agent: ClosureContext, message: int, ctx: MessageContext) -> int:
        return message + 1


async def ask(closure: Any, message: Any, **arguments: Any) -> Any:
    runtime = SingleThreadedAgentRuntime()
    await ClosureAgent.register_closure(runtime, "closure", closure, **arguments)
    return await runtime.send_message(message, CLOSURE)


async def test_any_takes_every_message() -> None:
    assert await ask(any_type, 7) == "int"


async def test_a_callable_object_is_a_closure() -> None:
    assert await ask(Callable(), 7) == 8


async def test_a_message_of_another_type_is_warned_about() -> None:
    with pytest.warns(UserWarning, match="closure/default does not take str"):
        assert await ask(one_type, "x") is None


async def test_a_message_of_another_type_is_an_error_if_so_wished() -> None:
    with pytest.raises(CantHandleException, match="closure/default does not take str"):
        await ask(one_type, "x", unknown_type_policy="error")


async def test_a_message_of_another_type_is_ignored_if_so_wished() -> None:
    assert await ask(one_type, "x", unknown_type_policy="ignore") is None


async def test_a_closure_that_cannot_work_is_refused_when_it_is_registered() -> None:
    async def too_few(message: int, ctx: MessageContext) -> None: ...

    with pytest.raises(HandlerDefinitionError, match="must take three arguments"):
        await ask(too_few, 7)
    with pytest.raises(HandlerDefinitionError, match="annotate 'message'"):
        await ask(lambda agent, message, ctx: None, 7)


def test_only_a_runtime_makes_a_closure_agent() -> None:
    with pytest.raises(RuntimeStateError, match=r"use ClosureAgent\.register_closure"):
        ClosureAgent("", one_type)
