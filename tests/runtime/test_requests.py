"""Requests: answered in order, whatever happens, and cancelled when nobody waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from nbagents import (
    AgentId,
    AgentInstantiationContext,
    AgentProxy,
    CancellationToken,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    message_handler,
)
from nbagents.errors import UndeliverableException
from tests.runtime.messages import (
    ECHO,
    SLOW,
    Ask,
    Echo,
    Failing,
    Passing,
    Slow,
    Text,
    runtime_with,
    settle,
)


async def test_an_agent_answers_the_sender() -> None:
    runtime = await runtime_with(echo=Echo)
    runtime.start()
    assert await runtime.send_message(Text("hi"), ECHO) == Text("echo/default: hi")


async def test_a_request_is_answered_although_the_runtime_is_not_started() -> None:
    runtime = await runtime_with(echo=Echo)
    assert await runtime.send_message(Text("hi"), ECHO) == Text("echo/default: hi")


async def test_a_request_made_before_start_is_answered() -> None:
    runtime = await runtime_with(echo=Echo)
    request = asyncio.create_task(runtime.send_message(Text("hi"), ECHO))
    runtime.start()
    assert await request == Text("echo/default: hi")


async def test_a_request_made_before_process_next_is_answered() -> None:
    runtime = await runtime_with(echo=Echo)
    request = asyncio.create_task(runtime.send_message(Text("hi"), ECHO))
    while not request.done():
        await runtime.process_next()
    assert await request == Text("echo/default: hi")


async def test_what_the_handler_raises_goes_to_the_sender() -> None:
    runtime = await runtime_with(failing=Failing)
    with pytest.raises(ValueError, match=r"^oh no$"):
        await runtime.send_message(Text("oh no"), AgentId("failing", "default"))


async def test_a_request_to_nobody_says_who_there_is() -> None:
    runtime = await runtime_with(echo=Echo, slow=Slow)
    with pytest.raises(UndeliverableException, match=r"no agent who/x\. Registered: echo, slow\."):
        await runtime.send_message(Text("hi"), AgentId("who", "x"))


async def test_an_agents_messages_are_handled_one_at_a_time_in_order() -> None:
    runtime = await runtime_with(slow=Slow)
    requests = [
        asyncio.create_task(runtime.send_message(Text(words), SLOW)) for words in ("one", "two")
    ]
    await settle()
    slow = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    assert slow.notes == ["begin one"]
    assert runtime.unprocessed_messages_count == 1
    slow.let.set()
    await asyncio.gather(*requests)
    assert slow.notes == ["begin one", "end one", "begin two", "end two"]


async def test_different_agents_handle_messages_side_by_side() -> None:
    runtime = await runtime_with(slow=Slow)
    ids = [AgentId("slow", key) for key in "ab"]
    requests = [asyncio.create_task(runtime.send_message(Text("hi"), one)) for one in ids]
    await settle()
    for one in ids:
        slow = await runtime.try_get_underlying_agent_instance(one, Slow)
        assert slow.notes == ["begin hi"]
        slow.let.set()
    await asyncio.gather(*requests)


@pytest.mark.parametrize("made_before", [True, False])
async def test_an_agent_that_asks_for_it_handles_messages_side_by_side(made_before: bool) -> None:
    class Fast(Slow, concurrent_messages=True):
        pass

    runtime = await runtime_with(slow=Fast)
    await runtime.get(SLOW, lazy=not made_before)
    requests = [
        asyncio.create_task(runtime.send_message(Text(words), SLOW)) for words in ("one", "two")
    ]
    await settle()
    requests.append(asyncio.create_task(runtime.send_message(Text("three"), SLOW)))
    await settle()
    slow = await runtime.try_get_underlying_agent_instance(SLOW, Fast)
    assert slow.notes == ["begin one", "begin two", "begin three"]
    slow.let.set()
    await asyncio.gather(*requests)


async def test_a_request_reaches_an_agent_that_waits_for_it() -> None:
    """A asks B, which asks A: waiting for A to be done would never end."""
    runtime = await runtime_with(a=Passing, b=Passing)
    a, b = AgentId("a", "x"), AgentId("b", "x")
    answer = await runtime.send_message(Ask("hi", (b, a, b)), a)
    assert answer == Text("a/x < b/x < a/x < b/x: hi")


async def test_agents_that_ask_each_other_at_the_same_time_all_get_answers() -> None:
    """A asks B while B asks A: neither chain holds what it asks for, but each waits for both."""
    runtime = await runtime_with(a=Passing, b=Passing, c=Passing)
    a, b, c = (AgentId(name, "x") for name in "abc")
    async with asyncio.timeout(30):
        answers = await asyncio.gather(
            runtime.send_message(Ask("1", (b, c)), a),
            runtime.send_message(Ask("2", (c, a)), b),
            runtime.send_message(Ask("3", (a, b)), c),
            runtime.send_message(Ask("4", (b, a, c, a)), c),
        )
    assert [answer.words for answer in answers] == [
        "a/x < b/x < c/x: 1",
        "b/x < c/x < a/x: 2",
        "c/x < a/x < b/x: 3",
        "c/x < b/x < a/x < c/x < a/x: 4",
    ]


async def test_a_request_out_of_the_blue_waits_while_a_chain_comes_back() -> None:
    runtime = await runtime_with(a=Passing, b=Passing)
    a, b = AgentId("a", "x"), AgentId("b", "x")
    ended: list[str] = []

    async def ask(words: str, *route: AgentId) -> None:
        await runtime.send_message(Ask(words, route), a)
        ended.append(words)

    await asyncio.gather(ask("long", b, a, b, a), ask("short"))
    assert ended == ["long", "short"]


async def test_a_factory_that_waits_for_its_own_agent_is_told() -> None:
    runtime = SingleThreadedAgentRuntime()

    async def factory() -> Echo:
        await runtime.send_message(Text("too early"), ECHO)
        return Echo()

    await Echo.register(runtime, "echo", factory)
    with pytest.raises(UndeliverableException, match="still being made"):
        await runtime.send_message(Text("hi"), ECHO)
    with pytest.raises(UndeliverableException, match="still being made"):
        await runtime.get(ECHO, lazy=False)


async def test_factories_that_wait_for_each_other_are_told() -> None:
    runtime = SingleThreadedAgentRuntime()
    ids = AgentId("a", "x"), AgentId("b", "x")

    def factory(other: AgentId) -> Callable[[], Awaitable[Echo]]:
        async def make() -> Echo:
            await asyncio.sleep(0)
            await runtime.send_message(Text("are you there?"), other)
            return Echo()

        return make

    await Echo.register(runtime, "a", factory(ids[1]))
    await Echo.register(runtime, "b", factory(ids[0]))
    async with asyncio.timeout(30):
        for answer in await asyncio.gather(
            *(runtime.send_message(Text("hi"), one) for one in ids), return_exceptions=True
        ):
            assert isinstance(answer, UndeliverableException)


async def test_what_a_factory_sets_off_is_not_the_making_of_an_agent() -> None:
    class Looking(RoutedAgent):
        @message_handler
        async def on_text(self, message: Text, ctx: MessageContext) -> bool:
            return AgentInstantiationContext.is_in_factory_call()

    runtime = SingleThreadedAgentRuntime()
    seen: list[bool] = []

    async def factory() -> Echo:
        seen.append(await runtime.send_message(Text(""), AgentId("looking", "x")))
        return Echo()

    await Looking.register(runtime, "looking", lambda: Looking("Looks."))
    await Echo.register(runtime, "echo", factory)
    await runtime.send_message(Text("hi"), ECHO)
    assert seen == [False]


async def test_cancelling_the_sender_cancels_the_handler_and_its_token() -> None:
    runtime = await runtime_with(slow=Slow)
    request = asyncio.create_task(runtime.send_message(Text("hi"), SLOW))
    await settle()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await settle()
    slow = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    assert slow.notes == ["begin hi", "cancel hi True"]


async def test_a_senders_own_token_is_not_used_when_its_task_is_cancelled() -> None:
    runtime = await runtime_with(slow=Slow)
    token = CancellationToken()
    send = runtime.send_message(Text("hi"), SLOW, cancellation_token=token)
    request = asyncio.create_task(send)
    await settle()
    request.cancel()
    await asyncio.wait([request])
    assert not token.is_cancelled()


async def test_a_token_cancels_the_request_and_the_handler() -> None:
    runtime = await runtime_with(slow=Slow)
    token = CancellationToken()
    send = runtime.send_message(Text("hi"), SLOW, cancellation_token=token)
    request = asyncio.create_task(send)
    await settle()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await settle()
    slow = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    assert slow.notes == ["begin hi", "cancel hi True"]


async def test_a_token_works_from_another_thread() -> None:
    runtime = await runtime_with(slow=Slow)
    token = CancellationToken()
    send = runtime.send_message(Text("hi"), SLOW, cancellation_token=token)
    request = asyncio.create_task(send)
    await settle()
    await asyncio.to_thread(token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await request


async def test_a_request_with_a_used_token_is_never_handled() -> None:
    runtime = await runtime_with(echo=Echo)
    token = CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await runtime.send_message(Text("hi"), ECHO, cancellation_token=token)
    echo = await runtime.try_get_underlying_agent_instance(ECHO, Echo)
    assert echo.heard == []


async def test_a_cancelled_request_leaves_the_line() -> None:
    runtime = await runtime_with(slow=Slow)
    first, second, third = (
        asyncio.create_task(runtime.send_message(Text(words), SLOW)) for words in "123"
    )
    await settle()
    second.cancel()
    await settle()
    assert runtime.unprocessed_messages_count == 1
    slow = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    slow.let.set()
    await asyncio.gather(first, third)
    assert slow.notes == ["begin 1", "end 1", "begin 3", "end 3"]


async def test_cancelling_goes_down_a_chain_of_requests() -> None:
    runtime = await runtime_with(a=Passing, slow=Slow)

    class Caller(RoutedAgent):
        @message_handler
        async def on_text(self, message: Text, ctx: MessageContext) -> Text:
            answer: Text = await self.send_message(message, SLOW)
            return answer

    await Caller.register(runtime, "caller", lambda: Caller("Calls."))
    caller = AgentId("caller", "x")
    request = asyncio.create_task(runtime.send_message(Text("hi"), caller))
    await settle()
    request.cancel()
    await settle()
    slow = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    assert slow.notes == ["begin hi", "cancel hi True"]


async def test_an_error_that_comes_after_the_sender_left_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stubborn(RoutedAgent):
        @message_handler
        async def on_text(self, message: Text, ctx: MessageContext) -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise ValueError("in the middle of it") from None

    runtime = SingleThreadedAgentRuntime()
    await Stubborn.register(runtime, "stubborn", lambda: Stubborn("Never stops."))
    send = runtime.send_message(Text("hi"), AgentId("stubborn", "x"))
    request = asyncio.create_task(send)
    await settle()
    request.cancel()
    with caplog.at_level(logging.ERROR, logger="nbagents.runtime"):
        await settle()
    [record] = caplog.records
    assert "stubborn/x failed with a Text for whose answer nobody waits" in record.message


async def test_a_handler_runs_with_its_senders_context_variables() -> None:
    from contextvars import ContextVar

    cell: ContextVar[int] = ContextVar("cell", default=0)

    class Seeing(RoutedAgent):
        @message_handler
        async def on_text(self, message: Text, ctx: MessageContext) -> int:
            seen = cell.get()
            cell.set(-1)
            return seen

    runtime = SingleThreadedAgentRuntime()
    await Seeing.register(runtime, "seeing", lambda: Seeing("Sees."))
    runtime.start()
    cell.set(7)
    assert await runtime.send_message(Text(""), AgentId("seeing", "x")) == 7
    assert cell.get() == 7


async def test_a_proxy_stands_for_an_agent() -> None:
    runtime = await runtime_with(echo=Echo)
    proxy = AgentProxy(ECHO, runtime)
    assert await proxy.send_message(Text("hi"), sender=SLOW) == Text("echo/default: hi")
    assert (await proxy.metadata)["description"] == "Returns what it is told."
    assert proxy.id == ECHO
