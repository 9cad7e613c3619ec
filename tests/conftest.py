"""What all tests share."""

from __future__ import annotations

import os
import shutil

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none; in CI it fails instead."""
    if shutil.which("chromium") or os.environ.get("CI"):
        return
    skip = pytest.mark.skip(reason="no Chromium on this machine")
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(skip)
