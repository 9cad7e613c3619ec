"""The interrupt, at any moment: the stream is closed, the kernel is free, the text is kept."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from nbagents.loop import _calls, _engine, _interrupts, _pump
from nbagents.loop._calls import call_on_main
from nbagents.loop._engine import Engine
from nbagents.loop._interrupts import Interrupted, InterruptGuard
from nbagents.loop._pump import drive, run
from tests.notebook.kernels import Cell, Kernel
from tests.notebook.streams import StreamServer, stream_server, unanswering_port

SETUP = """
import time
from functools import partial
from nbagents.notebook._outputs import watch_outputs
from nbagents.loop._calls import call_on_main
from nbagents.loop._pump import run
from tests.notebook.streams import *
watch_outputs(get_ipython())
"""

SOON = 15.0
"""Seconds, on a machine that is busy with something else; what is not stopped goes on for 30."""


@pytest.fixture(scope="module")
def kernel(kernel: Kernel) -> Kernel:
    assert kernel.run(SETUP).status == "ok"
    return kernel


@pytest.fixture(scope="module")
def server() -> Iterator[StreamServer]:
    with stream_server(interval=0.005) as running:
        yield running


@pytest.fixture(scope="module")
def silent() -> Iterator[StreamServer]:
    with stream_server(interval=None) as running:
        yield running


def show(server: StreamServer) -> str:
    return f"show(partial(read_stream, {server.port}), get_ipython())"


def interrupt(kernel: Kernel, request: str, times: int = 1) -> tuple[Cell, float]:
    """Interrupt the running cell; what it did, and the seconds until the kernel was idle."""
    at = time.monotonic()
    for _ in range(times):
        kernel.interrupt()
    cell = kernel.wait(request)
    return cell, cell.idle_at - at


def wait_for(server: StreamServer, opened: int) -> None:
    while server.opened < opened:
        time.sleep(0.002)


def says_so_shortly(cell: Cell) -> bool:
    """One line and no traceback."""
    lines = cell.reply["traceback"]
    return cell.status == "error" and len(lines) == 1 and len(lines[0]) <= 300


@pytest.mark.kernel
class TestInAKernel:
    """Times are from the moment before the signal is sent, as the test's process sees them."""

    def test_it_closes_the_stream_and_frees_the_kernel_and_keeps_the_text(
        self, kernel: Kernel, server: StreamServer
    ) -> None:
        request = kernel.start(show(server))
        kernel.wait_for_output(request, text="lorem ipsum")
        at = time.monotonic()
        cell, idle = interrupt(kernel, request)
        assert server.wait_closed() - at < SOON
        assert idle < SOON
        assert says_so_shortly(cell)
        reply, error = cell.outputs
        assert "lorem ipsum" in reply["data"]["text/plain"]
        assert "interrupted" in reply["data"]["text/plain"]
        assert error["text"].startswith("Interrupted: stopped")

    @pytest.mark.parametrize("times", [1, 3])
    def test_it_works_while_the_first_token_is_waited_for(
        self, kernel: Kernel, silent: StreamServer, times: int
    ) -> None:
        opened = silent.opened
        request = kernel.start(show(silent))
        wait_for(silent, opened + 1)
        at = time.monotonic()
        cell, idle = interrupt(kernel, request, times)
        assert silent.wait_closed() - at < SOON
        assert idle < SOON
        assert says_so_shortly(cell)

    def test_it_works_while_the_connection_is_made(self, kernel: Kernel) -> None:
        with unanswering_port() as port:
            request = kernel.start(f"show(partial(read_stream, {port}), get_ipython())")
            kernel.wait_for_output(request)  # "waiting" is shown
            cell, idle = interrupt(kernel, request)
        assert idle < SOON
        assert says_so_shortly(cell)

    def test_it_stops_a_synchronous_tool(self, kernel: Kernel) -> None:
        kernel.run("def tool():\n    print('in', flush=True)\n    time.sleep(30)")
        request = kernel.start("run(call_on_main(tool))")
        kernel.wait_for_output(request)
        cell, idle = interrupt(kernel, request)
        assert idle < SOON
        assert says_so_shortly(cell)

    def test_it_stops_a_chat_cell_before_the_request(self, kernel: Kernel) -> None:
        kernel.run("""
            %load_ext nbagents
            class Slow:
                def __str__(self):
                    print("in", flush=True)
                    time.sleep(30)
            slow = Slow()
        """)
        request = kernel.start("%%chat\nSay {slow}.")
        kernel.wait_for_output(request)
        cell, idle = interrupt(kernel, request, times=3)
        assert idle < SOON
        assert says_so_shortly(cell)

    def test_it_stops_run_all_and_the_next_cell_works(
        self, kernel: Kernel, server: StreamServer
    ) -> None:
        opened = server.opened
        first, queued = kernel.start(show(server)), kernel.start("ran = True")
        wait_for(server, opened + 1)
        kernel.interrupt()
        assert kernel.wait(first).status == "error"
        assert kernel.wait(queued).status == "aborted"
        assert kernel.run("assert 'ran' not in globals()").status == "ok"
        server.wait_closed()

    def test_a_hundred_in_a_row_at_any_moment_leave_nothing_running(
        self, kernel: Kernel, server: StreamServer
    ) -> None:
        moments = random.Random(7)
        opened = server.opened
        closing, idling = [], []
        for number in range(100):
            request = kernel.start(show(server))
            wait_for(server, opened + number + 1)
            time.sleep(moments.choice([0, moments.uniform(0, 0.15)]))
            at = time.monotonic()
            cell, idle = interrupt(kernel, request, times=3 if number % 2 else 1)
            closing.append(server.wait_closed() - at)
            idling.append(idle)
            assert says_so_shortly(cell)
        assert max(closing) < SOON
        assert max(idling) < SOON
        assert kernel.run("1 + 1").of("execute_result")[0]["data"] == {"text/plain": "2"}


