"""The tutorials, run as `make test` runs them: from cassettes, with no model and no network."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.torture.figures import Figure, Scale
from tests.torture.surroundings import environment

__all__ = ["trial"]

_FOLDER = Path(__file__).parents[3] / "notebooks"
_LONGEST = 60.0  # seconds, for all of them


def trial(scale: Scale) -> Iterator[Figure]:
    """Run them, and add up how long their kernels were busy."""
    files = sorted(_FOLDER.glob("*.ipynb"))
    files = files[: scale.of(len(files))]
    kept = {path: path.read_bytes() for path in (_FOLDER / "cassettes").iterdir()}
    busy = sum(map(_seconds, map(_run, files)))
    what = f"seconds in which the kernels of {len(files)} tutorials were busy, start-up left out"
    yield Figure(what, busy, _LONGEST, "s", timed=True)
    changed = sum(path.read_bytes() != content for path, content in kept.items())
    yield Figure("cassettes that they changed", changed, 0)


def _run(file: Path) -> NotebookNode:
    book = nbformat.read(file, as_version=4)
    resources = {"metadata": {"path": str(_FOLDER)}}
    cassette = _FOLDER / "cassettes" / f"{file.stem}.jsonl"
    settings = {"NBAGENTS_MODE": "replay"}
    if cassette.exists():  # others run on the embedded model
        settings["NBAGENTS_CASSETTE"] = str(cassette)
    with environment(**settings, NBAGENTS_REQUESTS="off"):
        client = NotebookClient(book, timeout=120, record_timing=True, resources=resources)
        return client.execute()


def _seconds(book: NotebookNode) -> float:
    timings = (cell.metadata.execution for cell in book.cells if cell.cell_type == "code")
    return sum(
        _moment(timing["iopub.status.idle"]) - _moment(timing["iopub.status.busy"])
        for timing in timings
    )


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
