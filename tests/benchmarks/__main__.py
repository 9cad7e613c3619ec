"""Measure everything and print it as Markdown."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from statistics import median

from tests.benchmarks import browser, kernels
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.rounds import (
    IMPORTS,
    Rounds,
    compete,
    compete_in_runtimes,
    imports,
    ratio,
)
from tests.benchmarks.runtimes import CONTENDERS as RUNTIMES
from tests.benchmarks.server import running

ROUNDS = 25
LAB_ROUNDS = 3


def main() -> None:
    """Run the benchmark: about nine minutes on an idle machine of two cores."""
    print(f"nbagents beside {_versions()}; Python {platform.python_version()}, ", end="")
    print(f"{os.cpu_count()} cores.\n")
    with running() as address:
        _against_clients(address)
        _against_runtimes()
        _in_a_kernel(address)
        _in_jupyterlab(address)


def _against_clients(address: str) -> None:
    _header("", *CONTENDERS, "to reach")
    chunk = compete("stream", address, ROUNDS)
    _row("CPU a streamed chunk", chunk, "µs", "SDK ≥ 5x, autogen-ext ≥ 6x")
    whole = compete("request", address, ROUNDS)
    _row("CPU a request, 64 at once", whole, "µs", "SDK ≥ 1x")
    first = compete("first-token", address, ROUNDS)
    _row("first token, warm connection", first, "ms", "")
    _row("import of the client", imports(IMPORTS, 7), "ms", "")
    print()


def _against_runtimes() -> None:
    _header("messages a second of CPU", *RUNTIMES, "to reach")
    for title, work in (
        ("sent to one agent, one after the other", "send"),
        ("sent to 100 agents at once", "send-to-many"),
        ("published to one agent", "publish"),
        ("published to 10 agents", "publish-to-many"),
    ):
        measured = compete_in_runtimes(work, ROUNDS)
        cells = [f"{1e6 / median(rounds):,.0f}" for rounds in measured.values()]
        times = f" ({ratio(measured, 'autogen-core'):.1f}x fewer)"
        _line(title, *cells[:-1], cells[-1] + times, "≥ 2x autogen-core")
    print()


def _in_a_kernel(address: str) -> None:
    _header("in a kernel", "measured", "to reach")
    bare = imports({"": "import nbagents"}, 7)[""]
    _line("`import nbagents`", f"{median(bare):.0f} ms", "")
    _line("`%load_ext nbagents`", f"{kernels.load_ext(5):.0f} ms", "≤ 150 ms")
    short = kernels.chat(address, 2_000)
    _line("IOPub, 2,000 chunks", _sent(short), "≤ 0.30 MB, ≤ 150 messages")
    long = kernels.chat(address, 8_000)
    times = f"{long.bytes / short.bytes:.1f} times the bytes"
    _line("IOPub, 8,000 chunks", f"{_sent(long)}, {times}", "≤ 6 times the bytes")
    by_hand = kernels.by_hand(address, 2_000)
    _line("the same by hand, 2,000 chunks: all text with every chunk", _sent(by_hand), "")


def _in_jupyterlab(address: str) -> None:
    if not browser.available():
        print("\nJupyterLab is not measured: there is no Chromium on this machine.")
        return
    print()
    _header(f"in JupyterLab, {browser.CHUNKS:,} chunks (15 KB)", "whole on screen", "page blocked")
    with browser.lab() as window:
        for title, pace in (("200 a second", kernels.PER_SECOND), ("as fast as they come", None)):
            seen = [browser.chat(window, address, pace) for _ in range(LAB_ROUNDS)]
            _line(f"`%%chat`, {title}", _seconds_behind(seen), _seconds_blocked(seen))
        seen = [browser.by_hand(window, address, kernels.PER_SECOND)]
        _line("by hand, 200 a second", _seconds_behind(seen), _seconds_blocked(seen))
    _line("to reach", "≤ 1 s after the stream's end", "≤ 1.5 s")


def _seconds_behind(seen: list[browser.Seen]) -> str:
    behind = [each.behind for each in seen if each.behind is not None]
    if len(behind) < len(seen):
        return f"not {browser.PATIENCE} s after the stream's end"
    return f"{median(behind):.2f} s after the stream's end"


def _seconds_blocked(seen: list[browser.Seen]) -> str:
    blocked = [each.blocked for each in seen if each.blocked is not None]
    return f"{median(blocked):.2f} s" if len(blocked) == len(seen) else ""


def _versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("openai", "autogen-ext", "ipykernel"))


def _header(*titles: str) -> None:
    _line(*titles)
    _line(*("---" for _ in titles))


def _line(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def _row(title: str, measured: Rounds, unit: str, target: str) -> None:
    cells = []
    for name, rounds in measured.items():
        times = "" if name == "nbagents" else f" ({ratio(measured, name):.1f}x)"
        cells.append(f"{_number(median(rounds))} {unit}{times}")
    _line(title, *cells, target)


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _sent(sent: kernels.Sent) -> str:
    return f"{sent.bytes / 1e6:.2f} MB, {sent.messages:,} messages"


if __name__ == "__main__":
    main()
