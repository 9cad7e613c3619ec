"""A notebook is recorded once against a server, which then goes, and replayed for ever.

The outputs of every replay are compared with those of the recording, as JSON.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from nbagents.testing import LoopbackServer
from tests.torture.atlas import notebook, replies, shuffled
from tests.torture.figures import Figure, Scale
from tests.torture.surroundings import environment

__all__ = ["trial"]

_NAME = "atlas.jsonl"
# No two panels of a kernel have the same; a new kernel gives the same again.
_PANEL = re.compile(r'(?<="model_id": ")[0-9a-f]{32}')
_BEGIN_AGAIN = "%reset -f\n%unload_ext nbagents\nget_ipython().execution_count = 1"


def trial(scale: Scale) -> Iterator[Figure]:
    """Record and replay."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        scripted = len(replies())
        asked, book = _record(folder)
        yield Figure(f"requests sent for {scripted} replies", asked, scripted, at_least=True)
        cassette = (folder / "cassettes" / _NAME).read_bytes()
        yield from _in_kernels(scale, folder, book)
        yield _in_two_workers(scale.of(25, least=2), folder, book)
        if scale.share == 1:
            yield _in_two_workers(25, folder, book, "--dist", "loadfile")
        changed = cassette != (folder / "cassettes" / _NAME).read_bytes()
        yield Figure("changes of the cassette by all that", int(changed), 0)


def _record(folder: Path) -> tuple[int, NotebookNode]:
    """Run the notebook against a server; return how much was asked, and the notebook."""
    book = notebook(_NAME)
    with LoopbackServer() as server:
        server.will_reply(*replies())
        with environment(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="sk-of-the-trial"):
            _client(book, folder).execute()
        asked = sum("/chat/completions" in request.path for request in server.requests)
    return asked, book


def _in_kernels(scale: Scale, folder: Path, book: NotebookNode) -> Iterator[Figure]:
    fresh, again = scale.of(10), scale.of(40)
    orders = [shuffled(book, scale.seed + number) for number in range(scale.of(50))]
    with environment(NBAGENTS_MODE="replay"):
        new = (_client(deepcopy(book), folder).execute() for _ in range(fresh))
        different = sum(_outputs(each) != _outputs(book) for each in new)
        yield Figure(f"of {fresh} replays in new kernels, different", different, 0)
        books = [deepcopy(book) for _ in range(again)]
        replayed = [*_in_one_kernel([*books, *orders], folder)]
        expected = _PANEL.sub("", _outputs(book))
        different = sum(_PANEL.sub("", _outputs(each)) != expected for each in replayed[:again])
        yield Figure(f"of {again} replays in one kernel, different", different, 0)
        cells = _by_cell(book)
        different = sum(_by_cell(each) != cells for each in replayed[again:])
        yield Figure(f"of {len(orders)} replays with shuffled cells, different", different, 0)


def _in_one_kernel(books: list[NotebookNode], folder: Path) -> Iterator[NotebookNode]:
    client = _client(books[0], folder)
    again = nbformat.v4.new_code_cell(_BEGIN_AGAIN)
    with client.setup_kernel():
        for book in books:
            client.nb = nbformat.v4.new_notebook(cells=[again])
            client.execute_cell(again, 0, store_history=False)
            client.nb = book
            for number, cell in enumerate(book.cells):
                client.execute_cell(cell, number)
            yield book


def _in_two_workers(copies: int, folder: Path, book: NotebookNode, *options: str) -> Figure:
    """Copies of the notebook under nbval and pytest-xdist, all with the one cassette."""
    for number in range(copies):
        nbformat.write(book, folder / f"copy_{number}.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "-n", "2"]
    with environment():
        run = subprocess.run(
            [*command, *options, "-p", "no:cacheprovider", "-p", "no:asyncio", "."],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
    passed = f"{len(book.cells) * copies} passed" in run.stdout
    what = f"of {copies} notebooks under pytest -n 2 {' '.join(options)}".strip()
    return Figure(f"{what}, runs that fail", int(not passed or run.returncode != 0), 0)


def _client(book: NotebookNode, folder: Path) -> NotebookClient:
    resources = {"metadata": {"path": str(folder)}}
    # What is printed a kernel sends in as many pieces as its clock will have it.
    return NotebookClient(book, timeout=120, coalesce_streams=True, resources=resources)


def _outputs(book: NotebookNode) -> str:
    """What the cells show, as one text."""
    return json.dumps([cell.outputs for cell in book.cells], sort_keys=True)


def _by_cell(book: NotebookNode) -> Mapping[str, Any]:
    """What each cell shows, whenever it was run."""
    shown = {}
    for cell in book.cells:
        kept = [{k: v for k, v in o.items() if k != "execution_count"} for o in cell.outputs]
        shown[cell.id] = _PANEL.sub("", json.dumps(kept, sort_keys=True))
    return shown
