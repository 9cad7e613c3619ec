from __future__ import annotations

import pytest

from nbagents.rendering import STYLE, block_html, code_html, reply_bundle, to_html
from nbagents.rendering._document import read

A = 'rel="noopener noreferrer" target="_blank"'
TEX = '<span class="mathjax_process tex2jax_process">{}</span>'


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("plain", "<p>plain</p>\n"),
        ("**a** *b* ~~c~~", "<p><strong>a</strong> <em>b</em> <del>c</del></p>\n"),
        ("`d<`", "<p><code>d&lt;</code></p>\n"),
        ("# a\n\n### b", "<h3>a</h3>\n<h5>b</h5>\n"),
        ("a<br>b<b>", "<p>a<br>\nb&lt;b&gt;</p>\n"),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        ("- [x] a", '\n<ul>\n<li class="nb-task">☑ a</li>\n</ul>\n'),
        ("- [ ] b", '\n<ul>\n<li class="nb-task">☐ b</li>\n</ul>\n'),
        ("> a", "<blockquote>\n<p>a</p>\n</blockquote>\n"),
        ("[a](https://x.y?a=1&b=2)", f'<p><a href="https://x.y?a=1&amp;b=2" {A}>a</a></p>\n'),
        ("<mailto:a@x.y>", f'<p><a href="mailto:a@x.y" {A}>mailto:a@x.y</a></p>\n'),
        ("http://x.y/a_(b).", f'<p><a href="http://x.y/a_(b)" {A}>http://x.y/a_(b)</a>.</p>\n'),
        ("[a](/b)", "<p>[a](/b)</p>\n"),
        ("[a](javascript:b)", "<p>[a](javascript:b)</p>\n"),
        ("![a](http://x.y)", f'<p><a href="http://x.y" {A}>a</a> <small>(http://x.y)</small></p>\n'),
    ],
)  # fmt: skip
def test_markdown_becomes_html(markdown, html):
    assert to_html(markdown) == html


def test_columns_keep_their_alignment():
    html = to_html("| a | b | c |\n|:--|:-:|--:|\n| 1 | 2 | 3 |")
    sides = ("left", "center", "right")
    assert [html.count(f'style="text-align:{side}"') for side in sides] == [2, 2, 2]


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("$x^2$", TEX.format("$x^2$")),
        (r"\(x_i\)", TEX.format("$x_i$")),
        (r"\[ a < b \]", TEX.format("$$a &lt; b$$")),
        ("\\[\na\n+ b\n\\]", TEX.format("$$a\n+ b$$")),
        ("text\n$$\nx\n$$", TEX.format("$$x$$")),
        ("- item\n  \\[\n  x\n  \\]", TEX.format("$$x$$")),
        (r"$$\begin{array}{l} a \\[2pt] b \end{array}$$", r"a \\[2pt] b"),
        (r"\(a \text{ if $b$}\)", TEX.format(r"\(a \text{ if $b$}\)")),
        (r"$a\label{eq:1}$", TEX.format("$a$")),
    ],
)
def test_tex_is_left_to_the_typesetter_and_marked_for_it(markdown, shown):
    assert shown in to_html(markdown)


@pytest.mark.parametrize(
    "markdown",
    [
        "costs $5 and $10",
        "US$5 to US$6",
        "$HOME and $PATH",
        "$5-$10",
        r"\$x\$",
        "`$x$`",
        "```\n$x$\n\\(y\\)\n```",
        r"\[a\](http://x.y)",
        "$ x $",
        "$$\n\nx\n\n$$",
    ],
)
def test_what_is_not_tex_is_not_marked(markdown):
    assert "mathjax_process" not in to_html(markdown)


@pytest.mark.parametrize(
    "tex",
    [
        r"\def\a{b}",
        r"\href{javascript:x}{y}",
        r"\require{html}",
        r"\unicode{65}",
        r"\style{color:red}{x}",
        r"\class{a}{x}",
        r"\cssId{a}{x}",
        r"\htmlData{a=b}{x}",
        r"\newcommand{\a}{b}",
        r"\csname href\endcsname{x}{y}",
        r"\rule{99em}{99em}",
        "{" * 70 + "}" * 70,
    ],
)
def test_tex_that_reaches_beyond_its_formula_is_shown_as_code(tex):
    assert to_html(f"$$ {tex} $$").startswith("<p><code>")


@pytest.mark.parametrize("tex", [r"\displaystyle x", r"\textstyle x", r"\urltimes", r"\classic x"])
def test_a_command_with_a_longer_name_is_not_taken_for_a_dangerous_one(tex):
    assert TEX.format(f"${tex}$") in to_html(f"${tex}$")


def test_what_is_too_deep_is_shown_and_not_dropped():
    assert "the end" in to_html(">" * 500 + " the end")
    assert "the end" in to_html("- " * 500 + "the end")
    assert "the end" in to_html("[" * 200 + "the end" + "](http://x.y)" * 200)


def test_known_code_is_coloured_and_unknown_code_is_not():
    coloured = '<pre class="highlight"><code><span class="k">if </span>x: <span class="c"># y'
    assert code_html("if x: # y", "python").startswith(coloured)
    assert code_html("if x: # y", "klingon") == (
        '<pre class="highlight"><code>if x: # y</code></pre>\n'
    )
    assert '<span class="gi">+ b' in to_html("```diff\n- a\n+ b\n```")


def test_an_address_used_a_thousand_times_does_not_make_megabytes():
    html = to_html(f"[a]: http://x.y/{'z' * 1_500}\n\n" + "[a] " * 2_000)
    assert len(html) < 300_000


