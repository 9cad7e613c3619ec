"""Starting, stopping, closing: nobody is left waiting, and nothing is left running."""

from __future__ import annotations

import asyncio

import pytest

from nbagents import (
    AgentId,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    default_subscription,
    message_handler,
)
from nbagents.errors import RuntimeStateError, UndeliverableException
from tests.runtime.messages import ECHO, SLOW, TOPIC, Echo, Slow, Text, runtime_with, settle


async def slow_of(runtime: SingleThreadedAgentRuntime) -> Slow:
    return await runtime.try_get_underlying_agent_instance(SLOW, Slow)


async def test_stop_completes_what_is_handled_and_fails_what_waits() -> None:
    runtime = await runtime_with(slow=Slow)
    runtime.start()
    first, second = (asyncio.create_task(runtime.send_message(Text(words), SLOW)) for words in "12")
    await settle()
    stopping = asyncio.create_task(runtime.stop())
    with pytest.raises(UndeliverableException, match="stopped before the message's turn"):
        await second
    with pytest.raises(UndeliverableException, match="stopped"):
        await runtime.send_message(Text("too late"), SLOW)
    await runtime.publish_message(Text("too late"), TOPIC)
    assert not stopping.done()
    (await slow_of(runtime)).let.set()
    assert await first == Text("1")
    await stopping
    assert (await slow_of(runtime)).notes == ["begin 1", "end 1"]
    assert runtime.unprocessed_messages_count == 0


async def test_a_stopped_runtime_can_be_used_again() -> None:
    runtime = await runtime_with(echo=Echo)
    for _ in range(3):
        runtime.start()
        await runtime.publish_message(Text("hi"), TOPIC)
        await runtime.stop_when_idle()
    echo = await runtime.try_get_underlying_agent_instance(ECHO, Echo)
    assert echo.heard == ["hi"] * 3
    assert await runtime.send_message(Text("hi"), ECHO) == Text("echo/default: hi")


@pytest.mark.parametrize("end", ["stop", "stop_when_idle", "stop_when"])
async def test_stopping_what_is_not_started_is_an_error(end: str) -> None:
    runtime = SingleThreadedAgentRuntime()
    arguments = [lambda: True] if end == "stop_when" else []
    with pytest.raises(RuntimeStateError, match="not started"):
        await getattr(runtime, end)(*arguments)


def test_start_without_an_event_loop_says_where_to_call_it() -> None:
    with pytest.raises(RuntimeStateError, match="in a cell or an async function"):
        SingleThreadedAgentRuntime().start()


async def test_start_twice_is_as_good_as_once() -> None:
    runtime = await runtime_with(echo=Echo)
    runtime.start()
    runtime.start()
    await runtime.stop()
    with pytest.raises(RuntimeStateError, match="not started"):
        await runtime.stop()


async def test_stop_when_idle_waits_for_what_handlers_set_off() -> None:
    @default_subscription
    class Countdown(RoutedAgent):
        @message_handler
        async def on_int(self, message: int, ctx: MessageContext) -> None:
            await asyncio.sleep(0.001)
            counted.append(message)
            if message:
                await self.runtime.publish_message(message - 1, DefaultTopicId())

    counted: list[int] = []
    runtime = SingleThreadedAgentRuntime()
    await Countdown.register(runtime, "countdown", lambda: Countdown("Counts."))
    runtime.start()
    await runtime.publish_message(3, TOPIC)
    await runtime.stop_when_idle()
    assert counted == [3, 2, 1, 0]


async def test_stop_when_stops_as_soon_as_the_condition_holds() -> None:
    runtime = await runtime_with(echo=Echo)
    echo = await runtime.try_get_underlying_agent_instance(ECHO, Echo)
    runtime.start()
    stopping = asyncio.create_task(runtime.stop_when(lambda: len(echo.heard) == 2))
    for words in "123":
        await runtime.send_message(Text(words), ECHO)
        await settle()
    await stopping
    with pytest.raises(RuntimeStateError, match="not started"):
        await runtime.stop()