class Source:
    """A stream that knows whether it runs, with a synchronous tool in between."""

    def __init__(self) -> None:
        self.running = False

    async def __call__(self) -> AsyncIterator[int]:
        self.running = True
        try:
            yield 1
            await call_on_main(tool)
            for number in range(2, 10_000):
                yield number
                await asyncio.sleep(0.001)
        finally:
            self.running = False


def tool() -> int:
    total = 0
    for number in range(3):
        total += number
    return total


def chat(source: Source, seen: list[int]) -> None:
    """The shape of a chat cell: something before, the turn, something after."""
    with InterruptGuard() as guard:
        seen.append(-1)
        drive(source, seen.append, guard=guard)
        seen.append(-2)


class Tracer:
    """Raises SIGINT before the n-th line that the code under test runs on this thread."""

    files = tuple(module.__file__ for module in (_calls, _engine, _interrupts, _pump))

    def __init__(self, at: int, times: int) -> None:
        self.at = at
        self.times = times
        self.lines = 0

    def __call__(self, frame: Any, event: str, argument: object) -> Any:
        if frame.f_code.co_filename not in (*self.files, __file__):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                for _ in range(self.times):
                    signal.raise_signal(signal.SIGINT)
        return self


@pytest.mark.parametrize("times", [1, 3])
def test_whatever_line_it_hits_no_stream_stays_open_and_the_handler_is_back(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    reached = 0
    for at in range(1, 250):
        own = Engine()  # so that its start is interrupted too
        monkeypatch.setattr(_engine, "_current", [own])
        source, seen = Source(), []
        sys.settrace(Tracer(at, times))
        try:
            with pytest.raises(KeyboardInterrupt):
                chat(source, seen)
        finally:
            sys.settrace(None)
        assert not source.running, f"the stream runs after a signal before line {at}"
        assert signal.getsignal(signal.SIGINT) is handler
        assert own.submit(asyncio.sleep(0, "goes on")).result(60) == "goes on"
        own.close()
        reached = max(reached, len(seen))
    assert reached > 5, "the lines counted do not reach beyond the tool"


def test_before_the_turn_it_raises_at_once_and_afterwards_when_the_block_ends() -> None:
    done = []

    def before() -> None:
        with InterruptGuard():
            signal.raise_signal(signal.SIGINT)
            done.append("before")

    def after() -> None:
        with InterruptGuard() as guard:
            guard.hold(lambda: done.append("stopped"))
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("after")

    with pytest.raises(Interrupted):
        before()
    with pytest.raises(Interrupted):
        after()
    assert done == ["stopped", "after"]


def test_it_outweighs_another_error_of_the_same_block() -> None:
    def fail() -> None:
        with InterruptGuard() as guard:
            guard.hold(lambda: None)
            signal.raise_signal(signal.SIGINT)
            raise ValueError

    with pytest.raises(Interrupted):
        fail()


def test_other_threads_leave_the_handler_alone() -> None:
    handler = signal.getsignal(signal.SIGINT)
    seen = []

    def enter() -> None:
        with InterruptGuard():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [handler]


def test_a_turn_that_does_not_end_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pump, "PATIENCE", 0.2)
    release = threading.Event()

    async def stubborn() -> None:
        signal.raise_signal(signal.SIGINT)  # the main thread takes it, wherever it is raised
        release.wait(30)  # blocks the loop: no cancellation gets through

    started = time.monotonic()
    try:
        with pytest.raises(Interrupted):
            run(stubborn())
        assert time.monotonic() - started < SOON
    finally:
        release.set()


def test_it_reaches_the_code_of_a_synchronous_tool_once() -> None:
    seen = []

    def tool() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            seen.append("stopped")
            signal.raise_signal(signal.SIGINT)  # a second one, while the tool tidies up
            seen.append("tidy")
            raise

    with pytest.raises(Interrupted):
        run(call_on_main(tool))
    assert seen == ["stopped", "tidy"]


def test_a_tool_that_survives_it_does_not_save_its_turn() -> None:
    async def turn() -> str:
        return await call_on_main(careless)

    def careless() -> str:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return "went on"

    with pytest.raises(Interrupted):
        run(turn())


def test_it_says_so_in_one_line() -> None:
    assert Interrupted()._render_traceback_() == [
        "Interrupted: stopped; what had been shown is kept."
    ]
