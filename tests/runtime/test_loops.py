"""One runtime, several event loops and threads."""

from __future__ import annotations

import asyncio
import threading

import pytest

from nbagents import SingleThreadedAgentRuntime, default_subscription
from nbagents.errors import RuntimeStateError
from tests.runtime.messages import ECHO, SLOW, TOPIC, Echo, Slow, Text, runtime_with, settle


def test_a_runtime_lives_through_several_runs() -> None:
    runtime = asyncio.run(runtime_with(echo=Echo))

    async def run(words: str) -> Text:
        runtime.start()
        await runtime.publish_message(Text(f"published {words}"), TOPIC)
        answer: Text = await runtime.send_message(Text(words), ECHO)
        await runtime.stop_when_idle()
        return answer

    assert [asyncio.run(run(words)).words for words in "12"] == [
        "echo/default: 1",
        "echo/default: 2",
    ]


def test_what_a_closed_loop_left_behind_is_in_nobodys_way() -> None:
    runtime = asyncio.run(runtime_with(slow=Slow, echo=Echo))

    async def abandon() -> None:
        runtime.start()
        first, second = (
            asyncio.create_task(runtime.send_message(Text(words), SLOW)) for words in "12"
        )
        await settle()
        assert not first.done()
        assert not second.done()

    asyncio.run(abandon())

    async def ask() -> Text:
        assert runtime.unprocessed_messages_count == 0
        with pytest.raises(RuntimeStateError, match="not started"):
            await runtime.stop()
        answer: Text = await runtime.send_message(Text("hi"), ECHO)
        return answer

    assert asyncio.run(ask()) == Text("echo/default: hi")


def test_what_was_published_before_the_start_survives_its_loop() -> None:
    runtime = asyncio.run(runtime_with(echo=Echo))
    asyncio.run(runtime.publish_message(Text("early"), TOPIC))

    async def run() -> None:
        runtime.start()
        await runtime.stop_when_idle()

    asyncio.run(run())
    [agent] = runtime.agents.values()
    assert agent.heard == ["early"]  # type: ignore[attr-defined]


async def test_calls_from_another_threads_loop_are_handed_over() -> None:
    runtime = await runtime_with(slow=Slow, echo=Echo)
    runtime.start()
    busy = asyncio.create_task(runtime.send_message(Text("busy"), SLOW))
    await settle()
    here = threading.get_ident()
    seen: list[int] = []

    @default_subscription
    class Noting(Echo):
        def __init__(self) -> None:
            seen.append(threading.get_ident())
            super().__init__()

    await Noting.register(runtime, "echo", Noting)

    async def elsewhere() -> Text:
        await runtime.publish_message(Text("published"), TOPIC)
        answer: Text = await runtime.send_message(Text("sent"), ECHO)
        return answer

    assert await asyncio.to_thread(asyncio.run, elsewhere()) == Text("echo/default: sent")
    assert seen == [here]
    slow = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    slow.let.set()
    await busy
    await asyncio.to_thread(asyncio.run, runtime.stop_when_idle())
    echo = await runtime.try_get_underlying_agent_instance(ECHO, Echo)
    assert echo.heard == ["published", "sent"]


async def test_cancelling_in_another_thread_cancels_the_handler() -> None:
    runtime = await runtime_with(slow=Slow)
    busy = asyncio.create_task(runtime.send_message(Text("busy"), SLOW))
    await settle()
    other = await runtime.try_get_underlying_agent_instance(
        (await runtime.get("slow", "other")), Slow
    )

    async def elsewhere() -> None:
        asking = asyncio.ensure_future(runtime.send_message(Text("hi"), other.id))
        while not other.notes:  # noqa: ASYNC110 - the runtime is on another loop
            await asyncio.sleep(0.001)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    await asyncio.to_thread(asyncio.run, elsewhere())
    await settle()
    assert other.notes == ["begin hi", "cancel hi True"]
    busy.cancel()


async def test_a_runtime_with_nothing_under_way_moves_to_the_loop_that_uses_it() -> None:
    """A cell that waits for a thread must not be waited for by that thread."""
    runtime = await runtime_with(echo=Echo)
    runtime.start()
    answer = []

    def ask() -> None:
        answer.append(asyncio.run(runtime.send_message(Text("hi"), ECHO)))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(30)  # this loop stands still meanwhile
    assert answer == [Text("echo/default: hi")]
    await runtime.stop()


def test_what_is_under_way_on_a_loop_that_stands_still_is_told() -> None:
    runtime = asyncio.run(runtime_with(slow=Slow))
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Task[Text]:
        task = asyncio.create_task(runtime.send_message(Text("hi"), SLOW))
        await settle()
        return task

    task = loop.run_until_complete(begin())
    with pytest.raises(RuntimeStateError, match="another event loop, which is not running"):
        asyncio.run(runtime.send_message(Text("hi"), SLOW))
    task.cancel()
    loop.run_until_complete(settle())
    loop.close()


async def test_start_while_another_loop_is_busy_is_refused() -> None:
    runtime = await runtime_with(slow=Slow)
    busy = asyncio.create_task(runtime.send_message(Text("busy"), SLOW))
    await settle()

    async def start() -> None:
        runtime.start()

    with pytest.raises(RuntimeStateError, match="start it there"):
        await asyncio.to_thread(asyncio.run, start())
    busy.cancel()
    await settle()


def test_many_threads_use_one_runtime() -> None:
    runtime: SingleThreadedAgentRuntime = asyncio.run(runtime_with(echo=Echo))
    failures: list[BaseException] = []

    async def ask(name: str) -> None:
        for number in range(50):
            words = f"{name} {number}"
            answer = await runtime.send_message(Text(words), ECHO)
            assert answer == Text(f"echo/default: {words}")

    def run(name: str) -> None:
        try:
            asyncio.run(asyncio.wait_for(ask(name), 30))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert failures == []
    [agent] = runtime.agents.values()
    assert len(agent.heard) == 150  # type: ignore[attr-defined]
