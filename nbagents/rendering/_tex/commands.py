"""The commands that take arguments, and environments."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from nbagents.rendering._tex.elements import element, fence, identifier, operator, row, space
from nbagents.rendering._tex.reader import Atom, Command, Reader
from nbagents.rendering._tex.source import NotReadError
from nbagents.rendering._tex.symbols import OPERATORS

__all__ = ["COMMANDS"]

_WIDTH = re.compile(r"\s*([+-]?)([0-9]{0,2}(?:\.[0-9]{1,3})?)\s*(em|ex|pt|mu|cm|mm|in)\s*")
_IN_EM = {"em": 1.0, "ex": 0.45, "pt": 0.1, "mu": 1 / 18, "cm": 2.85, "mm": 0.285, "in": 7.2}
_WIDEST = 5.0
_COLOUR = re.compile(r"[a-zA-Z]{1,24}|#[0-9a-fA-F]{3,8}")

_ABOVE = {
    "hat": "^",
    "widehat": "^",
    "tilde": "~",
    "widetilde": "~",
    "bar": "¯",
    "overline": "¯",
    "vec": "→",
    "overrightarrow": "→",
    "overleftarrow": "←",
    "overleftrightarrow": "↔",
    "dot": "˙",
    "ddot": "¨",
    "dddot": "⃛",
    "check": "ˇ",
    "breve": "˘",
    "acute": "´",
    "grave": "`",
    "mathring": "˚",
    "overbrace": "⏞",
}
_BELOW = {"underline": "_", "underbrace": "⏟", "underrightarrow": "→", "underleftarrow": "←"}
_STRETCHED = ("wide", "over", "under")
_FONTS = {
    "mathrm": "rm",
    "mathbf": "bf",
    "mathit": "it",
    "mathbb": "bb",
    "mathcal": "cal",
    "mathscr": "cal",
    "mathfrak": "frak",
    "mathsf": "sf",
    "mathtt": "tt",
    "mathnormal": "it",
    "boldsymbol": "bi",
    "bm": "bi",
    "pmb": "bi",
}
_TEXTS = ("text", "textrm", "textbf", "textit", "textsf", "texttt", "textnormal", "mbox", "hbox")
_SIZES = {"big": "1.2em", "Big": "1.8em", "bigg": "2.4em", "Bigg": "3em"}
_STYLES = {
    "displaystyle": ("true", "0"),
    "textstyle": ("false", "0"),
    "scriptstyle": ("false", "1"),
    "scriptscriptstyle": ("false", "2"),
}
_ARROWS = {
    "xrightarrow": "→",
    "xleftarrow": "←",
    "xRightarrow": "⇒",
    "xLeftarrow": "⇐",
    "xleftrightarrow": "↔",
    "xmapsto": "↦",
}
_FENCED = {
    "pmatrix": ("(", ")"),
    "bmatrix": ("[", "]"),
    "Bmatrix": ("{", "}"),
    "vmatrix": ("|", "|"),
    "Vmatrix": ("‖", "‖"),
    "cases": ("{", ""),
    "dcases": ("{", ""),
    "rcases": ("", "}"),
}
_ALIGNED = ("align", "aligned", "alignat", "alignedat", "split", "eqnarray", "flalign")
_PLAIN = ("matrix", "smallmatrix", "gather", "gathered", "equation", "multline", "array")


def _fraction(reader: Reader, name: str) -> Atom:
    display = reader.display
    reader.display = False
    made = element("mfrac", reader.argument(), reader.argument())
    reader.display = display
    if name in ("dfrac", "cfrac", "tfrac"):
        shown = "false" if name == "tfrac" else "true"
        made = element("mstyle", made, displaystyle=shown, scriptlevel="0")
    return Atom(made)


def _binomial(reader: Reader, name: str) -> Atom:
    made = element("mfrac", reader.argument(), reader.argument(), linethickness="0")
    return Atom(element("mrow", operator("("), made, operator(")")))


def _root(reader: Reader, name: str) -> Atom:
    degree = reader.source.bracketed()
    if degree is None:
        return Atom(element("msqrt", reader.argument()))
    return Atom(element("mroot", reader.argument(), reader.inner(degree)))


def _above(reader: Reader, name: str) -> Atom:
    stretchy = "true" if name.startswith(_STRETCHED) else "false"
    sign = operator(_ABOVE[name], stretchy=stretchy)
    made = element("mover", reader.argument(), sign, accent="true")
    return Atom(made, limits=name == "overbrace")


def _below(reader: Reader, name: str) -> Atom:
    sign = operator(_BELOW[name], stretchy="true")
    made = element("munder", reader.argument(), sign, accentunder="true")
    return Atom(made, limits=name == "underbrace")


def _font(reader: Reader, name: str) -> Atom:
    words = reader.source.text()
    font = _FONTS[name]
    if font == "rm" and re.fullmatch(r"[A-Za-z]{2,40}", words):
        return Atom(identifier(words))
    return Atom(reader.inner(words, font))


def _text(reader: Reader, name: str) -> Atom:
    parts = re.split(r"(?<!\\)\$([^$]*)\$", reader.source.text())
    made = []
    for number, part in enumerate(parts):
        if number % 2:
            made.append(reader.inner(part))
        elif part:
            made.append(element("mtext", html.escape(_plain(part))))
    return Atom(row(made))


def _plain(text: str) -> str:
    """A text's words: spaces that stay at its ends, and the few commands that escape a sign."""
    text = re.sub(r"\\([%$#&_{} ])", r"\1", text).replace("~", " ")
    if "\\" in text or "{" in text or "}" in text:
        raise NotReadError(text)
    return re.sub(r"^\s+|\s+$", "\u00a0", re.sub(r"\s+", " ", text))


