"""Whether outputs are compared from run to run, so that nothing in them may vary."""

from __future__ import annotations

import os

__all__ = ["is_final"]


def is_final() -> bool:
    """Whether only what is finished, and the same in every run, is to be shown.

    So it is with ``NBAGENTS_RENDER=final``, and below pytest, whose ``PYTEST_CURRENT_TEST``
    kernels inherit.
    """
    return os.environ.get("NBAGENTS_RENDER") == "final" or "PYTEST_CURRENT_TEST" in os.environ
