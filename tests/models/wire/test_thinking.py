from __future__ import annotations

import pytest

from tests.models.wire.replies import chunk, reply, stream

INLINE = "\n<think>\n Hm </thin> <think> so. \n</think>\n\nIt is <think>4</think>."


@pytest.mark.parametrize("size", range(1, len(INLINE) + 1))
def test_inline_reasoning_is_told_apart_however_it_is_cut(size: int) -> None:
    cut = [INLINE[start : start + size] for start in range(0, len(INLINE), size)]
    shown, result = stream(*(chunk(content=piece) for piece in cut), think_tags=True)
    assert result.content == "It is <think>4</think>."
    assert result.thought == "Hm </thin> <think> so."
    kinds = {kind: "".join(p for p in shown if p.kind == kind) for kind in ("text", "reasoning")}
    assert kinds == {"text": result.content, "reasoning": "Hm </thin> <think> so. \n"}


def test_other_models_may_write_about_the_tag() -> None:
    assert reply(chunk(content=INLINE)).content == INLINE


@pytest.mark.parametrize("text", ["A <think> tag", " <thin", "<thinking>x", "", "  ", "</think>x"])
def test_text_that_does_not_begin_with_the_tag_is_text(text: str) -> None:
    shown, result = stream(*(chunk(content=sign) for sign in text), think_tags=True)
    assert ("".join(shown), result.content, result.thought) == (text, text, None)


def test_a_thought_that_is_cut_is_a_thought() -> None:
    result = reply(chunk(content="<think>Hm </th"), chunk("length"), think_tags=True)
    assert (result.content, result.thought) == ("", "Hm </th")


def test_reasoning_sent_apart_leaves_the_text_alone() -> None:
    chunks = [chunk(reasoning="Hm."), chunk(content="<think>x</think>")]
    result = reply(*chunks, think_tags=True)
    assert (result.content, result.thought) == ("<think>x</think>", "Hm.")


def test_what_was_held_back_is_not_lost_when_reasoning_comes_apart() -> None:
    result = reply(chunk(content="<th"), chunk(reasoning="Hm."), think_tags=True)
    assert (result.content, result.thought) == ("<th", "Hm.")
