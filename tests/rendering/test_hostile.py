"""Nothing hostile becomes active: checked on the elements that a browser would see."""

from __future__ import annotations

import json
import time
from html.parser import HTMLParser

import mistune
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nbagents.rendering import (
    STYLE,
    BlockStream,
    block_html,
    code_html,
    inert_markdown,
    plain,
    reply_bundle,
    to_html,
)
from tests.rendering.hostile import HOSTILE

ALLOWED = {
    "p": ("class",),
    "li": ("class",),
    **dict.fromkeys(("blockquote", "ul", "hr", "br", "em", "strong", "del"), ()),
    **dict.fromkeys(("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "small"), ()),
    **dict.fromkeys(("details", "summary", "style"), ()),
    "ol": ("start",),
    "th": ("style",),
    "td": ("style",),
    "a": ("href", "rel", "target"),
    "div": ("class", "dir"),
    "pre": ("class",),
    "code": (),
    "span": ("class",),
}
CLASSES = {
    "nbagents mathjax_ignore tex2jax_ignore",
    "mathjax_process tex2jax_process",
    *("highlight", "nb-wide", "nb-task", "nb-note"),
    *("c", "k", "s", "m", "o", "nb", "nf", "nc", "nd", "nt", "na", "gd", "gi", "gh", "gp"),
}
VALUES = {
    "class": CLASSES,
    "style": {"text-align:left", "text-align:center", "text-align:right"},
    "rel": {"noopener noreferrer"},
    "target": {"_blank"},
    "dir": {"auto"},
}
VOID = {"br", "hr"}
SAFE_SCHEMES = ("http://", "https://", "mailto:")

unhurried = settings(deadline=None)  # the machine may be busy


class Watcher(HTMLParser):
    """Collects what is not on the allow-list, and whether elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in ALLOWED:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            self.check(tag, name, value or "")
        if tag not in VOID:
            self.open.append(tag)

    def check(self, tag, name, value):
        ok = name in ALLOWED.get(tag, ()) and value in VALUES.get(name, {value})
        if name == "start":
            ok = ok and value.isdigit()
        if name == "href":
            ok = ok and value.lower().startswith(SAFE_SCHEMES)
        if not ok:
            self.found.append(f"<{tag} {name}={value}>")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.found.append(f"</{tag}> out of place")

    def handle_comment(self, data):
        self.found.append(f"<!--{data}-->")

    def handle_decl(self, decl):
        self.found.append(f"<!{decl}>")

    def handle_pi(self, data):
        self.found.append(f"<?{data}>")


def active_parts(page: str) -> list[str]:
    watcher = Watcher()
    watcher.feed(page)
    watcher.close()
    return watcher.found + [f"<{tag}> left open" for tag in watcher.open]


class ActiveInMarkdown(HTMLParser):
    """What a renderer that lets HTML through would make active."""

    # what CommonMark itself writes, and <br>, which a table's cell needs
    WRITTEN = frozenset(
        """p ul ol li blockquote pre code em strong a hr br h1 h2 h3 h4 h5 h6
        table thead tbody tr th td del s div""".split()  # noqa: SIM905
    )

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.WRITTEN:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            harmless = name in ("class", "title", "start", "style") and tag != "div"
            if name == "href":
                harmless = (value or "").lower().startswith(SAFE_SCHEMES)
            if not harmless:
                self.found.append(f"<{tag} {name}={value}>")

    def handle_comment(self, data):
        self.found.append(f"<!--{data}-->")

    handle_decl = handle_pi = handle_comment


def active_in(page: str) -> list[str]:
    watcher = ActiveInMarkdown()
    watcher.feed(page)
    watcher.close()
    return watcher.found


EXTRAS = ["table", "strikethrough"]
READERS = {
    "markdown-it": MarkdownIt("commonmark", {"html": True}).enable(EXTRAS).render,
    "mistune": mistune.create_markdown(
        escape=False, plugins=["table", "strikethrough", "footnotes"], hard_wrap=False
    ),
}  # fmt: skip


class Careless(MarkdownIt):
    def validateLink(self, url):  # noqa: N802
        return True


READERS["markdown-it without link checks"] = (
    Careless("commonmark", {"html": True}).enable(EXTRAS).render
)

everything_hostile = pytest.mark.parametrize("name", HOSTILE)
pieces = st.lists(
    st.sampled_from(
        [
            *("<script>x</script>", "<img src=x onerror=y>", "<!--", "-->", "<div>", "</div>"),
            "<a",
            *("[", "]", "(", ")", "](", "![", "[a]: ", "javascript:x", "http://x.y"),
            "<http://x.y>",
            *("`", "``", "```", "~~~", "\n", "\n\n", "    ", "\t", "> ", "- ", "1. ", "|", "|-|\n"),
            *("\\", "\\\\", "$", "$$", "\\(", "\\)", "\\[", "\\]", "\\href{x}", "*", "_", "**"),
            "~~",
            *("a", " ", "!", "&lt;", "&#60;", "\x1b[", "\x00", "\u202e", "\ud800", "\u00a0"),
            *("#", "="),
        ]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@everything_hostile
def test_the_html_holds_allowed_elements_and_attributes_only(name):
    assert active_parts(to_html(HOSTILE[name])) == []


@everything_hostile
def test_the_whole_bundle_is_inert_encodable_and_free_of_control_characters(name):
    text = HOSTILE[name]
    bundle = reply_bundle(
        text, reasoning=text[:2_000], footer=text[:200], notices=[text[:200]], status="failed"
    )
    assert active_parts(bundle["text/html"]) == []
    for content in bundle.values():
        json.dumps(content).encode()
        content.encode()
        assert [c for c in content if c != "\n" and c != "\t" and _is_control(c)] == []


@everything_hostile
@pytest.mark.parametrize("reader", READERS)
def test_inert_markdown_is_inert_for_a_reader_that_lets_html_through(name, reader):
    if reader == "mistune" and len(HOSTILE[name]) > 3_000:
        pytest.skip("mistune's own parser is quadratic in such texts")
    assert active_in(READERS[reader](inert_markdown(HOSTILE[name]))) == []


@everything_hostile
def test_a_hostile_text_takes_less_than_a_second_and_no_more_room_than_it_should(name):
    text = HOSTILE[name]
    started = time.process_time()  # others may use the machine at the same time
    bundle = reply_bundle(text)
    assert time.process_time() - started < 2
    assert len(bundle["text/html"]) < 30 * len(text) + 150_000
    assert len(bundle.get("text/markdown", "")) < 6 * len(text) + 1_000  # none of a long one


@pytest.mark.parametrize("piece", ["[", "!", "![", "[[]", "[a](", "*a_ ", "$a ", "`a ", "<a "])
def test_many_hostile_paragraphs_take_a_second_together(piece):
    paragraph = (piece * 10_000)[:9_900]
    started = time.process_time()
    reply_bundle("\n\n".join([paragraph] * 10))
    assert time.process_time() - started < 2


def test_lines_that_go_on_with_many_quotes_take_no_longer_than_others():
    text = ">" * 50 + "a\n" * 8_000
    started = time.process_time()
    html = to_html(text)
    assert time.process_time() - started < 2  # it took five seconds
    assert html.count("a") > 8_000
    assert to_html(">" * 20 + " a\nb").count("<blockquote>") == 20


def test_brackets_inside_each_other_are_links_as_far_as_people_write_them():
    assert to_html("[![a](http://x.y)](http://x.y) [b [c]](http://x.y)").count("<a ") == 2
    assert ">a</a>" in to_html("[" * 100 + "[a](http://x.y)")
    assert ">a</a>" not in to_html("[" * 200 + "[a](http://x.y)")


@everything_hostile
def test_hostile_text_that_streams_is_as_harmless(name):
    text = HOSTILE[name][:20_000]
    stream = BlockStream()
    shown = [block for start in range(0, len(text), 7) for block in stream.feed(text[start:][:7])]
    for block in [*shown, stream.tail]:
        assert active_parts(block_html(block, style=False)) == []


@unhurried
@given(pieces)
def test_no_mixture_becomes_active_html(text):
    assert active_parts(to_html(text)) == []


@unhurried
@given(pieces)
def test_no_mixture_becomes_active_markdown(text):
    inert = inert_markdown(text)
    for reader in READERS.values():
        assert active_in(reader(inert)) == []


@unhurried
@given(st.text())
def test_any_text_is_shown_without_an_error(text):
    assert active_parts(reply_bundle(text, footer=text, notices=[text])["text/html"]) == []
    assert not any(_is_control(c) for c in plain(text) if c not in "\n\t")


@unhurried
@given(code=pieces, language=st.sampled_from(["", "python", "html", "<script>", "json", "x y"]))
def test_code_in_any_language_is_text(code, language):
    assert active_parts(code_html(code, language)) == []


def test_the_checks_see_what_they_look_for():
    holes = '<script>x</script><a href="javascript:x">a</a><p id="x" onclick="y">b<!-- c -->'
    assert active_parts(holes) == [
        *("<script>", "<a href=javascript:x>", "<p id=x>", "<p onclick=y>", "<!-- c -->"),
        "<p> left open",
    ]
    careless = READERS["markdown-it without link checks"]
    assert active_in(careless("<b onclick=x>a</b> ![i](http://x) [r](foo)")) == [
        *("<b>", "<b onclick=x>", "<img>", "<img src=http://x>", "<img alt=i>", "<a href=foo>"),
    ]


def test_the_style_sheet_closes_itself_and_loads_nothing():
    inside = STYLE.removeprefix("<style>").removesuffix("</style>")
    assert "<" not in inside
    assert "url(" not in inside
    assert "@import" not in inside


def _is_control(char: str) -> bool:
    return ord(char) < 32 or 127 <= ord(char) < 160
