"""Measure everything, or the parts that are named, and print it as Markdown.

The parts: clients, runtimes, kernel, cells, panels.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks import browser, kernels, panels
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.load import Load, measure
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
from tests.browser.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 25
LAB_ROUNDS = 3


def main(*chosen: str) -> None:
    """Run the benchmark: about fifteen minutes on an idle machine of two cores."""
    parts = {
        "clients": _against_clients,
        "runtimes": lambda _: _against_runtimes(),
        "kernel": _in_a_kernel,
        "cells": _in_jupyterlab,
        "panels": _in_panels,
    }
    print(f"nbagents beside {_versions()}; Python {platform.python_version()}, ", end="")
    print(f"{os.cpu_count()} cores.\n")
    with running() as address:
        for name in chosen or parts:
            parts[name](address)
            print()


def _against_clients(address: str) -> None:
    _header("", *CONTENDERS, "to reach")
    chunk = compete("stream", address, ROUNDS)
    _row("CPU a streamed chunk", chunk, "µs", "SDK ≥ 5x, autogen-ext ≥ 6x")
    whole = compete("request", address, ROUNDS)
    _row("CPU a request, 64 at once", whole, "µs", "SDK ≥ 1x")
    first = compete("first-token", address, ROUNDS)
    _row("first token, warm connection", first, "ms", "")
    _row("import of the client", imports(IMPORTS, 7), "ms", "")


def _under_load(address: str) -> None:
    _header("many streams at once", *CONTENDERS, "to reach")
    slow = {name: measure(name, address, 1000, 47, 5) for name in CONTENDERS}
    title = "1,000 streams, 5 chunks a second"
    _loads(f"{title}: whole", slow, lambda load: f"{load.whole:,}", "1,000")
    ideal = "≤ 1.3x"
    _loads(f"{title}: time, beside the ideal", slow, lambda load: f"{load.times_ideal:.2f}x", ideal)
    _loads(f"{title}: memory each", slow, lambda load: f"{load.kib_each:.0f} KiB", "≤ 60 KiB")
    _loads(f"{title}: CPU a chunk", slow, lambda load: f"{load.cpu:.0f} µs", "")
    fast = {name: measure(name, address, 200, 497, 50) for name in CONTENDERS}
    title = "200 streams, 50 chunks a second"
    _loads(f"{title}: whole", fast, lambda load: f"{load.whole:,}", "200")
    _loads(f"{title}: 99 of 100 chunks late by", fast, lambda load: f"{load.late:.2f} s", "≤ 0.5 s")
    _loads(f"{title}: CPU a chunk", fast, lambda load: f"{load.cpu:.0f} µs", "")
    print()


def _loads(title: str, loads: dict[str, Load], shown: Callable[[Load], str], target: str) -> None:
    _line(title, *map(shown, loads.values()), target)


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
        print("JupyterLab is not measured: there is no Chromium on this machine.")
        return
    _header(f"in JupyterLab, {browser.CHUNKS:,} chunks (15 KB)", "whole on screen", "page blocked")
    with browser.lab() as window:
        for title, pace in (("200 a second", kernels.PER_SECOND), ("as fast as they come", None)):
            seen = [browser.chat(window, address, pace) for _ in range(LAB_ROUNDS)]
            _line(f"`%%chat`, {title}", _seconds_behind(seen), _seconds_blocked(seen))
        seen = [browser.by_hand(window, address, kernels.PER_SECOND)]
        _line("by hand, 200 a second", _seconds_behind(seen), _seconds_blocked(seen))
    _line("to reach", "≤ 1 s after the stream's end", "≤ 1.5 s")


def _in_panels(address: str) -> None:
    if not browser.available():
        print("Panels are not measured: there is no Chromium on this machine.")
        return
    _header(
        "a chat panel in JupyterLab",
        "to the browser",
        "with envelopes",
        "paints a second",
        "longest task",
        "page blocked",
    )
    with Lab() as server:
        for title, reply in panels.REPLIES.items():
            with browser.window_of(server) as window:
                _panel(f"nbagents, {title}", panels.ours(window, address, reply))
        for title, reply in panels.REPLIES.items():
            if not reply.earlier:
                with browser.window_of(server) as window:
                    seen = panels.theirs(window, address, reply)
                _panel(f"`panel.chat.ChatInterface`, {title}", seen)
    _line("to reach", "≤ 6 bytes a character + 300 a message", "", "≤ 20", "< 100 ms", "")


def _panel(title: str, seen: panels.Seen) -> None:
    sent = f"{seen.bytes:,} bytes ({seen.bytes / seen.allowed:.0%}), {seen.messages:,} messages"
    enveloped = f"{seen.enveloped / 1e6:.2f} MB"
    longest = f"{seen.longest:.0f} ms" if seen.longest else "< 50 ms"
    blocked = f"{seen.blocked:.2f} s"
    if seen.shown < 1:
        blocked += f"; {seen.shown:.0%} shown {panels.PATIENCE} s after the end, then given up"
    _line(title, sent, enveloped, f"{seen.paints_a_second}", longest, blocked)


def _seconds_behind(seen: list[browser.Seen]) -> str:
    behind = [each.behind for each in seen if each.behind is not None]
    if len(behind) < len(seen):
        return f"not {browser.PATIENCE} s after the stream's end"
    return f"{median(behind):.2f} s after the stream's end"


def _seconds_blocked(seen: list[browser.Seen]) -> str:
    blocked = [each.blocked for each in seen if each.blocked is not None]
    return f"{median(blocked):.2f} s" if len(blocked) == len(seen) else ""


def _versions() -> str:
    return ", ".join(
        f"{name} {version(name)}" for name in ("openai", "autogen-ext", "panel", "ipykernel")
    )


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
    main(*sys.argv[1:])
