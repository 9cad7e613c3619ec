"""For everybody: screen readers, keyboards, contrast, dark and light, little motion."""

from __future__ import annotations

import pytest

from tests.panel.room import Room, message
from tests.panel.talk import talk

pytestmark = pytest.mark.browser
LAB = """theme => {
    document.body.dataset.jpThemeLight = String(theme === "light");
    const dark = theme === "dark";
    const values = dark
        ? {"--jp-layout-color1": "#111", "--jp-content-font-color1": "rgba(255, 255, 255, 1)"}
        : {"--jp-layout-color1": "white", "--jp-content-font-color1": "rgba(0, 0, 0, 0.87)"};
    for (const [name, value] of Object.entries(values)) {
        document.documentElement.style.setProperty(name, value);
    }
}"""


def violations(room):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(room.page, ".nbagents-panel", {"resultTypes": ["violations"]})
    return [
        (each["id"], node["html"][:200], node["failureSummary"])
        for each in found.response["violations"]
        for node in each["nodes"]
    ]


def furnish(room):
    """Everything at once that can be in a panel."""
    room.mount()
    room.whole(*talk(), totals="7 messages · $0.0019")
    room.draft.fill("plot")
    room.draft.press_sequentially(" @d")
    items = [{"name": "df", "type": "DataFrame 3 by 2"}, {"name": "dates", "type": "list"}]
    room.tell("completions", request=room.sent("complete")[-1]["request"], items=items)
    room.tell("error", text="The key was refused: set another one.")
    room.tell("busy", busy=False, waiting_for="The kernel is busy.")
    for summary in room.see("summary:visible").all():
        summary.evaluate("each => { each.parentElement.open = true; }")
    room.settle()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("host", ["page", "JupyterLab"])
def test_axe_finds_nothing(browser, scheme, host):
    room = Room(browser, color_scheme=scheme, reduced_motion="reduce")
    room.page.set_viewport_size({"width": 900, "height": 3_000})
    furnish(room)
    if host == "JupyterLab":
        room.page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
        room.page.evaluate(LAB, scheme)
    room.page.evaluate("view.el.style.height = '2800px'")
    room.settle()
    assert violations(room) == []
    room.page.context.close()


@pytest.mark.parametrize("state", ["empty", "streaming", "editing", "gone"])
def test_axe_finds_nothing_in_any_state(room, state):
    room.mount()
    if state != "empty":
        reply = message("a2", "Half", status="streaming" if state == "streaming" else "complete")
        room.whole(message("u1", "one"), reply, busy=state == "streaming")
    if state == "editing":
        room.draft.press("ArrowUp")
    if state == "gone":
        room.page.evaluate("window.broken = true")
        room.press("Clear the conversation").click()
    assert violations(room) == []


def test_a_planted_violation_is_seen(room):
    room.mount(message("a1", "x"))
    room.page.evaluate("document.querySelector('.nba-foot button').removeAttribute('aria-label')")
    room.page.evaluate("document.querySelector('.nba-foot button').removeAttribute('title')")
    assert [rule for rule, *_ in violations(room)] == ["button-name"]


def test_a_reply_is_announced_once_when_it_is_finished_and_not_by_the_token(room):
    room.mount()
    room.page.evaluate("""() => {
        window.said = [];
        const live = document.querySelector(".nba-live");
        new MutationObserver(() => said.push(live.textContent)).observe(live, {childList: true});
    }""")
    room.whole(message("u1", "Hello"), message("a2", status="streaming"))
    for word in ("Good", " morning"):
        part = {"id": "a2", "part": "blocks", "start": 0, "keep": 0}
        room.tell("blocks", html=[f"<p>Good{word}</p>"], **part)
    assert room.page.evaluate("said") == []
    room.tell("message", message=message("a2", "Good morning"))
    room.tell("message", message=message("a2", "Good morning", footer="2 s"))
    assert room.page.evaluate("said") == ["tutor: Good morning"]
    live = room.see(".nba-live")
    assert (live.get_attribute("aria-live"), live.get_attribute("role")) == ("polite", "status")
    log = room.page.get_by_role("log", name="Conversation with tutor")
    assert log.get_attribute("aria-live") == "off"


def test_everything_is_reached_by_the_tab_key(room):
    room.mount()
    room.whole(message("u1", "one"), message("a2", "```\nx\n```", reasoning=["<p>hm</p>"]))
    room.draft.fill("next")
    room.page.evaluate("document.activeElement.blur(); getSelection().removeAllRanges()")
    room.page.locator("#before").click()
    reached = []
    for _ in range(14):
        room.page.keyboard.press("Tab")
        reached.append(
            room.page.evaluate(
                "document.activeElement.ariaLabel ?? document.activeElement.localName"
            )
        )
    assert reached[:13] == [
        "Clear the conversation",
        "Conversation with tutor",
        "Copy message",
        "Edit and branch",
        "summary",
        "pre",
        "Insert as cell",
        "Copy code",
        "Copy message",
        "Retry",
        "Message tutor",
        "Attach an image (or paste or drop it)",
        "Send",
    ]


def test_focus_is_seen(room):
    room.mount()
    room.whole(message("u1", "one"))
    room.page.locator("#before").click()
    for _ in range(4):
        room.page.keyboard.press("Tab")
        outline = room.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
    box = room.see(".nba-box")
    before = box.evaluate("e => getComputedStyle(e).boxShadow")
    room.draft.focus()
    assert box.evaluate("e => getComputedStyle(e).boxShadow") != before


@pytest.mark.parametrize(
    ("motion", "name"), [("reduce", "none"), ("no-preference", "nbagents-dot")]
)
def test_motion_is_only_for_those_who_want_it(browser, motion, name):
    room = Room(browser, reduced_motion=motion)
    room.mount(message("a1", status="waiting"))
    dot = room.see(".nba-dots i").first
    assert dot.evaluate("e => getComputedStyle(e).animationName") == name
    room.page.context.close()


COPY = """() => {
    const outputs = document.createElement("div");
    outputs.className = "jp-OutputArea";
    const row = "jp-OutputArea-child", shown = "jp-OutputArea-output";
    outputs.innerHTML = `<div class="${row}" id="live"></div><div class="${row}" id="row">`
        + `<div class="${shown}" id="copy"></div></div>`;
    document.body.append(outputs);
    window.copied = text => {
        const copy = document.getElementById("copy");
        copy.innerHTML = `<div class="nbagents-saved"><p>${text}</p></div>`;
    };
    copied("one");
}"""


def test_the_static_copy_is_out_of_the_way_while_the_panel_is_there(room):
    room.mount()
    room.page.evaluate(COPY)
    row, copy = room.page.locator("#row"), room.page.locator("#row .nbagents-saved")
    assert row.is_visible()
    room.page.evaluate("""async () => {
        window.other = await open_view();
        document.getElementById("live").append(other.el);
    }""")
    row.wait_for(state="hidden")
    assert copy.inner_text() == ""
    # A new one is gone before JupyterLab could set its formulas, which it does a moment later.
    left = room.page.evaluate("""async () => {
        copied("two");
        await null;
        return document.querySelector("#row .nbagents-saved").textContent;
    }""")
    assert left == ""
    room.page.evaluate("other.close()")
    assert row.is_visible()
    assert copy.inner_text() == "two"
