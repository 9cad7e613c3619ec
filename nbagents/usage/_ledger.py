"""The ledger: every request of the process, and the DataFrame made of them."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from nbagents._warnings import warn
from nbagents.errors import ConfigurationError, NotKeptWarning
from nbagents.prices import in_dollars
from nbagents.usage._frame import frame_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Container, Iterable

    import pandas as pd

    from nbagents.usage._records import UsageRecord

__all__ = ["UsageLedger", "ledger"]

_Number = TypeVar("_Number", int, float)

_log = logging.getLogger(__name__)

# What differs between two runs of the same notebook is in the frame, not on the page.
_VARYING = ["time", "cell", "seconds", "time_to_first_token"]


class UsageLedger:
    """Requests in the order in which they ended; any thread may add to it.

    The last expression of a cell shows its totals and its rows.

    Args:
        records: Records to begin with.
    """

    def __init__(self, records: Iterable[UsageRecord] = ()) -> None:
        self._lock = Lock()
        self._records = list(records)
        self._callbacks: list[Callable[[UsageRecord], object]] = []
        self._kept: dict[str, Callable[[], None]] = {}

    def add(self, record: UsageRecord) -> None:
        """Add a record, and tell who asked to be told."""
        with self._lock:
            self._records.append(record)
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            try:
                callback(record)
            except Exception:  # noqa: BLE001  (a request must not fail because a watcher does)
                _log.exception("%r failed on a record of the usage ledger", callback)

    def on_add(self, callback: Callable[[UsageRecord], object]) -> Callable[[], None]:
        """Have ``callback`` called with every record from now on, in the thread that adds it.

        Returns:
            A function that ends it.
        """
        with self._lock:
            self._callbacks.append(callback)

        def remove() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return remove

    def persist(
        self, path: str | os.PathLike[str], *, notebook: str | None = None
    ) -> Callable[[], None]:
        """Keep the records in a SQLite file too: those there are, and all that follow.

        Several kernels may append to one file; what was written stands when a kernel is killed.
        What cannot be written, on a full disk for example, is told, and written with the next
        record. `read` gives it back. Persisting to the same file again adds nothing twice.

        Args:
            path: The file; it is made where it is missing, but its folder is not.
            notebook: What to write as the notebook; by default the file that Jupyter says it
                runs, and nothing elsewhere.

        Returns:
            A function that ends it; the file stays.

        Raises:
            ConfigurationError: There is no such folder, the file is no database, or it cannot be
                written.
        """
        from nbagents.usage._file import LedgerFile

        folder = Path(path).expanduser().parent
        if not folder.is_dir():
            raise ConfigurationError(
                f"There is no folder {folder} to keep the ledger in. Make it first, or give "
                "another path."
            )
        file = LedgerFile(path, notebook)
        place = str(Path(path).expanduser().absolute())
        with self._lock:
            if place in self._kept:
                return self._kept[place]
            file.append(self._records)

            def keep(record: UsageRecord) -> None:
                try:
                    file.append([record])
                except ConfigurationError as error:
                    waits = "What the request took is in the ledger, and waits to be kept."
                    warn(f"{error} {waits}", NotKeptWarning)

            def end() -> None:
                with self._lock:
                    self._kept.pop(place, None)
                    if keep in self._callbacks:
                        self._callbacks.remove(keep)
                file.close()

            self._callbacks.append(keep)
            self._kept[place] = end
        return end

    @staticmethod
    def read(path: str | os.PathLike[str]) -> pd.DataFrame:
        """Return what all kernels have kept in a file, a row a request.

        The columns are those of `to_frame`, and before them ``session`` (a kernel from its start
        to its end) and ``notebook``. By day::

            frame.groupby(frame["time"].dt.date)["cost"].sum()

        Raises:
            ConfigurationError: There is no such file, or it is no database.
        """
        from nbagents.usage._file import LedgerFile

        if not _is_there(path):
            raise ConfigurationError(
                f"There is no {path}; nbagents.ledger.persist({str(path)!r}) makes it."
            )
        file = LedgerFile(path)
        try:
            return file.read()
        finally:
            file.close()

    @property
    def records(self) -> tuple[UsageRecord, ...]:
        """All records, in the order in which the requests ended."""
        with self._lock:
            return tuple(self._records)

    @property
    def cost(self) -> float:
        """USD spent on requests whose cost is known; `unpriced` counts the others."""
        return math.fsum(_known(record.cost for record in self.records))

    @property
    def unpriced(self) -> int:
        """How many requests have an unknown cost."""
        return sum(record.cost is None for record in self.records)

    def clear(self) -> None:
        """Forget all records."""
        with self._lock:
            self._records.clear()

    def to_frame(self) -> pd.DataFrame:
        """Return one row a request, with the columns of `UsageRecord` in its order.

        ``time`` is ``datetime64[ns, UTC]``; numbers are ``Int64`` and ``Float64``, ``<NA>`` where
        unknown; names, ``finish_reason`` and ``status`` are categories; ``estimated`` is
        ``boolean``. Totals are pandas' own, by any column::

            frame.groupby("model", observed=True)[["cost", "prompt_tokens"]].sum(min_count=1)

        (``min_count=1`` keeps a total that nobody knows at ``<NA>``; without it pandas says 0.)
        """
        return frame_of(self.records)

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"<UsageLedger: {_summary(self.records)}>"

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, Any]:
        """Show the totals and the rows (IPython asks for this)."""
        records = self.records
        table = frame_of(records).drop(columns=_VARYING)
        summary = _summary(records)
        return {
            "text/plain": f"{summary}\n{table}" if records else summary,
            "text/html": f"<p>{summary}</p>{table.to_html(max_rows=20) if records else ''}",
        }


def _is_there(path: str | os.PathLike[str]) -> bool:
    try:
        return Path(path).expanduser().exists()
    except OSError:  # a name that is too long, a folder that may not be looked into
        return False


def _summary(records: tuple[UsageRecord, ...]) -> str:
    """``2 requests · 1,200 tokens in, 80 out · $0.0042 · 1 without a known cost``."""
    if not records:
        return "No requests yet"
    count = len(records)
    read = sum(_known(record.prompt_tokens for record in records))
    written = sum(_known(record.completion_tokens for record in records))
    parts = [
        f"{count:,} request{'s' if count > 1 else ''}",
        f"{read:,} tokens in, {written:,} out",
    ]
    costs = list(_known(record.cost for record in records))
    if costs:
        parts.append(in_dollars(math.fsum(costs)))
    if len(costs) < count:
        parts.append(f"{count - len(costs):,} without a known cost")
    estimated = sum(record.estimated for record in records)
    if estimated:
        parts.append("estimated" if estimated == count else "partly estimated")
    return " · ".join(parts)


def _known(numbers: Iterable[_Number | None]) -> Iterable[_Number]:
    return (number for number in numbers if number is not None)


ledger = UsageLedger()
"""The process's own ledger: every request of every client is in it."""
