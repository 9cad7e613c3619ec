from __future__ import annotations

import pytest

from tests.browser.lab import chromium
from tests.panel.room import Room


@pytest.fixture(scope="package")
def browser():
    pytest.importorskip("playwright.sync_api")
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def room(browser):
    """A page that cannot reach anything; each test mounts a panel of its own in it."""
    opened = Room(browser, reduced_motion="reduce")
    yield opened
    assert opened.failures == []
    opened.page.context.close()
