from __future__ import annotations

import pytest

from nbagents.rendering import clean, escape, inert_markdown, plain


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x.y\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\text", "text"),
        ("\x1b]0;no end, and more", "0;no end, and more"),
        ("\x1bctext\x1b(B", "text"),
        ("\x1b\x1b[0m[31m", "[31m"),
        ("a\x00\x07\x7f\x85b", "ab"),
        ("a\ud800b", "a\ufffdb"),
        ("hi\U000e0068\U000e0069", "hi"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f", "\U0001f3f4\U000e0067\U000e0062\U000e007f"),
        ("مرحبا 👩‍💻 \u200f", "مرحبا 👩‍💻 \u200f"),
    ],
)
def test_text_keeps_what_is_read_and_loses_what_commands(text, cleaned):
    assert clean(text) == cleaned


def test_a_terminal_gets_no_characters_that_reorder():
    assert plain("a\u202eb\u2066c\x1b[2J") == "abc"


def test_escaped_text_is_text_in_content_and_in_attributes():
    assert escape("<a b=\"c\" d='e'>&\x1b[1m") == "&lt;a b=&quot;c&quot; d=&#x27;e&#x27;&gt;&amp;"


ORDINARY = [
    "# Title\n\nSome *prose* with `code<T>` and ``a b``, 3 < 4, a<3, x -> y & z.",
    "- a\n- [x] b\n  1. c\n\n> quote\n\n---\n\n| a | b |\n|---|---|\n| `x` | <br> |",
    "```html\n<script>alert(1)</script>\n![x](y)\n```\n\n~~~\n<b>\n~~~",
    "1. Do\n   ```html\n   <div>\n   ```\n2. Done",
    "[a](https://x.y/z?q=1 'title') <https://x.y> <a@b.c> [r][1]\n\n[1]: https://x.y",
    "$x_i$ and $$\\frac{a}{b}$$ for $5 or C:\\dir",
    "Use `<div>` and `![x](y)` in `[a](b)`.",
    "text\n\n    <indented code>\n",
]


@pytest.mark.parametrize("markdown", ORDINARY)
def test_ordinary_markdown_stays_as_it_was_written(markdown):
    assert inert_markdown(markdown) == markdown


@pytest.mark.parametrize(
    ("markdown", "inert"),
    [
        ("<b onclick=x>a</b>", "&lt;b onclick=x>a&lt;/b>"),
        ("![a](https://x.y/p.png)", "[a](https://x.y/p.png)"),
        ("!!![a](https://x.y/p.png)", "[a](https://x.y/p.png)"),
        ("[a](javascript:x)", "[a]&#40;javascript:x)"),
        ("[a](/relative)", "[a]&#40;/relative)"),
        ("[a]: javascript:x", "[a]&#58; javascript:x"),
        ("<javascript:x>", "&lt;javascript:x>"),
        ("\\<b>", "&lt;b>"),
        ("` <b> `` <i>", "` &lt;b> `` &lt;i>"),
        (r"\(x\) and \[y\]", "$x$ and $$y$$"),
        (r"`\(x\)`", r"`\(x\)`"),
        ("$a<b$", "$a< b$"),
        (r"$\href{x}{y}$", r"$\ href{x}{y}$"),
        ("\x1b[31ma\ud800", "a\ufffd"),
    ],
)
def test_what_could_act_is_written_as_text(markdown, inert):
    assert inert_markdown(markdown) == inert


def test_a_reply_too_long_to_set_is_code_that_cannot_be_left():
    markdown = "````\n<script>x</script>\n" * 20_000
    assert inert_markdown(markdown) == f"`````\n{markdown}\n`````"
