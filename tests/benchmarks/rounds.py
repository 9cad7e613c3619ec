"""Rounds: every contender is measured in turn, many times, so that a busy machine hits all."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.runtimes import CONTENDERS as RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Mapping

Rounds = dict[str, list[float]]

IMPORTS = {
    "nbagents": "from nbagents.models import OpenAIChatCompletionClient",
    "openai SDK": "from openai import AsyncOpenAI",
    "autogen-ext": "from autogen_ext.models.openai import OpenAIChatCompletionClient",
}


def compete(work: str, address: str, rounds: int) -> Rounds:
    """Measure every client's ``work`` once a round."""
    module = "tests.benchmarks.contenders"
    return _compete({name: [module, work, name, address] for name in CONTENDERS}, rounds)


def compete_in_runtimes(work: str, rounds: int) -> Rounds:
    """Measure every agent runtime's ``work`` once a round."""
    module = "tests.benchmarks.runtimes"
    return _compete({name: [module, work, name] for name in RUNTIMES}, rounds)


def _compete(commands: Mapping[str, list[str]], rounds: int) -> Rounds:
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(_worker(command)) for name, command in commands.items()
        }
        for process in processes.values():
            assert process.stdout.readline().strip() == "ready", f"{process.args} failed"
        measured: Rounds = {name: [] for name in processes}
        for _ in range(rounds):
            for name, process in processes.items():
                process.stdin.write("\n")
                process.stdin.flush()
                measured[name].append(float(process.stdout.readline()))
        for process in processes.values():
            process.stdin.close()
    return measured


def _worker(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def imports(statements: Mapping[str, str], rounds: int) -> Rounds:
    """Milliseconds that each statement takes in a fresh interpreter."""
    measured: Rounds = {name: [] for name in statements}
    for _ in range(rounds):
        for name, statement in statements.items():
            measured[name].append(_import(statement))
    return measured


def _import(statement: str) -> float:
    code = (
        f"import time; started = time.perf_counter(); {statement}; "
        "print((time.perf_counter() - started) * 1e3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def ratio(measured: Rounds, name: str, to: str = "nbagents") -> float:
    """How many times as much ``name`` takes: the median of what each round says."""
    return median(one / other for one, other in zip(measured[name], measured[to], strict=True))
