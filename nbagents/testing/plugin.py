"""The pytest plugin: the switch that keeps a suite off the network, and its loopback server.

pytest loads this module in every project that has nbagents installed, so it imports nothing
else of nbagents until a fixture is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nbagents.testing.server import LoopbackServer

__all__ = ["loopback_server", "no_requests"]

_SWITCH = "NBAGENTS_REQUESTS"
_POSITIONS = ("on", "loopback", "off")
_before = pytest.StashKey[str | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--nbagents-requests`` and the setting ``nbagents_requests``."""
    text = (
        "which requests nbagents may make during the run, notebooks' kernels included: any (on), "
        "those to this computer (loopback), or none (off)"
    )
    group = parser.getgroup("nbagents")
    group.addoption("--nbagents-requests", choices=_POSITIONS, default=None, help=text)
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
