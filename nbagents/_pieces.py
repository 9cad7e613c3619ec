"""Text that comes in pieces."""

from __future__ import annotations

__all__ = ["Pieces"]

_LOOSE = 1_000


class Pieces:
    """A text that grows piece by piece, without the weight of its pieces.

    A string of a few letters takes some 60 bytes, so that a list of a reply's tokens is many
    times as large as the reply. Here they are joined, a thousand at a time.
    """

    __slots__ = ("_joined", "_loose", "_size")

    def __init__(self) -> None:
        self._joined: list[str] = []
        self._loose: list[str] = []
        self._size = 0

    def add(self, text: str) -> None:
        """Add a piece at the end."""
        self._loose.append(text)
        self._size += len(text)
        if len(self._loose) >= _LOOSE:
            self._joined.append("".join(self._loose))
            self._loose.clear()

    def __str__(self) -> str:
        """The whole text."""
        if self._loose or len(self._joined) != 1:
            self._joined = ["".join([*self._joined, *self._loose])]
            self._loose.clear()
        return self._joined[0]

    def __len__(self) -> int:
        return self._size
