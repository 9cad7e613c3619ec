"""Notebooks and the workers of pytest-xdist."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

__all__ = ["NotebookScheduling"]


class NotebookScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives the cells of a notebook to one worker, in their order, and other tests to any."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return file if file.endswith(".ipynb") else nodeid
