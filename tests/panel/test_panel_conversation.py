"""What the kernel says is shown: messages, growing blocks, gaps, calls, and its end."""

from __future__ import annotations

import pytest

from tests.panel.room import ADDRESS, Room, blocks, message
from tests.panel.talk import talk

pytestmark = pytest.mark.browser


def lines(locator):
    return [line for line in locator.inner_text().split("\n") if line]


CALL = {
    "id": "c1",
    "name": "write_file",
    "arguments": '{\n  "rows": 6\n}',
    "result": "",
    "is_error": False,
}


def test_it_starts_from_the_saved_state_and_asks_for_what_has_happened_since(room):
    room.mount(message("u1", "Hello"), message("a2", "Good **morning**"), totals="12 tokens")
    assert [lines(each) for each in room.see(".nba-message").all()] == [
        ["Hello"],
        ["tutor", "Good morning"],
    ]
    assert room.see(".nba-name").inner_text() == "tutor"
    assert room.see(".nba-totals").inner_text() == "12 tokens"
    assert room.sent() == [{"kind": "whole", "fresh": True}]


def test_a_message_that_is_told_again_replaces_what_was_shown_in_its_place(room):
    room.mount()
    room.whole(message("u1", "one"), message("a2", "two"))
    room.tell("message", message=message("u5", "five"))
    room.tell("message", message=message("a3", "three"))
    room.tell("message", message=message("a2", "second"))
    assert room.see(".nba-block").all_inner_texts() == ["one", "second", "three", "five"]
    room.tell("removed", ids=["a2", "u5"])
    assert room.see(".nba-block").all_inner_texts() == ["one", "three"]


def test_finished_blocks_are_never_touched_again(room):
    room.mount()
    room.whole(message("a1", status="streaming"))
    room.tell("blocks", id="a1", part="blocks", start=0, keep=0, html=["<p>first</p>", "<p>se</p>"])
    room.page.evaluate("window.first = document.querySelector('.nba-block')")
    room.tell("blocks", id="a1", part="blocks", start=1, keep=5, html=["cond</p>", "<p>third</p>"])
    assert room.see(".nba-block").all_inner_texts() == ["first", "second", "third"]
    whole = message("a1", blocks=["<p>first</p>", "<p>second</p>", "<p>third.</p>"], footer="done")
    room.tell("message", message=whole)
    assert room.see(".nba-block").all_inner_texts() == ["first", "second", "third."]
    assert room.page.evaluate("first === document.querySelector('.nba-block')")
    room.whole(whole)
    assert room.page.evaluate("first === document.querySelector('.nba-block')")
    assert room.see(".nba-foot").inner_text() == "done"


def test_an_offset_counts_as_javascript_does(room):
    room.mount()
    room.whole(message("a1", blocks=["<p>😀"], status="streaming"))
    room.tell("blocks", id="a1", part="blocks", start=0, keep=5, html=["!"])
    assert room.see(".nba-block").inner_text() == "😀!"


@pytest.mark.parametrize(
    "wrong",
    [
        {"seq": 3, "id": "a1", "start": 0, "keep": 0},
        {"id": "a1", "start": 2, "keep": 0},
        {"id": "a1", "start": 0, "keep": 99},
        {"id": "unknown", "start": 0, "keep": 0},
    ],
    ids=["number", "block", "offset", "message"],
)
def test_a_gap_makes_it_ask_for_everything_once(room, wrong):
    room.mount()
    room.whole(message("a1", blocks=["<p>one</p>"], status="streaming"))
    room.tell("blocks", part="blocks", html=["<p>x</p>"], **wrong)
    room.tell("blocks", part="blocks", html=["<p>x</p>"], **wrong)
    assert len(room.sent("whole")) == 2
    room.whole(message("a1", "repaired"), seq=9)
    room.tell("busy", busy=False)
    assert room.see(".nba-block").inner_text() == "repaired"
    assert len(room.sent("whole")) == 2


