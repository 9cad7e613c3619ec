"""Where a cache keeps what it knows: in memory, or in a file that kernels share."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from nbagents._sqlite import Database, Table

__all__ = ["CacheStore", "InMemoryStore", "SQLiteStore"]

T = TypeVar("T")


class CacheStore(ABC, Generic[T]):
    """A store of values by their keys. Whoever makes one sees to its size and its end."""

    @abstractmethod
    def get(self, key: str, default: T | None = None) -> T | None:
        """Return the value of ``key``, or ``default`` where there is none."""

    @abstractmethod
    def set(self, key: str, value: T) -> None:
        """Keep ``value`` under ``key``."""


class InMemoryStore(CacheStore[T]):
    """A store in memory, which ends with the process.

    Attributes:
        store: The values by their keys.
    """

    def __init__(self) -> None:
        self.store: dict[str, T] = {}

    def get(self, key: str, default: T | None = None) -> T | None:
        """Return the value of ``key``, or ``default`` where there is none."""
        return self.store.get(key, default)

    def set(self, key: str, value: T) -> None:
        """Keep ``value`` under ``key``."""
        self.store[key] = value


class SQLiteStore(CacheStore[T]):
    """A store in a SQLite file, safe with several kernels at once and when one is killed.

    Args:
        path: The file; it is made with the first value.

    Raises:
        ConfigurationError: (when used) The file is no database, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._database = Database(path, Table("cache", ("value",)))

    def get(self, key: str, default: T | None = None) -> T | None:
        """Return the value of ``key``, or ``default`` where there is none."""
        row = self._database.get(key)
        if row is None:
            return default
        try:
            value: Any = json.loads(row[1])
        except (TypeError, ValueError, RecursionError):  # nothing that was set here
            return default
        return value  # type: ignore[no-any-return]

    def set(self, key: str, value: T) -> None:
        """Keep ``value``, which JSON can hold, under ``key``."""
        self._database.put([(key, json.dumps(value))])

    def clear(self) -> None:
        """Forget everything."""
        self._database.clear()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()

    def __len__(self) -> int:
        return len(self._database)

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._database.path)!r})"
