"""The pytest plugin: notebooks and tests that replay cassettes, off the network.

pytest loads this module in every project that has nbagents installed, so it imports nothing
else of nbagents until a fixture is used or a notebook is run.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nbagents.models import ReplayChatCompletionClient
    from nbagents.testing._cassettes import Use
    from nbagents.testing.server import LoopbackServer

__all__ = ["cassette", "chat_client", "loopback_server", "no_requests"]

_SWITCH = "NBAGENTS_REQUESTS"
_POSITIONS = ("on", "loopback", "off")
_before = pytest.StashKey[str | None]()
_folder = pytest.StashKey[Path]()
_recorded = pytest.StashKey[list[dict[str, Any]]]()
_use = pytest.StashKey["Use"]()
_cells = pytest.StashKey[list[bool]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and the setting ``nbagents_requests``."""
    text = (
        "which requests nbagents may make during the run, notebooks' kernels included: any (on), "
        "those to this computer (loopback), or none (off)"
    )
    group = parser.getgroup("nbagents")
    group.addoption("--nbagents-requests", choices=_POSITIONS, default=None, help=text)
    group.addoption(
        "--nbagents-record",
        action="store_true",
        help="send the requests that are in no cassette, and record them; outputs of notebooks "
        "are then not compared",
    )
    group.addoption(
        "--nbagents-strict",
        action="store_true",
        help="fail where a cassette is not there, is damaged, or holds recordings that nothing "
        "asks for any more",
    )
    parser.addini("nbagents_requests", text, default="")


def pytest_configure(config: pytest.Config) -> None:
    """Put the switch into the environment, which kernels and subprocesses inherit."""
    wanted = config.getoption("--nbagents-requests") or config.getini("nbagents_requests")
    if not wanted:
        return
    if wanted not in _POSITIONS:
        raise pytest.UsageError(
            f"nbagents_requests is {wanted!r}; it can be {', '.join(_POSITIONS)}."
        )
    config.stash[_before] = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = wanted


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the switch out again."""
    if _before not in config.stash:
        return
    before = config.stash[_before]
    if before is None:
        os.environ.pop(_SWITCH, None)
    else:
        os.environ[_SWITCH] = before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Before nbval starts a notebook's kernel, put in the notebook's cassette."""
    notebook: Any = item.parent
    if not _is_cell(item) or notebook.kernel is not None:
        return (yield)
    from nbagents.testing._cassettes import SANITIZED

    with _cassette_of(notebook):
        result = yield
    notebook.sanitize_patterns.update(SANITIZED)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Generator[None, Any, Any]:
    """Put the cassette in for nbmake, which runs a whole notebook as one test."""
    if _is_notebook(item):
        with _cassette_of(item):
            return (yield)
    if _is_cell(item) and item.config.getoption("--nbagents-record"):
        item.options["check"] = False  # what is recorded is new, and not what was saved
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Take note of which cells ran, and did not fail."""
    report: Any = yield
    if report.when == "call":
        notebook = item.parent if _is_cell(item) else item if _is_notebook(item) else None
        if notebook is not None and _use in notebook.stash:
            notebook.stash.setdefault(_cells, []).append(not report.failed)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, Any, Any]:
    """After a notebook's last cell, look for recordings that nothing asked for."""
    result = yield
    notebook: Any = item.parent
    if _is_notebook(item) and _use in item.stash:
        passed: list[bool] = item.stash.get(_cells, [])
        _end(item.config, item.stash[_use], whole=passed == [True])
    is_last = nextitem is None or nextitem.parent is not notebook
    if _is_cell(item) and is_last and _use in notebook.stash:
        cells = [cell for cell in notebook.nb.cells if cell.cell_type == "code"]
        passed = notebook.stash.get(_cells, [])
        _end(item.config, notebook.stash[_use], whole=len(passed) == len(cells) and all(passed))
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    """As a worker of pytest-xdist, hand on what was recorded."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["nbagents"] = session.config.stash.get(_recorded, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker of pytest-xdist hands on."""
    output = getattr(node, "workeroutput", {})
    node.config.stash.setdefault(_recorded, []).extend(output.get("nbagents", []))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have pytest-xdist give the cells of a notebook to one worker: they share a kernel."""
    notebooks = config.getoption("nbval", False) or config.getoption("nbval_lax", False)
    if not notebooks or config.getoption("dist") not in ("load", "worksteal"):
        return None
    from nbagents.testing._workers import NotebookScheduling

    return NotebookScheduling(config, log)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was missing and is recorded now, and what it cost."""
    if config.getoption("--nbagents-record"):
        from nbagents.testing._cassettes import summary

        recorded: list[dict[str, Any]] = config.stash.get(_recorded, [])
        terminalreporter.section("nbagents")
        for line in summary(recorded):
            terminalreporter.line(line)


