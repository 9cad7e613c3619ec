"""Run the trials and print every figure as Markdown: ``python -m tests.torture [NAME ...]``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.torture.figures import Figure, Scale
from tests.torture.running import UNTIMED, names, trial_named


def main() -> int:
    """Run all trials, or those named; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--share", type=float, default=1.0, help="how much of each; 1 is all")
    parser.add_argument("--seed", type=int, default=0, help="what the random ones start from")
    parser.add_argument(
        "--processes", type=int, default=1, help="how many of those that are not timed run at once"
    )
    chosen = parser.parse_args()
    started = time.monotonic()
    print("| trial | what | measured | promised | |\n| --- | --- | --- | --- | --- |", flush=True)
    broken = _run_all(chosen.names or names(), Scale(chosen.share, chosen.seed), chosen.processes)
    print(f"\n{broken or 'No'} promise{'' if broken == 1 else 's'} broken.")
    print(f"All of it took {(time.monotonic() - started) / 60:,.0f} minutes.")
    return 1 if broken else 0


def _run_all(chosen: Sequence[str], scale: Scale, processes: int) -> int:
    """How many promises were broken."""
    aside = [name for name in chosen if name in UNTIMED] if processes > 1 else []
    with ThreadPoolExecutor(processes) as pool:
        broken = sum(pool.map(lambda name: _run_aside(name, scale), aside))
    return broken + sum(_run(name, scale) for name in chosen if name not in aside)


def _run_aside(name: str, scale: Scale) -> int:
    """Run a trial in a process of its own."""
    options = ["--share", f"{scale.share}", "--seed", f"{scale.seed}"]
    command = [sys.executable, "-m", "tests.torture", name, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith(f"| {name} |")]
    print("\n".join(rows), flush=True)
    broken = sum(row.endswith("**broken** |") for row in rows)
    if done.returncode != bool(broken):
        raise RuntimeError(f"the trial {name} came to no end")
    return broken


def _run(name: str, scale: Scale) -> int:
    started, broken = time.monotonic(), 0
    for figure in trial_named(name)(scale):
        broken += not figure.holds
        _print(name, figure)
    print(f"| {name} | took | {time.monotonic() - started:,.0f} s | | |", flush=True)
    return broken


def _print(name: str, figure: Figure) -> None:
    verdict = "holds" if figure.holds else "**broken**"
    print(f"| {name} | {figure.what} | {figure.shown} | {figure.bound} | {verdict} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