def test_a_bundle_holds_the_reply_its_reasoning_its_notices_and_its_footer():
    bundle = reply_bundle(
        "**hi**",
        reasoning="*hm*",
        footer="m · 3 tokens",
        notices=["filled in: x"],
        status="cancelled",
    )
    assert bundle["text/html"].endswith(
        '<div class="nbagents mathjax_ignore tex2jax_ignore" dir="auto">'
        "<details><summary>Reasoning</summary>\n<p><em>hm</em></p>\n</details>\n"
        "<p><strong>hi</strong></p>\n"
        '<p class="nb-note"><small><em>interrupted</em><br>\nfilled in: x<br>\n'
        "m · 3 tokens</small></p>\n</div>"
    )
    assert bundle["text/markdown"] == (
        "> *Reasoning*\n>\n> *hm*\n\n**hi**\n\n*interrupted*\n\n*filled in: x*\n\n*m · 3 tokens*"
    )
    assert bundle["text/plain"] == "**hi**\n\ninterrupted\nfilled in: x\nm · 3 tokens"


def test_a_complete_reply_without_a_footer_is_the_reply_alone():
    bundle = reply_bundle("hi")
    assert bundle["text/plain"] == "hi"
    assert bundle["text/markdown"] == "hi"
    assert "nb-note" not in bundle["text/html"].split("</style>")[1]


def test_a_page_that_drops_the_style_still_parts_code_from_what_follows():
    code = "```\na\n```\n"
    item = "- b\n  ```\n  c\n  ```\n"
    html = reply_bundle(f"{code}d\n{item}\n  e\n{item}", reasoning=f"{code}f")["text/html"]
    body = html.split("</style>")[1]
    assert body.count("</pre><br>\n") == 3
    assert body.count("</pre>\n</li>") == 1  # the list goes on by itself
    assert ":is(pre,details) + br{display:none}" in STYLE  # beside a margin it would be too much


def test_the_whole_and_its_blocks_have_the_same_wrapper():
    whole = reply_bundle("hi")["text/html"]
    assert whole == block_html("hi")
    assert block_html("hi", style=False) == whole.split("</style>")[1]


def test_a_rich_reply_has_at_most_two_and_a_half_times_its_bytes():
    section = (
        "## Step\n\nCall `fit(x)` with **all** points, see [the guide](https://example.org/guide)."
        " The loss $L(w)$ falls with each step, quickly at first and then more slowly, and where"
        " it no longer falls the fit is done. If it rises, the steps are too long: halve them and"
        " begin again. A few outliers can pull the line far from where the other points lie.\n\n"
        "1. Load the data\n2. Fit the line\n   - with weights\n\n```python\nimport numpy as np\n\n"
        "def fit(x, y):\n    # least squares\n    return np.polyfit(x, y, deg=1)\n```\n\n"
        "| method | time |\n|---|--:|\n| polyfit | 1.2 |\n| lstsq | 0.9 |\n\n"
    )
    text = section * (15_000 // len(section) + 1)
    assert len(reply_bundle(text)["text/html"].encode()) <= 2.5 * len(text.encode())


def test_a_text_with_more_blocks_than_can_be_kept_is_set_as_far_as_they_can(monkeypatch):
    monkeypatch.setattr("nbagents.rendering._parser.MAX_TOKENS", 6)
    assert to_html("a\n\nb\n\n*c*\n\nd") == (
        '<p>a</p>\n<p>b</p>\n<pre class="highlight"><code>*c*\n\nd</code></pre>\n'
    )
    table = "| a |\n| - |\n| *b* |"
    assert to_html(f"{table}\n\nc") == (
        f'<pre class="highlight"><code>{table}</code></pre>\n<p>c</p>\n'
    )


def test_a_text_with_more_pieces_than_can_be_kept_has_its_end_without_emphasis(monkeypatch):
    monkeypatch.setattr("nbagents.rendering._parser.MAX_SPANS", 2)
    assert to_html("*a*\n\n*b*") == "<p><em>a</em></p>\n<p>*b*</p>\n"


def test_what_is_inside_of_paragraphs_is_forgotten_once_it_is_set():
    document = read("*a*\n\n*b*")
    assert "<em>a</em>" in to_html(document)
    assert [token.children for token in document.tokens or []] == [None] * 6


@pytest.mark.parametrize("text", ["x" * 300_001, "x\n" * 50_001])
def test_a_reply_that_is_too_long_to_be_set_has_no_markdown_beside_the_text_itself(text):
    bundle = reply_bundle(text, footer="m \u00b7 1 \u2192 2 tokens")
    shown = text if text[-1] == "x" else text.rstrip("\n")
    assert f'<pre class="highlight"><code>{shown}</code></pre>' in bundle["text/html"]
    assert bundle["text/plain"].startswith(text)
    if len(text) > 300_000:
        assert set(bundle) == {"text/html", "text/plain"}
        assert bundle["text/plain"].isascii()  # an arrow would double its size


@pytest.mark.parametrize(
    ("text", "reasoning", "forms"),
    [
        ("x" * 5_000_000, "", {"text/html", "text/plain"}),
        ("x" * 7_000_000, "", {"text/plain"}),
        ("<" * 3_000_000, "", {"text/plain"}),
        ("\u65e5" * 2_500_000, "", {"text/plain"}),
        ("hi", "x" * 8_000_000, {"text/html", "text/plain"}),
        ("hi", "&" * 8_000_000, {"text/plain"}),
    ],
)
def test_a_heavy_reply_is_left_in_fewer_forms_and_whole(text, reasoning, forms):
    bundle = reply_bundle(text, reasoning=reasoning, footer="tiny")
    assert set(bundle) == forms
    assert text in bundle["text/plain"]
    assert bundle["text/plain"].endswith("tiny")
    if reasoning:
        assert reasoning in bundle.get("text/html", bundle["text/plain"])
