"""The private loop and the thread that waits for it."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from nbagents.errors import NbAgentsError
from nbagents.loop import _pump
from nbagents.loop._calls import call_on_main
from nbagents.loop._engine import Engine, engine
from nbagents.loop._interrupts import Interrupted
from nbagents.loop._pump import drive, run
from tests.notebook.kernels import Kernel

who = contextvars.ContextVar("who", default="nobody")


@pytest.fixture
def own() -> Iterator[Engine]:
    """An engine of the test's own."""
    made = Engine()
    yield made
    made.close()


async def thread_name() -> str:
    return threading.current_thread().name


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


class TestEngine:
    def test_nothing_runs_until_it_is_needed(self, own: Engine) -> None:
        before = threading.active_count()
        assert not own.is_current
        assert threading.active_count() == before
        assert own.submit(thread_name()).result() == "nbagents"
        assert threading.active_count() == before + 1

    def test_it_is_one_loop_for_all_threads(self, own: Engine) -> None:
        loops = [own.loop]
        threads = [threading.Thread(target=lambda: loops.append(own.loop)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(loops)) == 1

    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
    def test_a_failing_task_does_not_end_it(
        self, own: Engine, error: type[BaseException], capsys: pytest.CaptureFixture[str]
    ) -> None:
        async def fail() -> None:
            raise error

        with pytest.raises(error):
            own.submit(fail()).result()
        own.loop.call_soon_threadsafe(lambda: own.loop.create_task(fail()))
        assert own.submit(thread_name()).result() == "nbagents"
        assert capsys.readouterr() == ("", "")

    def test_the_callers_context_goes_with_the_coroutine(self, own: Engine) -> None:
        async def read() -> str:
            return who.get()

        token = who.set("ada")
        try:
            assert own.submit(read()).result() == "ada"
        finally:
            who.reset(token)

    def test_closing_cancels_what_runs_and_a_later_use_starts_anew(self, own: Engine) -> None:
        ended = threading.Event()
        begun = threading.Event()

        async def wait() -> None:
            begun.set()
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        future = own.submit(wait())
        assert begun.wait(30)
        own.close()
        assert ended.is_set()
        assert future.cancelled()
        assert own.submit(thread_name()).result() == "nbagents"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_a_forked_process_gets_its_own_and_the_parents_goes_on(self) -> None:
        script = (
            "import os\n"
            "from nbagents.loop._pump import run\n"
            "async def name():\n    return os.getpid()\n"
            "run(name())\n"
            "child = os.fork()\n"
            "assert run(name()) == os.getpid()\n"
            "if child:\n"
            "    assert os.waitpid(child, 0)[1] == 0\n"
            "    assert run(name()) == os.getpid()\n"
        )
        # from Python 3.12 on it warns of forks while there are threads
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
        done = subprocess.run(command, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")

    def test_a_stream_that_runs_when_the_process_ends_is_closed_silently(self) -> None:
        script = (
            "import asyncio, threading\n"
            "from nbagents.loop._engine import engine\n"
            "begun = threading.Event()\n"
            "async def stream():\n"
            "    try:\n"
            "        begun.set()\n"
            "        await asyncio.sleep(60)\n"
            "    finally:\n"
            "        print('closed', flush=True)\n"
            "future = engine().submit(stream())\n"
            "begun.wait()\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"closed\n", b"")


class TestRun:
    def test_it_returns_what_the_coroutine_returns(self) -> None:
        assert run(thread_name()) == "nbagents"

    def test_it_raises_what_the_coroutine_raises(self) -> None:
        async def fail() -> None:
            raise LookupError("not here")

        with pytest.raises(LookupError, match="not here"):
            run(fail())

    async def test_it_works_where_another_loop_runs(self) -> None:
        assert run(thread_name()) == "nbagents"

    def test_it_works_in_any_thread(self) -> None:
        results: list[Any] = []
        handler = signal.getsignal(signal.SIGINT)
        thread = threading.Thread(target=lambda: results.append(run(thread_name())))
        thread.start()
        thread.join()
        assert results == ["nbagents"]
        assert signal.getsignal(signal.SIGINT) is handler

    def test_on_its_own_loop_it_is_refused_for_it_would_wait_for_ever(self) -> None:
        async def nested() -> str:
            return run(thread_name())

        with pytest.raises(NbAgentsError, match=r"wait for itself.*`await`"):
            run(nested())

    def test_a_turn_cancelled_from_elsewhere_says_so(self) -> None:
        async def cancelled() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(1)

        with pytest.raises(asyncio.CancelledError):
            run(cancelled())

    def test_it_restores_the_interrupts_handler(self) -> None:
        handler = signal.getsignal(signal.SIGINT)
        run(thread_name())
        assert signal.getsignal(signal.SIGINT) is handler


class TestDrive:
    def test_every_event_comes_once_and_in_order_to_the_calling_thread(self) -> None:
        seen: list[tuple[int, str]] = []
        name = threading.current_thread().name
        drive(
            lambda: numbers(8_000),
            lambda number: seen.append((number, threading.current_thread().name)),
        )
        assert seen == [(number, name) for number in range(8_000)]

    def test_what_came_before_a_failure_is_handed_over_first(self) -> None:
        async def failing() -> AsyncIterator[int]:
            yield 1
            yield 2
            raise LookupError

        seen: list[int] = []
        with pytest.raises(LookupError):
            drive(failing, seen.append)
        assert seen == [1, 2]

    def test_an_error_while_showing_closes_the_source(self) -> None:
        closed = []

        async def endless() -> AsyncIterator[int]:
            try:
                while True:
                    yield 1
                    await asyncio.sleep(0.001)
            finally:
                closed.append(True)

        def fail(_: int) -> None:
            raise LookupError("no display")

        with pytest.raises(LookupError, match="no display"):
            drive(endless, fail)
        assert closed == [True]

    def test_it_ticks_when_it_is_due_though_nothing_comes(self) -> None:
        ticks: list[float] = []
        due_at = time.monotonic() + 0.2

        async def slow() -> AsyncIterator[int]:
            while not ticks:  # noqa: ASYNC110 - they are in another thread
                await asyncio.sleep(0.01)
            yield 1

        def due() -> float | None:
            return None if ticks else due_at - time.monotonic()

        drive(slow, lambda _: None, due=due, tick=lambda: ticks.append(time.monotonic()))
        assert len(ticks) == 1
        assert ticks[0] >= due_at

    def test_an_event_that_nothing_else_waits_for_comes_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_pump, "HEARTBEAT", 60)
        started = time.monotonic()

        async def moments() -> AsyncIterator[int]:
            for number in range(20):
                await asyncio.sleep(0.007)
                yield number

        drive(moments, lambda _: None)
        assert time.monotonic() - started < 60  # before it would have looked by itself

    def test_a_source_that_never_waits_can_be_interrupted(self) -> None:
        closed = []

        async def greedy() -> AsyncIterator[int]:
            try:
                while True:
                    yield 1
            finally:
                closed.append(True)

        with pytest.raises(Interrupted):
            drive(greedy, lambda _: closed or signal.raise_signal(signal.SIGINT))
        assert closed == [True]


class TestCallOnMain:
    def test_it_runs_in_the_thread_that_waits_in_the_turns_context(self) -> None:
        def tool(suffix: str) -> str:
            return f"{threading.current_thread().name} {who.get()}{suffix}"

        async def turn() -> str:
            who.set("agent")
            return await call_on_main(tool, "!")

        assert run(turn()) == f"{threading.current_thread().name} agent!"
        assert who.get() == "nobody"

    @pytest.mark.parametrize("error", [LookupError, StopIteration])
    def test_its_error_is_raised_where_it_is_awaited(self, error: type[Exception]) -> None:
        def tool() -> None:
            raise error

        async def turn() -> str:
            try:
                await call_on_main(tool)
            except (LookupError, RuntimeError):  # a coroutine cannot raise StopIteration
                return "handled"
            return "nothing"

        assert run(turn()) == "handled"

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
    def test_a_tool_that_wants_to_end_everything_ends_the_turn(
        self, error: type[BaseException]
    ) -> None:
        def tool() -> None:
            raise error

        with pytest.raises(error):
            run(call_on_main(tool))
        assert run(thread_name()) == "nbagents"

    def test_calls_and_events_keep_their_order(self) -> None:
        seen: list[str] = []

        async def turn() -> AsyncIterator[str]:
            yield "before"
            await call_on_main(seen.append, "tool")
            yield "after"

        drive(turn, seen.append)
        assert seen == ["before", "tool", "after"]

    def test_what_came_before_a_call_is_told_before_it(self) -> None:
        seen: list[str] = []

        async def turn() -> AsyncIterator[str]:
            yield "I shall delete it."
            await call_on_main(seen.append, "May I?")

        def due() -> float | None:
            return 60 if "told" not in seen else None

        drive(turn, seen.append, due=due, tick=lambda: seen.append("told"))
        assert seen == ["I shall delete it.", "told", "May I?"]

    def test_a_tool_may_run_a_turn_of_its_own(self) -> None:
        assert run(call_on_main(lambda: run(thread_name()))) == "nbagents"

    def test_without_a_thread_that_waits_it_runs_in_a_worker(self) -> None:
        here = threading.current_thread().name
        name = engine().submit(call_on_main(lambda: threading.current_thread().name)).result()
        assert name not in (here, "nbagents")

    @pytest.mark.kernel
    def test_in_a_kernel_it_then_runs_on_the_main_thread_once_that_is_free(self) -> None:
        with Kernel() as kernel:
            kernel.run("""
                import threading, time
                from nbagents.loop._engine import engine
                from nbagents.loop._calls import call_on_main
                def tool():
                    return threading.current_thread() is threading.main_thread(), busy
                busy = True
                future = engine().submit(call_on_main(tool))
                time.sleep(0.2)
                busy = False
            """)
            assert kernel.run("print(future.result(timeout=30))").text == "(True, False)\n"