@pytest.fixture
def no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbid nbagents' clients every request beyond this computer, for one test.

    For a whole suite set ``nbagents_requests = "loopback"`` in pytest's configuration.
    """
    monkeypatch.setenv(_SWITCH, "loopback")


@pytest.fixture
def loopback_server() -> Iterator[LoopbackServer]:
    """A model server on this computer that answers as it is told (see `LoopbackServer`)."""
    from nbagents.testing.server import LoopbackServer

    with LoopbackServer() as server:
        yield server


@pytest.fixture
def chat_client() -> Callable[..., ReplayChatCompletionClient]:
    """A function that makes clients of prepared replies.

    ``chat_client("Hello", "Bye")`` answers two requests. A reply is a text, a `CreateResult`, or
    an exception; the client's ``calls`` are what it was asked. It is said to be able to do
    whatever a model can do.
    """
    from nbagents.models import ModelInfo, ReplayChatCompletionClient

    info = ModelInfo(
        vision=True,
        function_calling=True,
        json_output=True,
        family="unknown",
        structured_output=True,
        multiple_system_messages=True,
    )
    return lambda *replies: ReplayChatCompletionClient(replies, model_info=info)


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Replay all requests of the test from ``cassettes/MODULE/TEST.jsonl`` beside the module.

    No key is needed. With ``--nbagents-record`` what is missing is recorded; ``NBAGENTS_MODE``
    says what to do otherwise. The value is the file.
    """
    from nbagents.testing._cassettes import cassette_of, in_use

    module = cassette_of(request.path)
    name = "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in request.node.name)
    path = module.with_suffix("") / f"{name.strip('-')}.jsonl"
    record = request.config.getoption("--nbagents-record")
    failed = request.session.testsfailed
    with in_use(path, _folder_of(request.config), record=record) as use:
        yield path
    _end(request.config, use, whole=request.session.testsfailed == failed)


def _is_cell(item: pytest.Item) -> bool:
    """Whether it is a notebook's cell; nbval need not be installed."""
    return type(item).__module__ == "nbval.plugin"


def _is_notebook(item: pytest.Item) -> bool:
    """Whether it is a whole notebook; nbmake need not be installed."""
    return type(item).__module__ == "nbmake.pytest_items"


@contextmanager
def _cassette_of(notebook: Any) -> Iterator[None]:
    """Put a notebook's cassette in, and keep what was used of it."""
    from nbagents.testing._cassettes import cassette_of, in_use

    record = notebook.config.getoption("--nbagents-record")
    path = cassette_of(notebook.path)
    strict = notebook.config.getoption("--nbagents-strict")
    folder = _folder_of(notebook.config)
    with in_use(path, folder, record=record, if_there=not strict) as use:
        notebook.stash[_use] = use
        yield


def _folder_of(config: pytest.Config) -> Path:
    if _folder not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="nbagents-")
        config.add_cleanup(folder.cleanup)
        config.stash[_folder] = Path(folder.name)
    return config.stash[_folder]


def _end(config: pytest.Config, use: Use, *, whole: bool) -> None:
    """Look at what was used of a cassette; what a part of the tests left is no news."""
    from nbagents.errors import ConfigurationError
    from nbagents.testing._cassettes import complain, tell_damage

    strict = config.getoption("--nbagents-strict")
    try:
        config.stash.setdefault(_recorded, []).extend(use.recorded())
        tell_damage(use, strict=strict)
        if whole:
            complain(use, strict=strict)
    except ConfigurationError as error:  # the file is none
        pytest.fail(str(error), pytrace=False)
