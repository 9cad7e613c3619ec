"""Every named way to misbehave, by `create`, `create_stream`, in a chat cell and in a panel."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from nbagents.testing.faults import FAULTS
from tests.faults.ways import WAYS, Seen, room
from tests.faults.weigh import LONG, weighed
from tests.torture.figures import Figure, Scale

_MOST_MEMORY = 64.0
_MOST_IN_A_PANEL = 128.0  # which sends a long reply as HTML and as text
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
    yield from _memory(names, scale)


def _asked(names: Iterable[str]) -> tuple[dict[tuple[str, str], Seen], int]:
    with room() as opened:
        seen = {(way, name): opened.ask(way, FAULTS[name]) for name in names for way in WAYS}
        return seen, len(opened.elsewhere.requests)


def _of(seen: dict[tuple[str, str], Seen], what: str) -> tuple[int, int]:
    return sum(bool(getattr(each, what)) for each in seen.values()), 0


def _memory(names: list[str], scale: Scale) -> Iterator[Figure]:
    """What a kernel takes at the most, above what it had before."""
    ways = [*WAYS] if scale.share >= 1 else ["%%chat"]
    asked = [(way, name) for name in names for way in ways]
    yield _most(f"{len(names)} ways, each by {', '.join(ways)}", asked)
    shown = [("%%chat", name) for name in (LONG if scale.share >= 1 else list(LONG)[:1])]
    yield _most(f"{len(shown)} long good replies by %%chat", shown)
    if scale.share >= 1:
        shown = [("panel", name) for name in LONG]
        yield _most(f"{len(shown)} long good replies by panel", shown, _MOST_IN_A_PANEL)


def _most(what: str, asked: list[tuple[str, str]], promised: float = _MOST_MEMORY) -> Figure:
    used = weighed(asked, promised)
    most = max(used, key=lambda each: used[each])
    named = f"most memory over base, {what} ({' '.join(most)})"
    return Figure(named, used[most], promised, "MiB")
