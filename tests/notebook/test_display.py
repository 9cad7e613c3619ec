"""What a cell shows of a reply while it grows, and what it keeps."""

from __future__ import annotations

import itertools
import json
import os
import re
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from IPython.core.displaypub import CapturingDisplayPublisher, DisplayPublisher
from nbclient import NotebookClient

from nbagents.messages import StreamChunk
from nbagents.notebook._display import FinalDisplay, TerminalDisplay, reply_display
from nbagents.notebook._live import LiveDisplay
from nbagents.rendering import reply_bundle
from tests.notebook.kernels import ROOT, Cell, Kernel

SETUP = """
import threading, time
from functools import partial
from tests.notebook.streams import *
from tests.notebook.test_display import rich
from nbagents.notebook._outputs import watch_outputs
unwatch = watch_outputs(get_ipython())
shell = get_ipython()

def reply(text, rate=None, **more):
    show(partial(read_text, text, rate=rate, **more), shell)
"""


CODE = "def f(x):\n    return [i for i in range(x) if i % 3]  # why\n\n"


def rich(characters: int) -> str:
    """A reply with everything: prose, lists, a table, formulas, and code that colours."""
    section = (
        "## A section\n\n"
        + "It says **something** about `names`, with a [link](https://example.org) or two. " * 6
        + "\n\n- first $x^2$\n- second\n- third\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        + "```python\n"
        + CODE * 4
        + "```\n\n"
    )
    return (section * (characters // len(section) + 1))[:characters]


@pytest.fixture(scope="module")
def kernel(kernel: Kernel) -> Kernel:
    assert kernel.run(SETUP).status == "ok"
    return kernel


def left_by(text: str) -> dict[str, str]:
    return reply_bundle(text, footer="tiny")


def bundles(cell: Cell) -> list[dict[str, str]]:
    return [output["data"] for output in cell.outputs if output["kind"] == "display_data"]


@pytest.mark.kernel
class TestLive:
    def test_the_cell_keeps_one_output_which_no_update_made(self, kernel: Kernel) -> None:
        text = rich(3_000)
        cell = kernel.run(f"reply({text!r}, rate=500)")
        assert bundles(cell) == [left_by(text)]
        assert cell.messages[-2].kind == "display_data"
        assert cell.messages[-2].content["data"] == left_by(text)
        assert cell.of("update_display_data")

    @pytest.mark.parametrize("rate", [None, 500])
    def test_two_thousand_chunks_take_few_messages_and_bytes(
        self, kernel: Kernel, rate: float | None
    ) -> None:
        cell = kernel.run(f"reply(rich(12_000), rate={rate})")
        assert bundles(cell) == [left_by(rich(12_000))]
        assert len(cell.messages) <= 150
        assert cell.size <= 300_000

    def test_a_burst_of_eight_thousand_is_whole_and_bytes_grow_with_the_length(
        self, kernel: Kernel
    ) -> None:
        short, long = (kernel.run(f"reply(rich({n}), rate=2000)") for n in (12_000, 48_000))
        assert bundles(long) == [left_by(rich(48_000))]
        assert long.size <= 6 * short.size

    def test_six_streams_at_once_lose_nothing(self, kernel: Kernel) -> None:
        cell = kernel.run("""
            texts = [f"# Reply {n}\\n\\n" + rich(6_000) for n in range(6)]
            threads = [threading.Thread(target=reply, args=(t, 500)) for t in texts]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
        """)
        kept = [bundle["text/plain"] for bundle in bundles(cell) if bundle]
        wanted = [left_by(f"# Reply {n}\n\n" + rich(6_000))["text/plain"] for n in range(6)]
        assert sorted(kept) == wanted
        assert len(cell.messages) <= 6 * 150

    def test_what_the_cell_showed_before_stays(self, kernel: Kernel) -> None:
        cell = kernel.run("print('before'); reply(rich(900), 300); reply(rich(400), 300)")
        assert cell.outputs[0] == {"kind": "stream", "text": "before\n"}
        assert len(cell.outputs) == 5  # of each reply the growing form too, emptied
        shown = [bundle for bundle in bundles(cell) if bundle]
        assert shown == [left_by(rich(900)), left_by(rich(400))]

    def test_what_is_printed_meanwhile_stays(self, kernel: Kernel) -> None:
        cell = kernel.run("""
            timer = threading.Timer(0.4, lambda: print("meanwhile"))
            timer.start()
            reply(rich(2_000), 300)
        """)
        assert cell.text == "meanwhile\n"
        assert "meanwhile\n" in [output.get("text") for output in cell.outputs]
        assert [bundle for bundle in bundles(cell) if bundle] == [left_by(rich(2_000))]

    def test_what_is_printed_at_the_last_moment_stays(self, kernel: Kernel) -> None:
        cell = kernel.run("""
            async def prints():
                yield StreamChunk("Said.")
                await asyncio.sleep(0.2)
                print("at last")
            show(prints, shell)
        """)
        assert {"kind": "stream", "text": "at last\n"} in cell.outputs
        assert [bundle for bundle in bundles(cell) if bundle] == [left_by("Said.")]

    def test_what_was_cleared_away_does_not_count(self, kernel: Kernel) -> None:
        cell = kernel.run("""
            from IPython.display import clear_output
            print("before", flush=True)
            clear_output()
            reply(rich(900), 300)
        """)
        assert bundles(cell) == [left_by(rich(900))]

    def test_it_says_that_it_waits_and_leaves_no_trace_of_it(self, kernel: Kernel) -> None:
        cell = kernel.run("""
            async def late():
                await asyncio.sleep(1.5)
                yield StreamChunk("Here.")
            show(late, shell, label="some-model")
        """)
        assert any("some-model" in str(content) for content in cell.of("display_data"))
        assert bundles(cell) == [left_by("Here.")]

    def test_a_short_answer_at_once_is_a_single_message(self, kernel: Kernel) -> None:
        cell = kernel.run("""
            async def quick():
                yield StreamChunk("Yes.")
            display = reply_display(shell)
            display.feed(StreamChunk("Yes."))
            display.finish(reply_bundle("Yes."))
        """)
        assert [m.kind for m in cell.messages if m.kind != "status"] == [
            "execute_input",
            "display_data",
        ]

    def test_a_capture_or_an_output_widget_gets_the_finished_reply_only(
        self, kernel: Kernel
    ) -> None:
        captured = kernel.run("%%capture kept\nreply(rich(900), 300)")
        assert captured.outputs == []
        kept = kernel.run(
            "[o.data for o in kept.outputs] == [reply_bundle(rich(900), footer='tiny')]"
        )
        assert kept.of("execute_result")[0]["data"]["text/plain"] == "True"
        inside = kernel.run("""
            import ipywidgets
            with ipywidgets.Output():
                reply(rich(900), 300)
        """)
        assert inside.of("display_data") == [
            {"data": left_by(rich(900)), "metadata": {}, "transient": {}}
        ]
        assert not inside.of("clear_output")

    def test_unloading_leaves_the_kernel_as_it_was(self, kernel: Kernel) -> None:
        cell = kernel.run("""
            session = shell.display_pub.session
            watched = "send" in vars(session)
            unwatch()
            print(watched, "send" in vars(session))
            unwatch = watch_outputs(shell)
        """)
        assert cell.text == "True False\n"


@pytest.mark.kernel
def test_final_mode_sends_what_a_live_run_leaves_in_the_saved_notebook(kernel: Kernel) -> None:
    code = "print('before'); reply(rich(900), 500); reply('Second.', 500)"
    kernel.run("import os; os.environ['NBAGENTS_RENDER'] = 'final'")
    final = kernel.run(code)
    kernel.run("del os.environ['NBAGENTS_RENDER']")
    kinds = [message.kind for message in final.messages if message.kind != "status"]
    assert kinds == ["execute_input", "stream", "display_data", "display_data"]
    saved = execute_and_save([SETUP, code, "reply(rich(900), 500)"])
    assert [output.data for output in saved[1][1:] if output.data] == bundles(final)
    assert [output.data for output in saved[2]] == bundles(final)[:1]


def execute_and_save(codes: list[str]) -> list[Any]:
    """The outputs of each cell as nbclient saves them."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in codes])
    hidden = ("PYTEST_CURRENT_TEST", "NBAGENTS_RENDER")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(ROOT)}})
    return [cell.outputs for cell in client.execute(env=environment).cells]


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def play(text: str, rate: float, publisher: Any = None) -> CapturingDisplayPublisher:
    """Show ``text`` in chunks of 6 at ``rate`` a second, on a clock of our own."""
    publisher = publisher or CapturingDisplayPublisher()
    clock = Clock()
    outputs: Any = SimpleNamespace(count=lambda parent: 0)
    display = LiveDisplay(publisher, outputs, clock=clock)
    for number, start in enumerate(range(0, len(text), 6)):
        clock.now = number / rate
        display.feed(StreamChunk(text[start : start + 6]))
        delay = display.due()
        if delay is not None and delay <= 0:
            display.paint()
    return publisher


@pytest.mark.parametrize("rate", [15, 40, 100, 250, 1000])
@pytest.mark.parametrize(
    "text",
    [rich(12_000), "word " * 2_400, "Short.\n\n" * 1_500, "```python\n" + CODE * 170],
    ids=["rich", "one line", "short blocks", "code"],
)
def test_whatever_the_models_speed_messages_and_bytes_stay_bounded(text: str, rate: float) -> None:
    # beside these: busy, idle, the input, `clear_output` and the final bundle
    sent = [output["data"] for output in play(text, rate).outputs] + 4 * [{}]
    bundle = reply_bundle(text)
    envelope = 900
    assert len(sent) + 1 <= 150
    assert sum(len(json.dumps(data)) + envelope for data in [*sent, bundle]) <= 300_000


def test_of_a_very_long_reply_only_the_end_is_sent_while_it_grows() -> None:
    publisher = play("word " * 400_000, rate=100_000)
    sent = [len(output["data"].get("text/html", "")) for output in publisher.outputs]
    assert sum(sent) < 1_000_000  # of 2,000,000 characters
    last = publisher.outputs[-1]["data"]["text/html"]
    assert " characters so far; all of it is shown when it is complete" in last
    assert last.count("word ") == 400


def test_of_a_very_long_reply_only_the_end_is_kept_for_a_paint_that_is_not_yet_due() -> None:
    display = LiveDisplay(CapturingDisplayPublisher(), None, clock=Clock())
    tracemalloc.start()
    try:
        for _ in range(20_000):
            display.feed(StreamChunk("x" * 100))
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


def test_a_finished_block_is_never_sent_again() -> None:
    paragraphs = [f"Paragraph {number} has its own words, some of them." for number in range(40)]
    sent = play("\n\n".join(paragraphs), rate=30).outputs
    identities = [output["transient"]["display_id"] for output in sent]
    turns = [identity for identity, _ in itertools.groupby(identities)]
    assert len(turns) == len(set(turns)) > 10


@pytest.mark.parametrize("rate", [15, 100, 1000])
def test_no_message_takes_words_away_that_were_shown(rate: float) -> None:
    lists = "A paragraph of words.\n\n1. an item of a list\n2. and another\n\n- of another list\n\n"
    shown: dict[str, str] = {}
    words = []
    for output in play(lists * 60, rate).outputs:
        shown[output["transient"]["display_id"]] = output["data"]["text/html"]
        words.append(sum(len(re.findall(r">[^<>]*\w", html)) for html in shown.values()))
    assert words == sorted(words)
    assert len(shown) > 5, "all of it is sent again and again"


def test_the_first_words_are_shown_at_once_and_later_ones_ten_times_a_second() -> None:
    clock = Clock()
    outputs: Any = SimpleNamespace(count=lambda parent: 0)
    display = LiveDisplay(CapturingDisplayPublisher(), outputs, clock=clock)
    assert display.due() == pytest.approx(0.3)
    display.feed(StreamChunk("Hello"))
    assert display.due() == 0
    display.paint()
    assert display.due() is None
    display.feed(StreamChunk(" again"))
    assert display.due() == pytest.approx(0.1)


def test_reasoning_is_glimpsed_while_there_is_no_text_after_it() -> None:
    publisher = CapturingDisplayPublisher()
    display = LiveDisplay(publisher, None, clock=Clock())
    display.feed(StreamChunk("Let me <b>see</b> $x$.", "reasoning"))
    display.paint()
    shown = publisher.outputs[-1]["data"]["text/html"]
    assert "thinking\u2026 Let me &lt;b&gt;see&lt;/b&gt; $x$." in shown
    assert "mathjax_ignore" in shown
    display.feed(StreamChunk("It is 4."))
    display.paint()
    shown = publisher.outputs[-1]["data"]["text/html"]
    assert "It is 4." in shown
    assert "thinking" not in shown


def test_what_a_request_waits_for_is_said_until_it_is_over() -> None:
    clock = Clock()
    publisher = CapturingDisplayPublisher()
    outputs: Any = SimpleNamespace(count=lambda parent: 0)
    display = LiveDisplay(publisher, outputs, label="some-model", clock=clock)
    display.wait_for("a <b>connection</b>")
    clock.now = 0.3
    assert display.due() == 0
    display.paint()
    assert "waits for a &lt;b&gt;connection" in publisher.outputs[-1]["data"]["text/html"]
    assert display.due() is None
    display.wait_for("")
    clock.now = 0.6
    assert display.due() == 0
    display.paint()
    shown = publisher.outputs[-1]["data"]["text/html"]
    assert "waits for" not in shown
    assert "some-model" in shown


def test_a_reply_that_failed_before_any_text_leaves_nothing() -> None:
    publisher = CapturingDisplayPublisher()
    display = LiveDisplay(publisher, None, clock=Clock())
    display.paint()
    assert "text/html" in publisher.outputs[-1]["data"]
    display.abort()
    assert publisher.outputs[-1] == {
        "data": {},
        "metadata": {},
        "transient": publisher.outputs[0]["transient"],
        "update": True,
    }


@pytest.mark.parametrize(
    ("environment", "publisher", "display"),
    [
        ({}, DisplayPublisher, TerminalDisplay),
        ({}, CapturingDisplayPublisher, FinalDisplay),
        ({"NBAGENTS_RENDER": "final"}, DisplayPublisher, FinalDisplay),
        ({"PYTEST_CURRENT_TEST": "x"}, DisplayPublisher, FinalDisplay),
    ],
)
def test_the_place_decides_how_a_reply_is_shown(
    environment: dict[str, str],
    publisher: Callable[[], Any],
    display: type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shown = reply_display(SimpleNamespace(display_pub=publisher()))
    assert type(shown) is display


class TestTerminal:
    def test_text_comes_once_and_the_footer_last(self, capsys: pytest.CaptureFixture[str]) -> None:
        display = TerminalDisplay()
        display.feed(StreamChunk("Hm.", "reasoning"))
        display.feed(StreamChunk("Hm.", "reasoning"))
        display.feed(StreamChunk("Hello, "))
        assert capsys.readouterr().out == "(thinking)\nHello, "
        display.feed(StreamChunk("world."))
        display.finish(reply_bundle("Hello, world.", footer="tiny"), footer="tiny")
        assert capsys.readouterr().out == "world.\ntiny\n"

    def test_a_reply_that_was_not_streamed_is_written_whole(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        TerminalDisplay().finish(reply_bundle("All at once.", footer="tiny"), footer="tiny")
        assert capsys.readouterr().out == "All at once.\n\ntiny\n"

    @pytest.mark.parametrize("cut", range(1, 14))
    def test_control_sequences_are_taken_out_wherever_they_are_cut(
        self, cut: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = "a\x1b[31mb\r\nc\x07d"
        display = TerminalDisplay()
        display.feed(StreamChunk(text[:cut]))
        display.feed(StreamChunk(text[cut:]))
        display.finish({})
        assert capsys.readouterr().out == "ab\ncd\n"

    def test_a_failure_ends_the_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        display = TerminalDisplay()
        display.feed(StreamChunk("Hello"))
        display.abort()
        assert capsys.readouterr().out == "Hello\n"
