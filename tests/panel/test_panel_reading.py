"""Reading a long conversation: where it scrolls to, and that it stays smooth."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from tests.panel.room import ADDRESS, Room, message
from tests.panel.talk import REPLY, talk

pytestmark = pytest.mark.browser

LONG = "\n\n".join(f"Paragraph {n}." for n in range(60))
GAP = "log => log.scrollHeight - log.scrollTop - log.clientHeight"
# Opens a conversation, then streams a reply as the kernel does, 20 paints a second, each block in
# two of them.
STREAM = """async ([blocks, paints]) => {
    tell(whole);
    while (document.querySelectorAll(".nba-message").length < whole.messages.length) {
        await new Promise(requestAnimationFrame);
    }
    const per = Math.ceil(2 * blocks.length / paints);
    let shown = 0, seq = 0;
    while (shown < blocks.length) {
        const html = blocks.slice(shown, shown + per);
        const half = Math.floor(html.at(-1).length / 2);
        const rest = html.at(-1).slice(half);
        const part = {kind: "blocks", id: "a9999", part: "blocks"};
        html[html.length - 1] = html.at(-1).slice(0, half);
        tell({...part, seq: ++seq, start: shown, keep: 0, html});
        await new Promise(done => setTimeout(done, 50));
        shown += html.length;
        tell({...part, seq: ++seq, start: shown - 1, keep: half, html: [rest]});
        await new Promise(done => setTimeout(done, 50));
    }
    tell({kind: "message", seq: ++seq, message: {...state.messages.at(-1), status: "complete"}});
    await new Promise(done => setTimeout(done, 300));
}"""
# A kernel that says something every 7 ms of the page's clock, and then nothing for a while; and
# when the panel changes.
HASTE = """() => {
    window.painted = [];
    new MutationObserver(() => {
        const now = Math.round(performance.now());
        if (painted.at(-1) !== now) painted.push(now);
    }).observe(view.el, {subtree: true, childList: true, characterData: true});
    const say = n => {
        const text = `<p>${"word ".repeat(n)}</p>`;
        tell({kind: "blocks", id: "a2", part: "blocks", seq: n, start: 0, keep: 0, html: [text]});
        window.state.totals = `${n} tokens`;
        emit("change:totals");
        if (n % 2) tell({kind: "busy", seq: n, busy: true, waiting_for: `${n}`});
        if (n < 500) setTimeout(() => say(n + 1), n % 10 ? 7 : 90);
    };
    say(1);
}"""
LAST = "With 891 rows, an interval of about three points is all that can be had."


def longest_task(trace):
    """Milliseconds that a page's main thread needed for one task, by its own clock: what other
    programs took of the time on a busy machine is not the panel's."""
    events = json.loads(trace.read_text())["traceEvents"]
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [event for event in events if (event["pid"], event["tid"]) in main]
    return max(event.get("tdur", 0) for event in tasks) / 1_000


def at_end(room):
    return room.see(".nba-log").evaluate(GAP) < 8


def test_it_keeps_to_the_end_while_the_reader_is_there(room):
    room.mount()
    room.whole(message("u1", "go"), message("a2", LONG, status="streaming"))
    assert at_end(room)
    room.tell("message", message=message("a2", LONG + "\n\nand more" * 20))
    assert at_end(room)
    assert room.press("Jump to the latest message").count() == 0


def test_a_reader_who_scrolls_up_is_left_alone_and_can_jump_back(room):
    room.mount()
    room.whole(message("u1", "go"), message("a2", LONG, status="streaming"))
    room.see(".nba-log").hover()
    room.page.mouse.wheel(0, -300)
    jump = room.press("Jump to the latest message")
    jump.wait_for()
    top = room.see(".nba-log").evaluate("log => log.scrollTop")
    room.tell("message", message=message("a2", LONG + "\n\nand more" * 20, status="streaming"))
    assert room.see(".nba-log").evaluate("log => log.scrollTop") == top
    jump.click()
    assert at_end(room)
    assert not jump.is_visible()
    room.tell("message", message=message("a2", LONG * 2))
    assert at_end(room)


