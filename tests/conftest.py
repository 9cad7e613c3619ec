"""What all tests share."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
from hypothesis import HealthCheck, settings

# A machine that is busy with something else is slow, which no example can help.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# What the developer's machine has set must not decide how a test ends, and no test may reach
# beyond the machine. Kernels and subprocesses inherit it.
for name in list(os.environ):
    if name.startswith(("AZURE_", "NBAGENTS_", "OPENAI_")):
        del os.environ[name]
os.environ["NBAGENTS_REQUESTS"] = "loopback"

# A shell lets what it starts in the background ignore this, and all that is started from there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The files that take minutes begin first, so that no worker has to wait for another at the end.
LONGEST = ("torture", "browser", "testing", "secrets", "notebook")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first; skip what needs a browser where there is none, except in CI."""
    items.sort(key=_turn)
    if shutil.which("chromium") or os.environ.get("CI"):
        return
    skip = pytest.mark.skip(reason="no Chromium on this machine")
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(skip)


def _turn(item: pytest.Item) -> int:
    folders = item.path.parts
    return next((at for at, name in enumerate(LONGEST) if name in folders), len(LONGEST))
