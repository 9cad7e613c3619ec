"""Credentials that are no one's go through all that is done with them, and are looked for.

One notebook runs in a real kernel: cells, a panel, agents, a cassette, a cache, a ledger, and
servers that repeat what they were sent, while everything is logged. Then all that it left is
searched for the credentials. In each place stands a leak that was planted: it must be found.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.secrets.canaries import CANARIES, layers, marker, search
from tests.secrets.scenario import PLACES, run
from tests.torture.figures import Figure, Scale

__all__ = ["trial"]


def trial(scale: Scale) -> Iterator[Figure]:
    """Run the notebook and search."""
    with TemporaryDirectory() as name:
        root = Path(name)
        done = run(root, share=scale.share, seed=scale.seed)
        what = f"tracebacks shown of {done.asked} faults, in four modes"
        yield Figure(what, done.tracebacks, done.asked // 2, at_least=True)
        missed = [each for each in PLACES if not _holds(root / each, marker(each).encode())]
        yield Figure(f"planted leaks that were not found {missed or ''}".strip(), len(missed), 0)
        yield _search(root)


def _search(root: Path) -> Figure:
    files = [path for path in root.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 2**20
    found = sorted(trace for traces in search(root).values() for trace in traces)
    what = f"traces of {len(CANARIES)} credentials in {len(PLACES)} places, {len(files)} files"
    return Figure(f"{what}, {size:,.0f} MiB {found[:20] or ''}".strip(), len(found), 0)


def _holds(folder: Path, sign: bytes) -> bool:
    files = (path for path in folder.rglob("*") if path.is_file())
    return any(sign in layer for path in files for layer in layers(path))
