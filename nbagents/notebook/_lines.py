"""What IPython would take for something else: a prompt that ends in ``?``, a cell with no body."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from tokenize import TokenInfo
from typing import TYPE_CHECKING

from IPython.core.inputtransformer2 import EscapedCommand, MagicAssign, TokenTransformBase

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["install_lines"]

_HEAD = re.compile(r"%%chat(?!\w|\?)")
_QUESTION = re.compile(r"\s*%chat\s+[^?\s].*\?\s*$")
_ASSIGNED = re.compile(r"[^%\n]*=\s*%chat\s+[^?\s].*\?\s*$")


def install_lines(shell: InteractiveShell) -> Callable[[], None]:
    """Let ``%chat Why?`` be a prompt in ``shell``, and ``%%chat NAME --new`` stand by itself.

    Returns:
        A function that takes this away again.
    """
    manager = shell.input_transformer_manager
    # Before the magics are found; not at the clean-up, which also judges whether a cell is whole.
    manager.line_transforms.insert(0, _with_body)
    manager.token_transformers += [_Question, _AssignedQuestion]

    def undo() -> None:
        with suppress(ValueError):
            manager.line_transforms.remove(_with_body)
        for transformer in (_Question, _AssignedQuestion):
            with suppress(ValueError):
                manager.token_transformers.remove(transformer)

    return undo


def _with_body(lines: list[str]) -> list[str]:
    """Give a cell of one line a body: IPython refuses a cell magic that has none."""
    alone = lines and _HEAD.match(lines[0]) and not "".join(lines[1:])
    return [*lines, "\n"] if alone else lines


class _Question(EscapedCommand):
    """A ``%chat`` line that ends in ``?``, which IPython would look up in the help."""

    priority = EscapedCommand.priority - 9

    @classmethod
    def find(cls, tokens_by_line: list[list[TokenInfo]]) -> EscapedCommand | None:
        """Find the first such line in the cell."""
        for line in tokens_by_line:
            first = next((token for token in line if token.string.strip()), None)
            if first and first.string == "%" and _QUESTION.match(first.line):
                return cls(first.start)
        return None


class _AssignedQuestion(TokenTransformBase):
    """The same behind a name: ``reply = %chat Why?``."""

    priority = _Question.priority

    @classmethod
    def find(cls, tokens_by_line: list[list[TokenInfo]]) -> TokenTransformBase | None:
        """Find the first such line in the cell."""
        for line in tokens_by_line:
            first = next((token for token in line if token.string.strip()), None)
            if first and _ASSIGNED.match(first.line):
                # What begins first goes first, and the help would begin with the line.
                return cls((first.start[0], 0))
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """Make it what IPython makes of other assigned magics."""
        column = lines[self.start_line].index("%")
        found = MagicAssign((self.start_line + 1, column))  # type: ignore[no-untyped-call]
        assigned: list[str] = found.transform(lines)
        return assigned
