"""Whatever the kernel's HTML holds, the panel builds only what is on its lists."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from nbagents.rendering import to_html
from nbagents.rendering._tex.elements import ALLOWED
from tests.panel.room import STATIC, message
from tests.panel.talk import picture, talk
from tests.rendering.hostile import CANARY, HOSTILE

pytestmark = pytest.mark.browser

# A renderer with every hole there is: what is tried must stop at the panel.
LET_THROUGH = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
NAMED = {name: text[:4_000] for name, text in HOSTILE.items()}
SEEN = """() => {
    const elements = [...document.querySelectorAll(".nba-block *")];
    const attributes = elements.flatMap(e => [...e.attributes].map(a => a.name));
    return {
        pwned: "pwned" in window,
        title: document.title,
        before: document.getElementById("before").innerText,
        parent: document.getElementById("after").parentElement.tagName,
        hit: document.elementFromPoint(20, 25)?.id,
        tags: [...new Set(elements.map(e => e.localName))],
        attributes: [...new Set(attributes)],
        links: [...new Set(elements.filter(e => e.href).map(e => e.protocol))],
    };
}"""
HTML = """a blockquote br button code del div em h3 h4 h5 h6 hr li math ol p path pre small span
strong svg table tbody td th thead tr ul"""
TAGS = {*HTML.split(), *ALLOWED}
OURS = {"type", "aria-label", "aria-hidden", "title", "viewBox", "d", "tabindex"}
ATTRIBUTES = OURS | {"class", "style", "href", "target", "rel", "start", "display"}
ATTRIBUTES |= {name for names in ALLOWED.values() for name in names}


@pytest.fixture(scope="module")
def hall(room):
    room.mount()
    return room


@pytest.mark.parametrize("name", NAMED)
def test_a_hostile_text_does_nothing_even_when_the_renderer_lets_all_of_it_through(hall, name):
    room = hall
    text = NAMED[name]
    html = [to_html(text), text.encode(errors="replace").decode(), LET_THROUGH.render(text)]
    room.asked.clear()
    room.whole(
        message("u1", blocks=html, notes=[text], images=[text], markdown=text, source=text),
        message("a2", blocks=html, reasoning=html, footer=text, images=[text], status=text[:30]),
        totals=text[:200],
    )
    room.page.wait_for_timeout(30)
    seen = room.page.evaluate(SEEN)
    assert (seen["pwned"], seen["title"], room.asked, room.failures) == (False, "quiet", [], [])
    assert (seen["before"], seen["parent"], seen["hit"]) == ("before", "BODY", "before")
    assert set(seen["tags"]) <= TAGS
    assert set(seen["attributes"]) <= ATTRIBUTES
    assert set(seen["links"]) <= {"http:", "https:", "mailto:"}


def test_tool_calls_are_shown_as_text(room):
    hostile = "<img src=x onerror=window.pwned++>"
    call = {"id": "c", "name": hostile, "arguments": hostile, "result": hostile}
    room.mount()
    room.whole(message("a1", calls=[{**call, "is_error": False, "state": "done"}]))
    assert room.see(".nba-call img").count() == 0
    assert room.see(".nba-call strong").text_content() == hostile
    assert room.see(".nba-call pre").all_text_contents() == [hostile, hostile]


def test_only_data_images_are_shown_and_only_the_persons(room):
    images = [
        picture(),
        f"{CANARY}/x.png",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:text/html,x",
    ]
    room.asked.clear()
    room.mount(message("u1", images=images), message("a2", images=[picture()]))
    sources = room.see("img").evaluate_all("all => all.map(each => each.src)")
    assert (sources, room.asked) == ([picture()], [])


def test_links_open_elsewhere_and_tell_nothing(room):
    links = [
        '<a href="https://a.example/x?y=1" target="_self" onclick="window.pwned++">a</a>',
        '<a href="mailto:ada@example.org">b</a>',
        *(
            f'<a href="{bad}">c</a>'
            for bad in ("javascript:1", "/lab", "//x.y", "data:,x", "https:x")
        ),
        '<a href="java\tscript:window.pwned++">d</a>',
    ]
    room.mount(message("a1", blocks=["".join(links)]))
    found = room.see(".nba-block a").evaluate_all(
        "all => all.map(a => [a.getAttribute('href'), a.target, a.rel, a.hasAttribute('onclick')])"
    )
    assert found[:2] == [
        ["https://a.example/x?y=1", "_blank", "noopener noreferrer", False],
        ["mailto:ada@example.org", "_blank", "noopener noreferrer", False],
    ]
    assert found[2:] == [[None, "", "", False]] * 6


def test_styles_and_classes_of_the_html_are_dropped_but_those_on_the_lists(room):
    html = (
        '<div class="jp-Cell highlight" id="x" style="position:fixed">a</div>'
        '<table><tr><td style="text-align:right">1</td><td style="text-align:right;top:0">2</td>'
        '<td style="color:red">3</td></tr></table><ol start="7"><li>x</li></ol>'
    )
    room.mount(message("a1", blocks=[html]))
    block = room.see(".nba-block")
    first = block.locator("div")
    assert (first.get_attribute("class"), first.get_attribute("id")) == ("highlight", None)
    assert first.get_attribute("style") is None
    styles = block.locator("td").evaluate_all("all => all.map(each => each.getAttribute('style'))")
    assert styles == ["text-align: right;", None, None]
    assert block.locator("ol").get_attribute("start") == "7"


# A block without what the panel adds: buttons for code, and places to stop at by Tab.
UNDRESSED = """block => {
    const copy = block.cloneNode(true);
    for (const code of copy.querySelectorAll(".nba-code")) code.replaceWith(code.firstChild);
    for (const wide of copy.querySelectorAll("[tabindex]")) wide.removeAttribute("tabindex");
    return copy.innerHTML;
}"""


def test_what_the_renderer_writes_comes_through_whole(room):
    for each in talk():
        for html in each["blocks"]:
            room.mount(message("a1", blocks=[html], status="streaming"))
            assert room.see(".nba-block").evaluate(UNDRESSED) == room.page.evaluate(
                "html => new DOMParser().parseFromString(html, 'text/html').body.innerHTML", html
            ).replace('style="text-align:right"', 'style="text-align: right;"').replace(
                'style="text-align:left"', 'style="text-align: left;"'
            )


def test_mathematics_is_set_without_lengths_that_leave_its_place(room):
    html = (
        '<math display="block" onclick="x" href="javascript:1" style="position:fixed">'
        '<mspace width="0.167em" height="1em"/><mspace width="9999em"/><mphantom voffset="-500px">'
        '<mi mathvariant="bold">x</mi></mphantom><mtext><em>t</em></mtext>'
        '<annotation-xml encoding="text/html"><p>q</p></annotation-xml>'
        '<maction actiontype="statusline#x"><mi>y</mi></maction></math>'
    )
    room.mount(message("a1", blocks=[html], status="streaming"))
    assert room.see(".nba-block").inner_html() == (
        '<math display="block"><mspace width="0.167em"></mspace><mspace></mspace><mphantom>'
        '<mi mathvariant="bold">x</mi></mphantom>'
        "<mtext><em>t</em></mtext></math>"
    )


def test_the_source_never_hands_a_string_to_the_page_as_markup():
    source = re.sub(r"/\*.*?\*/", "", (STATIC / "panel.js").read_text(), flags=re.DOTALL)
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\("
    forbidden += (
        r"|createContextualFragment|setHTMLUnsafe|srcdoc|\bfetch\(|https?://(?!www\.w3\.org/)"
    )
    assert re.findall(forbidden, source) == []


def test_the_front_end_is_small_and_asks_for_nothing():
    assert sum((STATIC / file).stat().st_size for file in ("panel.js", "panel.css")) < 60_000
    assert not re.search(r"url\(|@import", (STATIC / "panel.css").read_text())
