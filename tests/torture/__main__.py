"""Run the trials and print every figure as Markdown: ``python -m tests.torture [NAME ...]``."""

from __future__ import annotations

import argparse
import sys
import time

from tests.torture.figures import Figure, Scale
from tests.torture.running import names, trial_named


def main() -> int:
    """Run all trials, or those named; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--share", type=float, default=1.0, help="how much of each; 1 is all")
    parser.add_argument("--seed", type=int, default=0, help="what the random ones start from")
    chosen = parser.parse_args()
    print("| trial | what | measured | promised | |\n| --- | --- | --- | --- | --- |", flush=True)
    broken = sum(_run(name, Scale(chosen.share, chosen.seed)) for name in chosen.names or names())
    print(f"\n{broken or 'No'} promise{'' if broken == 1 else 's'} broken.")
    return 1 if broken else 0


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
