"""Hostile texts in a real terminal: what reaches it, byte by byte."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.figures import Figure

__all__ = ["figures"]

SESSION = Path(__file__).with_name("terminal_session.py")
# What commands a terminal, or moves what follows; the letters that nobody sees.
COMMANDS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0001\U000e0041-\U000e007a]"
)
TRACEBACK = "Traceback (most recent"
QUESTION = b"[y/N] "
SILENCE = 120  # seconds in which nothing is written
OPTIONS = (
    "--simple-prompt", "--colors=NoColor", "--no-banner", "--no-confirm-exit", "--quick",
    "--TerminalInteractiveShell.term_title=False", "--HistoryManager.enabled=False",
)  # fmt: skip


@dataclass
class Seen:
    """What was seen of one text in one place."""

    text: str = ""
    name: str = ""
    place: str = ""
    seconds: float = 0.0
    commands: list[str] = field(default_factory=list)


def figures(names: Sequence[str]) -> Iterator[Figure]:
    """What came through, how long it took, and whether a planted sequence is seen."""
    seen = list(_parts(_converse(names)))
    places = Counter(one.place for one in seen)
    escaped = [one for one in seen if one.commands]
    for one in escaped:
        print(f"{one.name} as {one.place}: {one.commands[:5]}", file=sys.stderr)
    what = f"{len(names)} hostile texts in {len(places)} places of a terminal"
    yield Figure(f"{what}: texts not shown in all of them", sum(
        count != len(names) for count in places.values()) + (not seen), 0)  # fmt: skip
    yield Figure(f"{what}: shown with what commands the terminal", len(escaped), 0)
    slowest = max(seen, key=lambda one: one.seconds)
    yield Figure(
        f"{what}: slowest ({slowest.name} as {slowest.place})",
        slowest.seconds, 1.0, "s", timed=True,
    )  # fmt: skip
    broken = [
        one for one in seen if "Traceback (most recent" in one.text and one.place != "traceback"
    ]
    for one in broken:
        print(f"{one.name} as {one.place}: {one.text[-1_500:]}", file=sys.stderr)
    yield Figure(f"{what}: answered with a traceback of Python", len(broken), 0)
    planted = [one for one in _parts(_converse([])) if one.commands]
    yield Figure("planted sequences seen in the terminal", len(planted), 1, at_least=True)


def _parts(output: str) -> Iterator[Seen]:
    current = Seen()
    for line in output.split("\n"):
        line = line.removesuffix("\r")
        if line.startswith("@@["):
            current = Seen("", *json.loads(line[2:]))
        elif line.startswith("@@"):
            current.seconds = float(line[2:])
            yield current
        else:
            current.text += f"{line}\n"
            current.commands += COMMANDS.findall(line)
    if current.place == "planted":
        yield current


def _converse(names: Sequence[str]) -> str:
    """What IPython writes to its terminal, in which nobody allows anything."""
    terminal, inner = os.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTEST_CURRENT_TEST", None)
    command = [sys.executable, "-m", "IPython", *OPTIONS, str(SESSION), "--", *names]
    with subprocess.Popen(
        command, stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True
    ) as process:
        os.close(inner)
        try:
            output = _read(terminal)
        finally:
            process.kill()
            os.close(terminal)
    return output.decode("utf-8", "replace")


def _read(terminal: int) -> bytes:
    """All that is written there until it is closed, or until nothing comes any more."""
    output = bytearray()
    while select.select([terminal], [], [], SILENCE)[0]:
        try:
            output += os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            break
        if output.endswith(QUESTION):
            os.write(terminal, b"n\n")
    return bytes(output)
