"""What the pytest plugin does with cassettes: for nbval's notebooks, and for plain tests."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nbagents.errors import DamagedFileWarning
from nbagents.messages import RequestUsage
from nbagents.models._cassette.deck import REPORT, Deck
from nbagents.models._cassette.lines import Record
from nbagents.models._cassette.switch import CASSETTE, IF_THERE, MODE, eject
from nbagents.models._cassette.tape import read_tape, shown
from nbagents.prices import cost_of, in_dollars

__all__ = [
    "SANITIZED",
    "UnusedRecordingWarning",
    "Use",
    "cassette_of",
    "complain",
    "in_use",
    "summary",
    "tell_damage",
]

FOLDER = "cassettes"
_LONGEST = 80  # characters of a prompt

SANITIZED = {
    # The seconds in a reply's last line: a saved notebook has them, a compared run has not.
    r" · \d+(?:\.\d+)? s(?=[\s<*]|$)": "",
    # Widgets get new ids in every kernel.
    r"\bIPY_MODEL_[0-9a-f]{32}\b": "IPY_MODEL_ID",
    r"(?<=\"model_id\": \")[0-9a-f]{32}(?=\")": "MODEL_ID",
}
"""What varies from run to run, as nbval's sanitizing takes it: patterns, and what they become."""


class UnusedRecordingWarning(pytest.PytestWarning):
    """A cassette holds replies that nothing asks for any more."""


@dataclass
class Use:
    """What was used of cassettes between two moments.

    Attributes:
        expected: The cassette that was put in.
        report: Where the kernels wrote down what they used.
        own: Whether it was put in for these tests alone, so that all of it is to be used.
    """

    expected: Path
    report: Path
    own: bool = True

    def recorded(self) -> list[dict[str, Any]]:
        """What was recorded, as JSON: workers hand it on."""
        news = [event for event in self._events() if event["recorded"]]
        tapes = {path: read_tape(Path(path)) for path in {event["cassette"] for event in news}}
        return [
            _told(event["cassette"], tapes[event["cassette"]].records[event["number"]])
            for event in news
            # Kernels that share a cassette do not number alike.
            if event["number"] < len(tapes[event["cassette"]].records)
        ]

    def unused(self) -> dict[Path, list[Record]]:
        """The records that nothing asked for, by cassette."""
        used: dict[Path, set[int]] = defaultdict(set, {self.expected: set()})
        for event in self._events():
            used[Path(event["cassette"])].add(event["number"])
        left = {
            path: [r for number, r in enumerate(read_tape(path).records) if number not in numbers]
            for path, numbers in used.items()
        }
        return {path: records for path, records in left.items() if records}

    def damage(self) -> list[str]:
        """What is wrong with the cassettes, a text each."""
        paths = {self.expected, *(Path(event["cassette"]) for event in self._events())}
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", DamagedFileWarning)
            for path in sorted(paths):
                Deck(path, "replay")
        return [str(warning.message) for warning in told]

    def _events(self) -> Iterator[dict[str, Any]]:
        for line in self.report.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def cassette_of(notebook: Path) -> Path:
    """The cassette of a notebook or a test module: by its name, in the folder beside it."""
    return notebook.parent / FOLDER / f"{notebook.stem}.jsonl"


@contextmanager
def in_use(path: Path, folder: Path, *, record: bool, if_there: bool = False) -> Iterator[Use]:
    """Put a cassette in, for kernels that are started inside, unless the environment names one.

    Args:
        path: The cassette.
        folder: Where kernels may write down what they use.
        record: Whether what is missing is recorded; else nothing is sent.
        if_there: Whether there need not be one, as nobody has named it.
    """
    before = {name: os.environ.get(name) for name in (CASSETTE, IF_THERE, MODE, REPORT)}
    mode = "auto" if record else os.environ.get(MODE) or "replay"
    handle, report = tempfile.mkstemp(dir=folder, suffix=".jsonl")
    os.close(handle)
    use = Use(path.absolute(), Path(report), own=before[CASSETTE] is None and mode != "live")
    if before[CASSETTE] is None:
        os.environ |= {CASSETTE: str(use.expected), IF_THERE: "1" if if_there else "0"}
    os.environ |= {MODE: mode, REPORT: report}
    eject()
    try:
        yield use
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        eject()


def tell_damage(use: Use, *, strict: bool) -> None:
    """Warn of cassettes that are damaged, or were changed by hand; or fail."""
    damage = use.damage()
    if damage and strict:
        pytest.fail("\n".join(damage), pytrace=False)
    for said in damage:
        warnings.warn(said, DamagedFileWarning, stacklevel=2)


def complain(use: Use, *, strict: bool) -> None:
    """Warn of recordings that nothing asked for, or fail."""
    left = use.unused()
    if not left or not use.own:
        return
    lines = ["Nothing asks for these recordings any more; delete them, or record anew:"]
    for path, records in left.items():
        for record in records:
            lines.append(f"  {path.name}, line {record.line}: {record.prompt[:_LONGEST]!r}")  # noqa: PERF401
    if strict:
        pytest.fail("\n".join(lines), pytrace=False)
    warnings.warn("\n".join(lines), UnusedRecordingWarning, stacklevel=2)


def summary(recorded: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was missing in which cassette and is recorded now, a line each; last what it cost."""
    if not recorded:
        return ["Nothing was missing: nothing is recorded, and nothing was sent."]
    lines = [f"{each['cassette']}: {each['prompt'][:_LONGEST]!r}" for each in recorded]
    costs = [each["cost"] for each in recorded]
    known = [cost for cost in costs if cost is not None]
    read = sum(each["prompt_tokens"] for each in recorded)
    written = sum(each["completion_tokens"] for each in recorded)
    parts = [
        f"{len(recorded):,} {'reply' if len(recorded) == 1 else 'replies'} recorded",
        f"{read:,} tokens in, {written:,} out",
        *([in_dollars(sum(known))] if known else []),
        *([f"{len(costs) - len(known):,} of unknown cost"] if len(known) < len(costs) else []),
    ]
    return [*lines, " · ".join(parts)]


def _told(cassette: str, record: Record) -> dict[str, Any]:
    usage = dict(record.details.get("usage") or {})
    return {
        "cassette": shown(Path(cassette)),
        "prompt": record.prompt,
        "prompt_tokens": usage.get("prompt_tokens", 0),
        "completion_tokens": usage.get("completion_tokens", 0),
        "cost": _cost(record, usage),
    }


def _cost(record: Record, usage: Mapping[str, Any]) -> float | None:
    if not usage:
        return None
    models = record.details.get("model"), record.request.get("model")
    return cost_of(RequestUsage(**usage), *models)
