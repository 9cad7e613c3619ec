"""TeX as MathML: what is set, what stays code, and what never gets through."""

from __future__ import annotations

import re
import time
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagents.rendering import html_blocks, to_html
from nbagents.rendering._mathml import ALLOWED, mathml
from tests.rendering.hostile import HOSTILE

TEX = st.text(st.sampled_from(list("abx1 ^_{}&\\<>'\"=+-()[]|,.~%#$ä∑")), max_size=60) | st.lists(
    st.sampled_from(
        [r"\frac", r"\text{<b>}", r"\begin{matrix}", r"\end{matrix}", r"\left(", r"\sqrt", "{x}"]
    ),
    max_size=12,
).map("".join)


def set_(tex: str) -> str:
    return to_html(f"$$ {tex} $$", math="mathml")


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("$x^2$", "<p><math><msup><mi>x</mi><mn>2</mn></msup></math></p>\n"),
        (r"$\pi$", "<p><math><mi>π</mi></math></p>\n"),
        (
            r"$\mathrm{d}x$",
            '<p><math><mrow><mi mathvariant="normal">d</mi><mi>x</mi></mrow></math></p>\n',
        ),
        (r"$\mathbb{R}^n$", "<p><math><msup><mi>\u211d</mi><mi>n</mi></msup></math></p>\n"),
        (
            r"$\frac12$",
            "<p><math><mfrac><mn>1</mn><mn>2</mn></mfrac></math></p>\n",
        ),
        (
            r"$\sin x$",
            '<p><math><mrow><mi>sin</mi><mspace width="0.167em"></mspace><mi>x</mi></mrow></math>'
            "</p>\n",
        ),
        (r"$f''$", "<p><math><msup><mi>f</mi><mo>\u2032\u2032</mo></msup></math></p>\n"),
        ("$a<b$", "<p><math><mrow><mi>a</mi><mo>&lt;</mo><mi>b</mi></mrow></math></p>\n"),
        ("$5 and $10", "<p>$5 and $10</p>\n"),
    ],
)
def test_formulas_are_set_as_mathml(markdown: str, html: str) -> None:
    assert to_html(markdown, math="mathml") == html


def test_a_display_formula_is_a_block_with_its_limits_below() -> None:
    html = set_(r"\lim_{x \to 0} f")
    assert html.startswith('<p><math display="block"><mrow><munder><mi>lim</mi>')
    assert "<munderover><mo>∑</mo>" in set_(r"\sum_{i=1}^n i")
    assert "<msubsup><mo>∑</mo>" in to_html(r"$\sum_{i=1}^n i$", math="mathml")


@pytest.mark.parametrize("name", ["aligned", "align", "gathered", "split", "pmatrix", "cases"])
def test_the_environments_that_models_write_are_tables(name: str) -> None:
    assert "<mtable" in set_(rf"\begin{{{name}}} a &= b \\ c &= d \end{{{name}}}")


@pytest.mark.parametrize(
    "tex", [r"\ce{H2O}", r"\frac{a", "^", r"\href{https://x.y}{a}", r"\left(", "a^b^c"]
)
def test_what_cannot_be_set_is_shown_as_it_was_written(tex: str) -> None:
    assert re.fullmatch(r"<p><code>.*</code></p>\n", set_(tex))


@given(TEX)
@settings(max_examples=300, deadline=None)
def test_whatever_is_set_is_well_formed_and_holds_allowed_elements_only(tex: str) -> None:
    html = mathml(tex, display=True)
    if html is None:
        return
    root = fromstring(html)
    for element in root.iter():
        assert element is root or element.tag in ALLOWED
        assert element is root or set(element.attrib) <= set(ALLOWED[element.tag])


@pytest.mark.parametrize("tex", [r"\style{x:y}{a}", r"\color{red;x:url(//e.vil)}{a}", "<script>"])
def test_nothing_but_mathematics_gets_through(tex: str) -> None:
    html = mathml(tex, display=False) or ""
    assert not re.search(r"url|style=|script>|href", html)


def test_a_length_cannot_leave_the_formulas_place() -> None:
    widths = [
        mathml(rf"a\hspace{{{width}}}b", display=False) for width in ("500em", "-50em", "1cm")
    ]
    assert [re.findall(r'width="([^"]*)"', html or "") for html in widths] == [
        [],
        ["-0.5em"],
        ["2.85em"],
    ]


def test_lines_of_a_formula_are_rows() -> None:
    assert set_(r"a \\ b").count("<mtr>") == 2


@pytest.mark.parametrize("tex", ["x^" * 2_000, r"\frac" * 900, r"\left(" * 800, "a+" * 2_400])
def test_no_formula_takes_long(tex: str) -> None:
    started = time.process_time()
    mathml(tex, display=True)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("name", [*HOSTILE])
def test_the_blocks_of_a_reply_are_its_html(name: str) -> None:
    text = HOSTILE[name][:20_000]
    assert "".join(html_blocks(text)) == to_html(text)


def test_blocks_are_cut_between_the_outermost_ones_and_know_of_later_references() -> None:
    blocks = html_blocks("# A\n\n- b\n\n  c\n- d\n\n[e]\n\n[e]: https://e.f")
    assert [block.split(">")[0].strip() for block in blocks] == ["<h3", "<ul", "<p"]
    assert 'href="https://e.f"' in blocks[-1]
