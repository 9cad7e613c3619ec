"""The environment in which a trial runs its kernels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["environment"]

_SETTINGS = ("OPENAI_", "AZURE_", "NBAGENTS_", "PYTEST_")


@contextmanager
def environment(**settings: str) -> Iterator[None]:
    """The environment as it is, less what concerns models; no request leaves this machine."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith(_SETTINGS)]:
        del os.environ[name]
    os.environ.update({"NBAGENTS_RENDER": "final", "NBAGENTS_REQUESTS": "loopback", **settings})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
