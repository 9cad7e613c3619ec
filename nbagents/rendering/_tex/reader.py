"""From tokens to MathML: atoms, their scripts, and rows of them."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import NamedTuple

from nbagents.rendering._tex.alphabets import letter
from nbagents.rendering._tex.elements import element, fence, identifier, operator, row, space
from nbagents.rendering._tex.source import NotReadError, Source
from nbagents.rendering._tex.symbols import (
    BIG,
    DELIMITERS,
    FUNCTIONS,
    GREEK,
    INTEGRALS,
    LIMITS,
    OPERATORS,
    ORDINARY,
    SPACES,
)

__all__ = ["Atom", "Command", "Reader"]

_DEEPEST = 80
_SIGNS = {"-": "−", "*": "∗", "'": "′", ":": ":", "`": "‘"}
_ENDS = frozenset(("", "}", "&", r"\\", r"\right", r"\middle", r"\end", r"\cr"))


class Atom(NamedTuple):
    """A piece of a formula that scripts can be put to.

    Attributes:
        html: MathML.
        limits: Whether its scripts stand above and below it.
        name: Whether it is a function's name, with a space behind it.
    """

    html: str
    limits: bool = False
    name: bool = False


class Reader:
    """Reads a formula.

    Args:
        tex: The formula.
        commands: What the commands with arguments do, by their names.
        display: Whether it stands on a line of its own.
        font: The alphabet of its letters; see `FONTS`.
        depth: How many formulas it stands in.
    """

    def __init__(
        self,
        tex: str,
        commands: dict[str, Command],
        *,
        display: bool,
        font: str = "",
        depth: int = 0,
    ) -> None:
        self.source = Source(tex)
        self.display = display
        self.font = font
        self._commands = commands
        self._depth = depth

    def row(self, *ends: str) -> list[str]:
        """Read up to one of the tokens ``ends``, which is left, or another end."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotReadError("too deep")
        items: list[str] = []
        while (piece := self.source.peek()) not in _ENDS and piece not in ends:
            items += self._item()
        self._depth -= 1
        return items

    def rows(self) -> list[list[list[str]]]:
        r"""Read lines between ``\\``, each of cells between ``&``."""
        lines = [[self.row()]]
        while (piece := self.source.peek()) in ("&", r"\\", r"\cr"):
            self.source.next()
            if piece == "&":
                lines[-1].append(self.row())
            else:
                self.source.bracketed()
                lines.append([self.row()])
        return lines if len(lines) == 1 or any(lines[-1]) else lines[:-1]

    def argument(self) -> str:
        """Read a group or a single atom, as one element."""
        if self.source.take("{"):
            return row(self.group())
        return self._atom(self.source.first_character()).html

    def group(self) -> list[str]:
        """Read the rest of a group whose brace is open."""
        display, font = self.display, self.font
        items = self.row()
        if not self.source.take("}"):
            raise NotReadError("a brace is not closed")
        self.display, self.font = display, font
        return items

    def inner(self, tex: str, font: str | None = None) -> str:
        """Read another formula in this one's place, as one element."""
        chosen = self.font if font is None else font
        reader = Reader(
            tex, self._commands, display=self.display, font=chosen, depth=self._depth + 1
        )
        items = reader.row()
        if reader.source.peek():
            raise NotReadError(reader.source.peek())
        return row(items)

    def delimiter(self) -> str:
        r"""Read what stands behind ``\left``; empty for a point."""
        piece = self.source.next()
        if piece == ".":
            return ""
        piece = {"<": r"\langle", ">": r"\rangle"}.get(piece, piece)
        known = DELIMITERS.get(piece.removeprefix("\\") if piece != r"\|" else "|")
        if piece == "|":
            known = "|"
        if known is None:
            raise NotReadError(piece)
        return known

    def _item(self) -> list[str]:
        atom = self._atom(self.source.next())
        lower, upper, limits = self._scripts(atom.limits)
        items = [_scripted(atom.html, lower, upper, above=limits)] if atom.html else []
        follows = self.source.peek()
        if atom.name and follows not in _ENDS and follows not in ("(", "[", r"\left", ",", ")"):
            items.append(space("0.167em"))
        return items

    def _scripts(self, limits: bool) -> tuple[str, str, bool]:
        lower = upper = primes = ""
        while (piece := self.source.peek()) in ("^", "_", "'", r"\limits", r"\nolimits"):
            self.source.next()
            if piece == "'":
                primes += "′"
            elif piece == "^" and not upper:
                upper = self.argument()
            elif piece == "_" and not lower:
                lower = self.argument()
            elif piece in (r"\limits", r"\nolimits"):
                limits = piece == r"\limits"
            else:
                raise NotReadError("two scripts in one place")
        if primes:
            prime = operator(primes)
            upper = row([prime, upper]) if upper else prime
        return lower, upper, limits

    def _atom(self, piece: str) -> Atom:
        if piece == "{":
            return Atom(element("mrow", *self.group()))
        if piece[0] == "\\" and len(piece) > 1:
            return self._command(piece[1:])
        if piece[0].isdigit():
            digits = "".join(letter(digit, self.font) for digit in piece)
            return Atom(element("mn", html.escape(digits)))
        if piece == "~":
            return Atom(space("0.333em"))
        if piece in ("^", "_", "'"):
            # a script to nothing, such as an isotope's
            lower, upper, _ = self._script_of_nothing(piece)
            return Atom(_scripted(element("mrow"), lower, upper, above=False))
        if piece.isalpha():
            return Atom(self._letter(piece))
        if piece in "()[]|":
            return Atom(fence(piece))
        if piece in "}&#$%\\":
            raise NotReadError(piece)
        return Atom(operator(_SIGNS.get(piece, piece)))

    def _script_of_nothing(self, piece: str) -> tuple[str, str, bool]:
        first = operator("′") if piece == "'" else self.argument()
        lower, upper, _ = self._scripts(False)
        if piece == "_":
            return first, upper, False
        return lower, row([first, upper]) if upper else first, False

    def _letter(self, character: str) -> str:
        styled = letter(character, self.font)
        return identifier(styled, upright=self.font == "rm")

    def _command(self, name: str) -> Atom:
        if name in self._commands:
            return self._commands[name](self, name)
        if name in FUNCTIONS:
            return Atom(identifier(name), name=True)
        if name in LIMITS:
            return Atom(identifier(LIMITS[name]), limits=self.display, name=True)
        if name in BIG:
            return Atom(operator(BIG[name]), limits=self.display)
        return Atom(self._symbol(name))

    def _symbol(self, name: str) -> str:
        if name in GREEK:
            upright = GREEK[name].isupper() or self.font == "rm"
            return identifier(letter(GREEK[name], self.font), upright=upright)
        if name in ORDINARY:
            return identifier(ORDINARY[name], upright=name != "partial")
        if name in SPACES or name.isspace():
            return space(SPACES.get(name, "0.333em"))
        if name in OPERATORS or name in INTEGRALS:
            return operator(OPERATORS.get(name) or INTEGRALS[name])
        if name in DELIMITERS:
            return fence(DELIMITERS[name])
        raise NotReadError(f"\\{name}")


Command = Callable[[Reader, str], Atom]


def _scripted(base: str, lower: str, upper: str, *, above: bool) -> str:
    if lower and upper:
        return element("munderover" if above else "msubsup", base, lower, upper)
    if lower:
        return element("munder" if above else "msub", base, lower)
    if upper:
        return element("mover" if above else "msup", base, upper)
    return base
