"""A kernel that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notebook.kernels import Kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A running kernel in which replies are shown live."""
    with Kernel() as running:
        yield running