def test_everything_is_asked_for_again_when_the_answer_is_lost(browser):
    room = Room(browser)
    room.page.clock.install()
    room.page.goto(ADDRESS)
    room.mount_in_page()
    tell = "seq => tell({ kind: 'busy', busy: false, seq })"
    room.page.evaluate(
        "tell({ kind: 'whole', messages: [], busy: false, totals: '', answers: [], seq: 0 })"
    )
    for seconds, seq in ((1, 2), (1, 3), (6, 4)):
        room.page.clock.run_for(1_000 * seconds)
        room.page.evaluate(tell, seq)
        room.page.clock.run_for(200)
    asked = len(room.sent("whole"))
    room.page.context.close()
    assert asked == 3  # when it was opened, after the gap, and when no answer had come


def test_the_models_state_holds_the_conversation_and_the_kernel_is_not_told(room):
    room.mount()
    room.whole(message("u1", "one"))
    room.tell("message", message=message("a2", "two"))
    room.tell("blocks", id="a2", part="blocks", start=1, keep=0, html=["<p>more</p>"])
    room.tell("removed", ids=["u1"])
    kept = room.page.evaluate("state.messages")
    assert [(each["id"], len(each["blocks"])) for each in kept] == [("a2", 2)]
    assert room.sent("saved") == []


def test_reasoning_is_folded_and_stays_as_the_reader_left_it(room):
    room.mount()
    room.whole(message("a1", reasoning=["<p>hm</p>"], status="streaming"))
    fold = room.see("details")
    assert (fold.inner_text(), fold.get_attribute("open")) == ("Thinking…", None)
    fold.locator("summary").click()
    room.tell("blocks", id="a1", part="reasoning", start=0, keep=4, html=["m, yes</p>"])
    room.tell("message", message=message("a1", "So.", reasoning=["<p>hm, yes</p>", "<p>ok</p>"]))
    assert fold.inner_text().split() == ["Reasoning", "hm,", "yes", "ok"]


def test_a_turn_is_retried_by_its_last_message_and_a_note_never(room):
    room.mount(message("a1", role="system", source="nbagents", notes=["No key is set."]))
    retry = room.see("button[aria-label=Retry]:visible")
    assert retry.count() == 0
    states = [("asked", "complete", 0), ("denied", "complete", 0), ("stopped", "cancelled", 1)]
    for state, status, offered in states:
        calls = [{**CALL, "state": state}]
        room.tell("message", message=message("a2", calls=calls, status=status))
        assert (state, retry.count()) == (state, offered)
    room.tell("message", message=message("a2", calls=calls))
    room.tell("message", message=message("a3", "It is done."))
    assert retry.count() == 1


def test_a_call_that_asks_is_approved_or_denied(room):
    room.mount()
    calls = [{**CALL, "id": str(n), "name": f"tool_{n}", "state": "asked"} for n in (1, 2)]
    room.whole(message("a1", calls=calls, status="streaming"))
    room.press("Approve tool_1").click()
    room.press("Deny tool_2").press("Enter")
    assert room.sent("approve") == [
        {"kind": "approve", "call": "1", "message": "a1", "allowed": True},
        {"kind": "approve", "call": "2", "message": "a1", "allowed": False},
    ]
    assert room.see(".nba-ask:visible").count() == 0
    room.tell("message", message=message("a1", calls=calls, status="streaming"))  # not heard yet
    assert room.see(".nba-ask:visible").count() == 0
    calls = [{**calls[0], "state": "running"}, {**calls[1], "state": "denied"}]
    room.tell("message", message=message("a1", calls=calls, status="streaming"))
    assert room.see(".nba-call .nba-state").all_inner_texts() == ["running", "denied"]


def test_what_is_approved_is_seen_whole_and_folded_again(room):
    room.mount()
    call = {**CALL, "arguments": '{\n  "text": "%s end"\n}' % ("long " * 60), "state": "asked"}
    room.whole(message("a1", calls=[call], status="streaming"))
    given = room.see(".nba-call pre").first
    assert given.is_visible()
    assert given.inner_text().endswith('end"\n}')
    room.press("Approve write_file").click()
    assert not given.is_visible()
    room.tell("message", message=message("a2", calls=[{**call, "id": "2", "state": "approval"}]))
    waits = room.see(".nba-message").last
    assert "waits for approval" in waits.inner_text()
    assert waits.get_by_role("button", name="Approve").count() == 0