def _named(reader: Reader, name: str) -> Atom:
    starred = reader.source.take("*")
    words = reader.source.text().replace(r"\,", " ").replace("\\ ", " ")
    return Atom(identifier(_plain(words).strip()), limits=starred and reader.display, name=True)


def _left(reader: Reader, name: str) -> Atom:
    items = [_stretched(reader.delimiter(), "prefix")]
    while True:
        items += reader.row()
        if reader.source.take(r"\middle"):
            items.append(_stretched(reader.delimiter(), "infix"))
        elif reader.source.take(r"\right"):
            items.append(_stretched(reader.delimiter(), "postfix"))
            return Atom(element("mrow", *items))
        else:
            raise NotReadError(r"\left without \right")


def _stretched(sign: str, form: str) -> str:
    return operator(sign, form=form, stretchy="true", fence="true") if sign else ""


def _sized(reader: Reader, name: str) -> Atom:
    size = _SIZES[name if name in _SIZES else name[:-1]]
    sign = reader.delimiter()
    return Atom(operator(sign, stretchy="true", minsize=size, maxsize=size) if sign else "")


def _stacked(reader: Reader, name: str) -> Atom:
    script, base = reader.argument(), reader.argument()
    return Atom(element("munder" if name == "underset" else "mover", base, script))


def _arrow(reader: Reader, name: str) -> Atom:
    below = reader.source.bracketed()
    sign = operator(_ARROWS[name], stretchy="true")
    above = reader.argument()
    if below is None:
        return Atom(element("mover", sign, above))
    return Atom(element("munderover", sign, reader.inner(below), above))


def _coloured(reader: Reader, name: str) -> Atom:
    colour = reader.source.text().strip()
    inside = [reader.argument()] if name == "textcolor" else reader.row()
    if not _COLOUR.fullmatch(colour):
        raise NotReadError(colour)
    return Atom(element("mstyle", *inside, mathcolor=colour))


def _style(reader: Reader, name: str) -> Atom:
    shown, level = _STYLES[name]
    reader.display = shown == "true"
    return Atom(element("mstyle", *reader.row(), displaystyle=shown, scriptlevel=level))


def _spaced(reader: Reader, name: str) -> Atom:
    reader.source.take("*")
    match = _WIDTH.fullmatch(reader.source.text())
    if match is None or not match[2]:
        raise NotReadError(name)
    width = float(match[2]) * _IN_EM[match[3]]
    limit = _WIDEST if match[1] != "-" else 0.5
    return Atom(space(f"{match[1].replace('+', '')}{min(width, limit):.3g}em"))


def _negated(reader: Reader, name: str) -> Atom:
    token = reader.source.next()
    sign = OPERATORS.get(token.removeprefix("\\"), token)
    if len(sign) != 1:
        raise NotReadError(token)
    return Atom(operator({"=": "≠", "∈": "∉"}.get(sign, f"{sign}\u0338")))


