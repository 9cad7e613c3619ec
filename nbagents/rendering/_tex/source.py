"""TeX cut into tokens, and read one after the other."""

from __future__ import annotations

import re

__all__ = ["NotReadError", "Source"]

_TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|[0-9]+(?:[.,][0-9]+)*|\s+|.", re.DOTALL)
_COMMENT = re.compile(r"(?<!\\)%[^\n]*")


class NotReadError(ValueError):
    """There is something in the formula that would not be set as it is meant."""


class Source:
    r"""Tokens: commands (``\alpha``, ``\,``), numbers, and single characters."""

    def __init__(self, tex: str) -> None:
        self._tokens = _TOKEN.findall(_COMMENT.sub("", tex))
        self._at = 0

    def peek(self) -> str:
        """The next token that is no space; empty at the end."""
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def next(self) -> str:
        """Take the next token that is no space.

        Raises:
            NotReadError: There is none.
        """
        token = self.peek()
        if not token:
            raise NotReadError("the formula ends too early")
        self._at += 1
        return token

    def take(self, token: str) -> bool:
        """Take the next token if it is this one."""
        if self.peek() != token:
            return False
        self._at += 1
        return True

    def first_character(self) -> str:
        """Take the next token, of a number its first digit only."""
        token = self.next()
        if token[0].isdigit() and len(token) > 1:
            self._at -= 1
            self._tokens[self._at] = token[1:]
            return token[0]
        return token

    def text(self) -> str:
        """Take a group, braces and all, and return what stands in it as it is written."""
        if not self.take("{"):
            return self.first_character()
        depth, start = 1, self._at
        while self._at < len(self._tokens):
            depth += {"{": 1, "}": -1}.get(self._tokens[self._at], 0)
            self._at += 1
            if depth == 0:
                return "".join(self._tokens[start : self._at - 1])
        raise NotReadError("a brace is not closed")

    def bracketed(self) -> str | None:
        """Take ``[...]`` and return what stands in it; None where there is none."""
        if not self.take("["):
            return None
        start = self._at
        while self._at < len(self._tokens):
            self._at += 1
            if self._tokens[self._at - 1] == "]":
                return "".join(self._tokens[start : self._at - 1])
        raise NotReadError("a bracket is not closed")
