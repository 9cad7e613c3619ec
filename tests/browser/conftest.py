"""One JupyterLab, one Chromium and one scripted model server for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from nbagents.testing import LoopbackServer
from tests.browser.lab import Lab, Notebook, Window, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Opener = Callable[..., Notebook]

SETUP = """\
import os
os.environ.update(OPENAI_API_KEY="x", OPENAI_BASE_URL="{}")
%load_ext nbagents"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Repeat once in CI what fails in a browser; the summary names it."""
    if os.environ.get("CI"):
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab() as running:
        yield running


# For this package only: while Playwright runs in a thread, no other event loop can.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    pytest.importorskip("playwright.sync_api")
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.fixture(scope="package")
def only_window(lab: Lab, browser: Browser) -> Window:
    return Window(lab, browser)


@pytest.fixture(scope="module")
def window(only_window: Window) -> Iterator[Window]:
    """A window in which nothing is open; in the end nothing foreign was asked for."""
    yield only_window
    only_window.close_all()
    assert only_window.strays == []


@pytest.fixture
def chatting(window: Window, server: LoopbackServer) -> Iterator[Opener]:
    """Opens a notebook of these cells, behind one that has connected it to the server."""

    def open_notebook(*cells: str) -> Notebook:
        window.lab.write("chatting.ipynb", SETUP.format(server.base_url), *cells)
        notebook = window.open("chatting.ipynb")
        notebook.run(0)
        notebook.wait_idle()
        return notebook

    server.forget()
    yield open_notebook
    window.close_all()
