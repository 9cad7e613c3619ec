"""SQLite files that several kernels write to at once, and that survive the end of any of them.

Every record has a checksum, so that damage is told, and what it has left is found again.
"""

from __future__ import annotations

from nbagents._sqlite._database import Database
from nbagents._sqlite._records import MARK, Row, Table

__all__ = ["MARK", "Database", "Row", "Table"]