async def test_stop_when_sees_a_condition_that_no_message_changes() -> None:
    runtime = SingleThreadedAgentRuntime()
    runtime.start()
    flag = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, flag.set)
    async with asyncio.timeout(30):
        await runtime.stop_when(flag.is_set)


async def test_stop_when_raises_what_its_condition_raises() -> None:
    runtime = SingleThreadedAgentRuntime()
    runtime.start()
    with pytest.raises(ZeroDivisionError):
        await runtime.stop_when(lambda: 1 / 0 > 1)
    await runtime.stop()


@pytest.mark.parametrize("end", ["stop", "stop_when_idle", "close"])
async def test_a_handler_can_end_the_runtime_it_runs_in(end: str) -> None:
    @default_subscription
    class Ending(RoutedAgent):
        @message_handler
        async def on_text(self, message: Text, ctx: MessageContext) -> str:
            await getattr(self.runtime, end)()
            return "ended"

    runtime = SingleThreadedAgentRuntime()
    await Ending.register(runtime, "ending", lambda: Ending("Ends it all."))
    runtime.start()
    async with asyncio.timeout(30):
        assert await runtime.send_message(Text("now"), AgentId("ending", "x")) == "ended"


async def test_two_handlers_that_wait_for_idleness_do_not_wait_for_each_other() -> None:
    class Ending(RoutedAgent):
        @message_handler
        async def on_text(self, message: Text, ctx: MessageContext) -> str:
            await runtime.stop_when_idle()
            return "ended"

    runtime = SingleThreadedAgentRuntime()
    await Ending.register(runtime, "ending", lambda: Ending("Ends it all."))
    runtime.start()
    async with asyncio.timeout(30):
        answers = await asyncio.gather(
            *(runtime.send_message(Text(""), AgentId("ending", key)) for key in "ab")
        )
    assert answers == ["ended", "ended"]


async def test_close_cancels_what_is_handled_and_closes_the_agents() -> None:
    runtime = await runtime_with(slow=Slow, echo=Echo)
    runtime.start()
    await runtime.send_message(Text("hi"), ECHO)
    first, second = (asyncio.create_task(runtime.send_message(Text(words), SLOW)) for words in "12")
    await settle()
    before = asyncio.all_tasks()
    await runtime.close()
    for request in (first, second):
        with pytest.raises(UndeliverableException, match="The runtime was closed"):
            await request
    assert (await slow_of(runtime)).notes == ["begin 1", "cancel 1 True"]
    assert (await runtime.try_get_underlying_agent_instance(ECHO, Echo)).closed == 1
    assert asyncio.all_tasks() < before


async def test_close_closes_all_agents_although_one_fails_to() -> None:
    class Breaking(Echo):
        async def close(self) -> None:
            raise ValueError("will not")

    runtime = await runtime_with(a=Breaking, echo=Echo)
    await runtime.get("a", lazy=False)
    echo = await runtime.try_get_underlying_agent_instance(ECHO, Echo)
    with pytest.raises(ExceptionGroup) as info:
        await runtime.close()
    assert [str(error) for error in info.value.exceptions] == ["will not"]
    assert echo.closed == 1


async def test_a_request_under_way_at_stop_whose_handler_asks_on_is_refused() -> None:
    class Asking(RoutedAgent):
        @message_handler
        async def on_text(self, message: Text, ctx: MessageContext) -> str:
            await let.wait()
            try:
                await self.send_message(message, ECHO)
            except UndeliverableException:
                return "refused"
            return "answered"

    let = asyncio.Event()
    runtime = await runtime_with(echo=Echo)
    await Asking.register(runtime, "asking", lambda: Asking("Asks."))
    runtime.start()
    request = asyncio.create_task(runtime.send_message(Text(""), AgentId("asking", "x")))
    await settle()
    stopping = asyncio.create_task(runtime.stop())
    await settle()
    with pytest.raises(RuntimeStateError, match="cannot be started now"):
        runtime.start()
    let.set()
    await stopping
    assert await request == "refused"