def test_there_is_nothing_to_jump_to_in_a_conversation_that_fits(room):
    room.mount()
    room.whole(message("u1", "go"), message("a2", LONG))
    room.see(".nba-log").evaluate("log => { log.scrollTop = 0; }")
    jump = room.press("Jump to the latest message")
    jump.wait_for()
    room.tell("removed", ids=["a2"])
    assert not jump.is_visible()


def test_what_the_reader_sends_brings_the_end_back(room):
    room.mount()
    room.whole(message("u1", "go"), message("a2", LONG))
    room.see(".nba-log").evaluate("log => { log.scrollTop = 0; }")
    room.press("Jump to the latest message").wait_for()
    room.draft.fill("more")
    room.draft.press("Enter")
    assert at_end(room)


def test_a_view_that_is_taken_out_of_the_page_and_put_back_is_where_it_was(room):
    room.mount()
    room.whole(message("u1", "go"), message("a2", LONG))
    log = room.see(".nba-log")
    log.evaluate("log => { log.scrollTop = 200; }")
    room.press("Jump to the latest message").wait_for()
    room.page.evaluate("view.el.remove()")
    room.settle()
    room.page.evaluate("document.getElementById('cell').append(view.el)")
    room.settle()
    assert log.evaluate("log => log.scrollTop") == 200


def test_it_stays_smooth_with_500_messages_and_a_reply_of_100_kb(room, browser, tmp_path):
    room.mount()
    old = [message(f"{'au'[n % 2]}{n}", REPLY if n % 4 == 0 else LONG[:300]) for n in range(500)]
    reply = "\n\n".join([REPLY] * (100_000 // len(REPLY) + 1))
    blocks = message("a9999", reply)["blocks"]
    said = [*old, message("a9999", status="streaming")]
    opened = {"kind": "whole", "seq": 0, "messages": said, "answers": []}
    room.page.evaluate(
        "opened => { window.whole = opened; }", {**opened, "busy": True, "totals": ""}
    )
    trace = tmp_path / "trace.json"
    browser.start_tracing(page=room.page, path=trace, categories=["toplevel", "__metadata"])
    room.page.evaluate(STREAM, [blocks, 150])
    browser.stop_tracing()
    assert room.see(".nba-block").last.inner_text() == LAST
    assert at_end(room)
    assert longest_task(trace) < 100


def test_however_fast_the_kernel_is_it_is_painted_twenty_times_a_second(browser):
    room = Room(browser)
    room.page.clock.install()  # the page's time is what this test says
    room.page.goto(ADDRESS)
    room.mount_in_page(message("a2", status="streaming"), busy=True)
    room.page.clock.run_for(1_000)
    room.page.evaluate(HASTE)
    room.page.clock.run_for(8_000)
    painted = room.page.evaluate("painted")
    room.page.context.close()
    gaps = [later - earlier for earlier, later in pairwise(painted)]
    assert len(gaps) > 80
    assert min(gaps) >= 50


@pytest.mark.parametrize("width", [400, 900])
def test_nothing_is_wider_than_the_panel(room, width):
    room.page.set_viewport_size({"width": width, "height": 800})
    room.mount(*talk())
    for selector in ("", " .nba-log"):
        box = room.page.locator(f".nbagents-panel{selector}")
        assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert room.page.locator(".nbagents-panel").bounding_box()["width"] <= width
    room.page.set_viewport_size({"width": 900, "height": 800})


def test_text_that_runs_from_right_to_left_is_set_so(room):
    room.mount(*talk())
    directions = room.see(".nba-user .nba-body[dir]").evaluate_all(
        "all => all.map(each => getComputedStyle(each).direction)"
    )
    assert directions == ["ltr", "ltr", "rtl"]


def test_a_height_that_was_chosen_is_kept(room):
    room.mount(*talk())
    room.page.evaluate("view.el.style.height = '750px'")
    assert room.page.locator(".nbagents-panel").bounding_box()["height"] == 750