def test_a_call_shows_arguments_and_result_when_it_is_unfolded(room):
    room.mount()
    room.whole(message("a1", calls=[{**CALL, "state": "running"}]))
    card = room.see(".nba-call")
    card.locator("summary").click()
    done = {**CALL, "result": "6 rows\nwritten", "state": "done"}
    room.tell("message", message=message("a1", calls=[done]))
    assert lines(card) == [
        "write_file", "done", "Arguments", "{", '  "rows": 6', "}",
        "Result", "6 rows", "written",
    ]  # fmt: skip
    failed = {**done, "is_error": True}
    room.tell("message", message=message("a1", calls=[failed]))
    assert card.locator(".nba-state").inner_text() == "failed"


@pytest.mark.parametrize(
    ("status", "word"),
    [("cancelled", "Stopped"), ("failed", "Failed"), ("incomplete", "The reply broke off")],
)
def test_a_reply_that_did_not_end_well_says_so(room, status, word):
    room.mount(message("a1", "Half", status=status, notes=["Press Retry."]))
    assert lines(room.see(".nba-message")) == ["tutor", "Half", "Press Retry.", word]


def test_code_is_copied_and_never_claimed_as_inserted_where_it_was_not(room):
    room.mount(message("a1", "```python\nx = 1\nprint(x)\n```"))
    room.see(".nba-code").hover()
    room.press("Copy code").click()
    assert room.page.evaluate("navigator.clipboard.readText()") == "x = 1\nprint(x)"
    room.page.evaluate("navigator.clipboard.writeText('')")
    room.press("Insert as cell").click()
    room.see(".nba-notice").wait_for()
    assert room.page.evaluate("navigator.clipboard.readText()") == "x = 1\nprint(x)"
    assert "paste it into a cell" in room.see(".nba-notice").inner_text()
    assert "not inserted" in room.see(".nba-live").inner_text()


def test_copying_works_without_the_clipboard_of_secure_pages(room):
    room.mount(message("a1", "some **text**"))
    refused = "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }"
    room.page.evaluate(refused)
    room.see(".nba-message").hover()
    room.press("Copy message").click()
    room.see("[data-answer=Copied]").wait_for()
    assert room.page.evaluate("navigator.clipboard.readText()") == "some **text**"


def test_a_code_block_gets_its_buttons_when_it_is_finished(room):
    room.mount()
    room.whole(message("a1", status="streaming"))
    part = {"id": "a1", "part": "blocks", "start": 0, "keep": 0}
    room.tell("blocks", html=["<pre><code>x</code></pre>"], **part)
    assert not room.press("Copy code").is_visible()
    room.tell("blocks", html=["<pre><code>x</code></pre>", "<p>and</p>"], **part)
    assert room.press("Copy code").is_visible()


def test_retry_and_clear_with_undo(room):
    room.mount()
    room.whole(message("u1", "one"), message("a2", "two"))
    room.see(".nba-assistant").hover()
    room.press("Retry").click()
    assert room.sent("retry") == [{"kind": "retry", "id": "a2"}]
    room.press("Clear the conversation").click()
    room.tell("removed", ids=["u1", "a2"])
    assert room.see(".nba-empty").inner_text() == "Ask tutor something. An @ attaches a variable."
    room.press("Undo").click()
    assert [each["kind"] for each in room.sent()][-2:] == ["clear", "restore"]
    assert room.see(".nba-notice:visible").count() == 0


