"""Text in pieces is the text."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from nbagents._pieces import Pieces


@given(st.lists(st.tuples(st.text(max_size=3), st.booleans()), max_size=50))
def test_it_is_what_was_added_whenever_it_is_read(steps: list[tuple[str, bool]]) -> None:
    pieces, text = Pieces(), ""
    for piece, read in steps:
        pieces.add(piece)
        text += piece
        assert len(pieces) == len(text)
        if read:
            assert str(pieces) == text
    assert str(pieces) == text


def test_many_small_pieces_weigh_little_more_than_their_letters() -> None:
    pieces = Pieces()
    for number in range(100_000):
        pieces.add(f"{number:05}")
    kept = [*pieces._joined, *pieces._loose]
    assert sum(map(sys.getsizeof, kept)) < 1.2 * len(pieces)
