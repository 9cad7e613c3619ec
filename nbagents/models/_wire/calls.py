"""Function calls, put together from the pieces that a stream brings.

OpenAI sends a call's id and name once, its arguments in pieces, and tells calls apart by
``index``. Others give several calls one index, repeat id and name with every piece, send no
ids, no index, or arguments as an object. What holds for all of them:

* an id that is new opens a new call, unless it comes without a name or with the same one
  while the arguments are not whole (some servers make up an id for every piece);
* without ids, a new name, or arguments, open a new call when those at that index are whole;
* what repeats a name or whole arguments adds nothing; anything else continues them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nbagents._pieces import Pieces
from nbagents._unicode import mended
from nbagents.messages import FunctionCall

__all__ = ["CallCollector", "sanitized_name"]

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME = 1_000  # of which 64 are kept
_UNSCANNED = 1_000  # pieces of arguments that are kept as they came
_STRUCTURE = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)


def sanitized_name(name: str) -> str:
    """Make ``name`` fit the API's rule for names: letters, digits, ``_`` and ``-``, at most 64."""
    return _NOT_IN_NAMES.sub("_", name)[:64]


class _Call:
    """One call, growing."""

    def __init__(self, call_id: str, index: int | None) -> None:
        self.id = call_id
        self.index = index
        self.name = ""
        self.arguments = Pieces()
        self._unscanned: list[str] = []
        self._depth = 0
        self._opened = self._in_string = False
        self._carry = ""

    def add_name(self, name: str) -> None:
        if name != self.name and len(self.name) < _LONGEST_NAME:
            self.name += name

    def add_arguments(self, text: str) -> None:
        if len(text) == len(self.arguments) and self.is_whole() and text == str(self.arguments):
            return
        self.arguments.add(text)
        self._unscanned.append(text)
        if len(self._unscanned) >= _UNSCANNED:
            self.is_whole()

    def is_whole(self) -> bool:
        """Whether the arguments so far are an object (or array) that has been closed."""
        for piece in self._unscanned:
            self._scan(piece)
        self._unscanned.clear()
        return self._opened and self._depth <= 0

    def _scan(self, piece: str) -> None:
        text = self._carry + piece
        self._carry = ""
        for match in _STRUCTURE.finditer(text):
            sign = match.group()
            if sign == "\\":
                self._carry = sign
            elif sign == '"':
                self._in_string = not self._in_string
            elif not self._in_string and sign in "{[":
                self._depth += 1
                self._opened = True
            elif not self._in_string and sign in "}]":
                self._depth -= 1


class CallCollector:
    """All the calls of a reply, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._open: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def add(
        self, index: int | None, position: int, *, call_id: str, name: str, arguments: str
    ) -> None:
        """Take a piece of a call.

        Args:
            index: Which call it is of; None when the server does not say.
            position: The piece's place among those that came with it.
            call_id: The call's id, or "".
            name: The function's name, a part of it, or "".
            arguments: A piece of JSON text, or "".
        """
        slot = position if index is None else index
        call = self._by_id.get(call_id)
        if call is None or not self._is_of(call, index, slot, name, arguments):
            call = self._open.get(slot)
            if call is None or _opens_another(call, call_id, name, arguments):
                call = _Call(call_id, index)
                self._calls.append(call)
        self._open[slot] = call
        call.id = call.id or call_id
        if call.id:
            self._by_id.setdefault(call.id, call)
        call.add_name(name)
        if arguments:
            call.add_arguments(arguments)

    def _is_of(self, call: _Call, index: int | None, slot: int, name: str, text: str) -> bool:
        """Whether a piece with the call's id belongs to it: two calls may share an id."""
        if index is None or call.index in (None, index):
            return True
        if slot in self._open:
            return False
        return name in ("", call.name) and not (text and call.is_whole())

    def finished(self, *, cut: bool) -> list[FunctionCall]:
        """The calls as they stand; ids that are missing or used twice are made up.

        Args:
            cut: Whether the last call may lack its end. Otherwise a call without arguments
                gets ``{}``, which is what it means.
        """
        calls: list[FunctionCall] = []
        used: set[str] = set()
        for position, call in enumerate(self._calls):
            call_id = mended(call.id)
            if not call_id or call_id in used:
                call_id = next(name for name in _made_up(position) if name not in used)
            used.add(call_id)
            arguments = mended(str(call.arguments))
            if not arguments.strip() and not cut:
                arguments = "{}"
            calls.append(FunctionCall(call_id, arguments, sanitized_name(mended(call.name))))
        return calls


def _opens_another(current: _Call, call_id: str, name: str, text: str) -> bool:
    """Whether a piece at the place of ``current`` begins another call."""
    if call_id and current.id and call_id != current.id:
        if not name:
            return current.is_whole()
        return name != current.name or not current.arguments or current.is_whole()
    return bool(name and (text or name != current.name) and current.is_whole())


def _made_up(position: int) -> Iterator[str]:
    yield f"call_{position}"
    number = 0
    while True:
        number += 1
        yield f"call_{position}_{number}"