def _modulo(reader: Reader, name: str) -> Atom:
    if name == "bmod":
        return Atom(operator("mod", lspace="0.222em", rspace="0.222em"))
    inside = [identifier("mod"), space("0.333em"), reader.argument()]
    fenced = [fence("("), *inside, fence(")")] if name == "pmod" else inside
    return Atom(element("mrow", space("1em"), *fenced))


def _enclosed(notation: str) -> Command:
    return lambda reader, name: Atom(element("menclose", reader.argument(), notation=notation))


def _tag(reader: Reader, name: str) -> Atom:
    starred = reader.source.take("*")
    words = _plain(reader.source.text())
    words = words if starred else f"({words})"
    return Atom(element("mrow", space("2em"), element("mtext", html.escape(words))))


def _nothing(reader: Reader, name: str) -> Atom:
    return Atom("")


def _lines(reader: Reader, name: str) -> Atom:
    if not reader.source.take("{"):
        raise NotReadError(name)
    lines = reader.rows()
    if not reader.source.take("}"):
        raise NotReadError(name)
    return Atom(element("mstyle", _table(lines, "center"), scriptlevel="1"))


def _environment(reader: Reader, name: str) -> Atom:
    name = reader.source.text().rstrip("*")
    left, right = _FENCED.get(name, ("", ""))
    columns = ""
    if name in ("array", "alignat", "alignedat"):
        columns = reader.source.text()
    elif name not in (*_FENCED, *_ALIGNED, *_PLAIN):
        raise NotReadError(name)
    lines = reader.rows()
    if not reader.source.take(r"\end") or reader.source.text().rstrip("*") != name:
        raise NotReadError(name)
    made = _table(lines, *_alignment(name, columns), display=name in _ALIGNED)
    if not (left or right):
        return Atom(made)
    fences = (_stretched(left, "prefix"), _stretched(right, "postfix"))
    return Atom(element("mrow", fences[0], made, fences[1]))


def _alignment(name: str, columns: str) -> list[str]:
    if name in _ALIGNED:
        return ["right", "left"]
    if name.endswith("cases"):
        return ["left"]
    sides = {"l": "left", "c": "center", "r": "right"}
    return [sides[letter] for letter in columns if letter in sides] or ["center"]


def _table(lines: list[list[list[str]]], *sides: str, display: bool = False) -> str:
    shown = {"displaystyle": "true"} if display else {}
    rows = []
    for line in lines:
        cells = [
            element("mtd", *cell, columnalign=sides[number % len(sides)])
            for number, cell in enumerate(line)
        ]
        rows.append(element("mtr", *cells))
    return element("mtable", *rows, **shown)


def _made() -> dict[str, Command]:
    commands: dict[str, Command] = {
        **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac"), _fraction),
        **dict.fromkeys(("binom", "dbinom", "tbinom"), _binomial),
        **dict.fromkeys(_ABOVE, _above),
        **dict.fromkeys(_BELOW, _below),
        **dict.fromkeys(_FONTS, _font),
        **dict.fromkeys(_TEXTS, _text),
        **dict.fromkeys(_ARROWS, _arrow),
        **dict.fromkeys(_STYLES, _style),
        **dict.fromkeys((size + side for size in _SIZES for side in ("", "l", "r", "m")), _sized),
        **dict.fromkeys(("stackrel", "overset", "underset"), _stacked),
        **dict.fromkeys(("color", "textcolor"), _coloured),
        **dict.fromkeys(("hspace", "mspace", "hskip"), _spaced),
        **dict.fromkeys(("bmod", "pmod", "mod"), _modulo),
        **dict.fromkeys(("nonumber", "notag", "limits", "nolimits", "hline", "null"), _nothing),
        "begin": _environment,
        "boxed": _enclosed("box"),
        "cancel": _enclosed("updiagonalstrike"),
        "fbox": _enclosed("box"),
        "left": _left,
        "not": _negated,
        "operatorname": _named,
        "phantom": lambda reader, name: Atom(element("mphantom", reader.argument())),
        "sqrt": _root,
        "substack": _lines,
        "tag": _tag,
    }
    return commands


COMMANDS: dict[str, Callable[[Reader, str], Atom]] = _made()
"""By name, without the backslash."""