def test_waiting_and_errors_are_said_in_words(room):
    room.mount()
    room.whole(message("a1", status="waiting"))
    assert room.see(".nba-dots").is_visible()
    room.tell("busy", busy=True, waiting_for="The tool `f` runs when the kernel is free.")
    assert room.see(".nba-status").inner_text() == "The tool `f` runs when the kernel is free."
    room.tell("error", text="The key was refused: set another one.")
    assert room.see("[role=alert]").inner_text().strip() == "The key was refused: set another one."
    room.press("Dismiss").click()
    assert room.see("[role=alert]:visible").count() == 0


def test_when_the_kernel_goes_the_text_stays_and_so_does_the_draft(room):
    room.mount()
    room.whole(message("u1", "one"), message("a2", "tw", status="streaming"), busy=True)
    room.draft.fill("and then?")
    room.page.evaluate("live = false")
    room.page.evaluate("emit('comm_live_update')")
    room.settle()
    assert "The kernel is gone" in room.see("[role=alert]").inner_text()
    assert room.see(".nba-block").all_inner_texts() == ["one", "tw"]
    assert room.draft.input_value() == "and then?"
    assert room.press("Send").is_disabled()
    assert room.see(".nba-dots:visible").count() == 0
    room.draft.press("Enter")
    assert room.sent("send") == []


def test_a_saved_panel_without_a_kernel_is_readable(room):
    room.mount(*talk(), busy=True)
    room.page.evaluate("""async () => {
        view.close();
        document.getElementById("cell").className = "jupyter-widgets-disconnected";
        view = await open_view();
    }""")
    room.settle()
    assert room.see(".nba-message").count() == len(talk())
    assert room.see(".nba-ask:visible").count() == 0
    assert room.press("Send").is_visible()


def test_a_connection_that_comes_back_is_used_again(room):
    room.mount()
    for live in ("false", "true"):
        room.page.evaluate(f"live = {live}")
        room.page.evaluate("emit('comm_live_update')")
    assert room.see("[role=alert]:visible").count() == 0
    room.draft.fill("hello")
    assert not room.press("Send").is_disabled()


def test_a_kernel_that_cannot_be_reached_is_as_good_as_gone(room):
    room.mount()
    room.page.evaluate("window.broken = true")
    room.draft.fill("hello")
    room.draft.press("Enter")
    assert "The kernel is gone" in room.see("[role=alert]").inner_text()
    assert room.draft.input_value() == "hello"


def test_two_views_of_a_panel_show_the_same_and_share_what_is_typed(room):
    room.mount()
    room.page.evaluate("async () => { window.other = await open_view(); }")
    room.whole(message("a1", "shared"))
    assert room.see(".nba-block").all_inner_texts() == ["shared", "shared"]
    room.draft.first.fill("typed")
    assert room.draft.nth(1).input_value() == "typed"
    room.page.evaluate("other.close()")
    room.tell("message", message=message("a2", "later"))
    assert room.see(".nba-block").all_inner_texts() == ["shared", "later"]


def test_blocks_of_a_long_reply_arrive_whole(room):
    room.mount()
    long = "\n\n".join(f"Paragraph {n} with `code` and **weight**." for n in range(3_000))
    room.whole(message("a1", long))
    room.page.wait_for_function(
        "count => document.querySelectorAll('.nba-block').length === count", arg=len(blocks(long))
    )
    # Beside 16 others at most, so that what is not seen need not be laid out.
    groups = room.see(".nba-group").evaluate_all("all => all.map(each => each.children.length)")
    assert set(groups[:-1]) == {16}


def test_a_message_that_waits_for_its_turn_is_shown_so_and_is_not_to_be_edited(room):
    room.mount()
    waits = message("u1000000001", "later @df", status="waiting", notes=["df"])
    room.whole(message("u1", "go"), message("a2", status="streaming"), waits, busy=True)
    room.tell("message", message=message("a3", "in between", status="streaming"))
    assert lines(room.see(".nba-message").last) == ["later @df", "df", "Waiting"]
    buttons = room.see(".nba-message").last.get_by_role("button", name="Edit and branch")
    assert buttons.count() == 0
    room.tell("removed", ids=["u1000000001"])
    room.tell("message", message=message("u4", "later @df"))
    assert lines(room.see(".nba-message").last) == ["later @df"]
