"""Letters in the alphabets of mathematics: Unicode has a place for nearly all."""

from __future__ import annotations

__all__ = ["FONTS", "letter"]

# Where the capitals, the small letters and the digits begin; None where there are none.
FONTS: dict[str, tuple[int | None, int | None, int | None]] = {
    "bf": (0x1D400, 0x1D41A, 0x1D7CE),
    "bi": (0x1D468, 0x1D482, 0x1D7CE),
    "cal": (0x1D49C, 0x1D4B6, None),
    "frak": (0x1D504, 0x1D51E, None),
    "bb": (0x1D538, 0x1D552, 0x1D7D8),
    "sf": (0x1D5A0, 0x1D5BA, 0x1D7E2),
    "tt": (0x1D670, 0x1D68A, 0x1D7F6),
    "it": (None, None, None),
    "rm": (None, None, None),
}
"""The alphabets by their short names; ``it`` is what a letter has anyway, ``rm`` upright."""

# Those that Unicode had before it had the rest.
_ELSEWHERE = {
    ("cal", "B"): "ℬ",
    ("cal", "E"): "ℰ",
    ("cal", "F"): "ℱ",
    ("cal", "H"): "ℋ",
    ("cal", "I"): "ℐ",
    ("cal", "L"): "ℒ",
    ("cal", "M"): "ℳ",
    ("cal", "R"): "ℛ",
    ("cal", "e"): "ℯ",
    ("cal", "g"): "ℊ",
    ("cal", "o"): "ℴ",
    ("frak", "C"): "ℭ",
    ("frak", "H"): "ℌ",
    ("frak", "I"): "ℑ",
    ("frak", "R"): "ℜ",
    ("frak", "Z"): "ℨ",
    ("bb", "C"): "ℂ",
    ("bb", "H"): "ℍ",
    ("bb", "N"): "ℕ",
    ("bb", "P"): "ℙ",
    ("bb", "Q"): "ℚ",
    ("bb", "R"): "ℝ",
    ("bb", "Z"): "ℤ",
}


def letter(character: str, font: str) -> str:
    """A letter or digit in an alphabet; itself where that alphabet has none like it."""
    if (font, character) in _ELSEWHERE:
        return _ELSEWHERE[font, character]
    capitals, small, digits = FONTS.get(font, (None, None, None))
    for start, first, last in ((capitals, "A", "Z"), (small, "a", "z"), (digits, "0", "9")):
        if start is not None and first <= character <= last:
            return chr(start + ord(character) - ord(first))
    if font in ("bf", "bi") and "α" <= character <= "ω":
        return chr((0x1D6C2 if font == "bf" else 0x1D736) + ord(character) - ord("α"))
    if font in ("bf", "bi") and "Α" <= character <= "Ω":
        return chr((0x1D6A8 if font == "bf" else 0x1D71C) + ord(character) - ord("Α"))
    return character
