"""Every named way to misbehave, by `create`, `create_stream`, in a chat cell and in a panel."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator

from nbagents.testing.faults import FAULTS
from tests.faults.ways import WAYS, Seen, room
from tests.faults.weigh import HEAVY, LONG
from tests.torture.figures import Figure, Scale

_MOST_MEMORY = 64.0
_MOST_OF_A_LONG_REPLY = 128.0  # which is kept, and shown in three forms
_MOST_DELAY = 1.0


def trial(scale: Scale) -> Iterator[Figure]:
    """How many there are, and how often a promise was broken."""
    names = sorted(random.Random(scale.seed).sample(list(FAULTS), scale.of(len(FAULTS))))
    seen, strayed = _asked(names)
    endings = list(seen.values())
    yield Figure("named ways", len(FAULTS), 100, at_least=True)
    yield Figure(
        f"asked: {len(names)} ways, each by {', '.join(WAYS)}",
        len(seen),
        len(names) * 4,
        at_least=True,
    )
    yield Figure("raw exceptions, and errors without a next step or with a key", *_of(seen, "raw"))
    wrong = [f"{way} {name}" for (way, name), each in seen.items() if not each.is_right]
    yield Figure(f"other outcomes than stated {wrong[:3] or ''}".strip(), len(wrong), 0)
    yield Figure("text lost or shown twice", *_of(seen, "twice"))
    yield Figure("requests that followed a redirect to another host", strayed, 0)
    late = max(
        (each.seconds for (_, name), each in seen.items() if FAULTS[name].deadline), default=0
    )
    yield Figure("longest time beyond a deadline", late, _MOST_DELAY, "s", timed=True)
    slowest = max(each.seconds for each in endings)
    yield Figure("longest time without a deadline", slowest, 30, "s", timed=True)
    yield from _memory(scale)


def _asked(names: Iterable[str]) -> tuple[dict[tuple[str, str], Seen], int]:
    with room() as opened:
        seen = {(way, name): opened.ask(way, FAULTS[name]) for name in names for way in WAYS}
        return seen, len(opened.elsewhere.requests)


def _of(seen: dict[tuple[str, str], Seen], what: str) -> tuple[int, int]:
    return sum(bool(getattr(each, what)) for each in seen.values()), 0


def _memory(scale: Scale) -> Iterator[Figure]:
    """Memory above what there was before, each in a process of its own where it may be much."""
    whole = scale.share >= 1
    light = [name for name in FAULTS if name not in HEAVY] if whole else []
    for way in WAYS if whole else ["%%chat"]:
        used: dict[str, float] = dict(_weighed(way, light)) if light else {}
        for name in HEAVY if whole else HEAVY[:2]:
            used |= dict(_weighed(way, [name]))
        most = max(used, key=lambda name: used[name])
        what = f"most memory of {len(used)} ways by {way} ({most})"
        yield Figure(what, used[most], _MOST_MEMORY, "MiB")
    for name in LONG if whole else []:
        for way in WAYS:
            ((_, used_by_it),) = _weighed(way, [name])
            yield Figure(f"memory of {name} by {way}", used_by_it, _MOST_OF_A_LONG_REPLY, "MiB")


def _weighed(way: str, names: list[str]) -> list[tuple[str, float]]:
    environment = {**os.environ, "NBAGENTS_REQUESTS": "loopback"}
    command = [sys.executable, "-m", "tests.faults.weigh", way, *names]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2_000:])
    return [(name, used) for name, used, _ in map(json.loads, ran.stdout.splitlines())]
