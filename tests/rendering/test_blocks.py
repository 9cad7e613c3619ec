from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagents.rendering import Block, BlockStream, block_html, to_html
from nbagents.rendering._blocks import MAX_LINE, MAX_TAIL

unhurried = settings(deadline=None)  # the machine may be busy


def cut(text: str, size: int = 10_000_000) -> tuple[list[Block], Block]:
    stream = BlockStream()
    blocks = []
    for start in range(0, len(text), size):
        blocks += stream.feed(text[start : start + size])
    return blocks, stream.tail


def sources(text: str) -> list[str]:
    blocks, tail = cut(text)
    return [block.source for block in [*blocks, tail]]


def squeezed(page: str) -> str:
    return re.sub(r"\s+", "", page)


MARKDOWN = st.lists(
    st.sampled_from(
        [
            *("word ", "more words", "\n", "\n\n", "\n\n", "# Title\n", "===\n", "---\n"),
            "\n***\n",
            *("- item\n", "  - inner\n", "* item", "1. one\n", "2) two\n", "- \n", "-", "10"),
            "   ",
            *("```", "```python\n", "~~~\n", "\n```\n", "    code\n", "  ", "\t", "> quote\n", ">"),
            *("| a | b |\n", "|---|---|\n", "| 1 | 2 |\n", "$$\n", "\\[\n", "\\]\n", "x $y$ "),
            "`c` ",
            *("<div>\n", "<b>", "[a]: http://x.y\n", "[a]", "**bold", "\r\n", "\r", "\u00a0"),
            "\u2028",
        ]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@unhurried
@given(MARKDOWN)
def test_blocks_and_tail_are_the_text_so_far(text):
    stream = BlockStream()
    seen = ""
    for start in range(0, len(text), 3):
        seen += "".join(block.source for block in stream.feed(text[start : start + 3]))
        assert seen + stream.tail.source == text[: start + 3]


@unhurried
@given(MARKDOWN, st.integers(1, 9), st.integers(1, 9))
def test_blocks_do_not_depend_on_how_the_text_was_chunked(text, one, other):
    # a tail may be longer by what a coming chunk decides: ask for the same end
    text += "\n"
    assert cut(text, one) == cut(text, other)


@unhurried
@given(st.lists(st.integers(1, 60), max_size=30), MARKDOWN)
def test_long_texts_too_are_cut_alike_however_they_come(sizes, text):
    text = (text + "\n") * 40 + "x" * 7_000 + "\n"
    stream = BlockStream()
    blocks, at = [], 0
    for size in sizes * 200:
        blocks += stream.feed(text[at : at + size])
        at += size
    blocks += stream.feed(text[at:])
    assert (blocks, stream.tail) == cut(text)


@unhurried
@given(MARKDOWN)
def test_blocks_set_one_by_one_look_like_the_whole(text):
    # but for references, which only the whole reply can resolve
    text = text.replace("[a]", "a").replace("\r", "")
    blocks, tail = cut(text)
    assert squeezed("".join(map(to_html, [*blocks, tail]))) == squeezed(to_html(text))


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("one\n\ntwo", ["one\n\n", "two"]),
        ("one\n\n- a\n\n- b\n\nend", ["one\n\n", "- a\n\n- b\n\n", "end"]),
        ("- a\n\n  more\n\nend", ["- a\n\n  more\n\n", "end"]),
        ("- a\n\n-", ["- a\n\n-"]),
        ("- a\n\n- - -\nend", ["- a\n\n", "- - -\nend"]),
        ("1. a\n\n2", ["1. a\n\n2"]),
        ("1. a\n\n2. b\n\n20 years", ["1. a\n\n2. b\n\n", "20 years"]),
        ("```\na\n\nb\n```\n\nc", ["```\na\n\nb\n```\n\n", "c"]),
        ("- x\n  ```\n  a\n\nb", ["- x\n  ```\n  a\n\n", "b"]),
        ("> a\n\n> b", ["> a\n\n", "> b"]),
        ("| a |\n|---|\n| 1 |\n\nend", ["| a |\n|---|\n| 1 |\n\n", "end"]),
        ("Title\n===\n\ntext", ["Title\n===\n\n", "text"]),
        ("$$\nx\n$$\n\nend", ["$$\nx\n$$\n\n", "end"]),
        ("<div>\n\ntext\n\n</div>", ["<div>\n\n", "text\n\n", "</div>"]),
        ("a\n\n    code\n\n    more\n\nend", ["a\n\n    code\n\n    more\n\n", "end"]),
        ("", [""]),
    ],
)
def test_a_block_is_final_when_nothing_to_come_can_change_it(text, blocks):
    assert sources(text) == blocks


def test_a_long_code_block_goes_on_in_code_of_the_same_language():
    lines = "".join(f"value_{number} = {number}\n" for number in range(300))
    blocks, tail = cut(f"```python\n{lines}```\n\nThe end")
    assert len(blocks) > 3
    assert all(block.startswith("```python\n") for block in blocks)
    assert all(block.rstrip().endswith("```") for block in blocks)
    shown = [re.sub(r"```(python)?\n?", "", block) for block in blocks]
    assert "".join(shown).strip() == lines.strip()
    assert tail == "The end"


def test_a_long_code_block_in_a_list_stays_in_an_item_until_it_ends():
    lines = "".join(f"   value_{number}\n" for number in range(300))
    blocks, tail = cut(f"1. Do\n   ```python\n{lines}   ```\n\nThe end")
    assert all("<li>" in block_html(block) and "<pre" in block_html(block) for block in blocks[1:])
    assert tail == "The end"


def test_a_long_list_is_cut_between_its_items_and_keeps_its_numbers():
    text = "".join(f"{number}. item {number}\n" for number in range(1, 400))
    blocks, _tail = cut(text)
    assert len(blocks) > 2
    for block in blocks[1:]:
        first = block.split(".")[0]
        assert f'<ol start="{first}">' in to_html(block)


def test_a_long_table_repeats_its_head():
    head = "| number | square |\n|---|---|\n"
    blocks, tail = cut(head + "".join(f"| {n} | {n * n} |\n" for n in range(400)) + "\nThe end")
    assert len(blocks) > 2
    assert all(block.startswith(head) for block in blocks)
    assert tail == "The end"


@pytest.mark.parametrize(
    "piece", ["word ", "- item\n", "1. item\n\n", "> quote\n", "x\n", "| a | b |\n|---|---|\n", "A"]
)
@pytest.mark.parametrize("opening", ["", "```\n", "- ", "| a | b |\n|---|---|\n", "$$\n"])
def test_the_tail_stays_short_whatever_comes(opening, piece):
    stream = BlockStream()
    stream.feed(opening)
    longest = 0
    for _ in range(1_500):
        stream.feed(piece)
        longest = max(longest, len(stream.tail))
    assert longest <= MAX_TAIL + MAX_LINE + 300


def test_what_a_stream_sends_grows_with_the_text_and_not_with_its_square():
    def sent(paragraphs: int) -> int:
        text = ("Some **words** of a reply, and `code`. " * 5 + "\n\n```python\nx = 1\n```\n\n") * (
            paragraphs
        )
        stream, total = BlockStream(), 0
        for start in range(0, len(text), 120):  # an update for twenty chunks of six characters
            blocks = stream.feed(text[start : start + 120])
            total += sum(len(block_html(block, style=False)) for block in [*blocks, stream.tail])
        return total

    assert sent(200) <= 4.4 * sent(50)
