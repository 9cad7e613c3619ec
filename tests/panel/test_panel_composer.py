"""What a person types, pastes and presses."""

from __future__ import annotations

import base64

import pytest

from tests.panel.room import message
from tests.panel.talk import picture

pytestmark = pytest.mark.browser

KEYS = ("Shift", "Control")
ITEMS = [{"name": "df", "type": "DataFrame 3 by 2"}, {"name": "dates", "type": "list of 4"}]
# A paste or a drop with a file in it, as the browser would bring it.
BRING = """([kind, name, type, data, text]) => {
    const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, {type}));
    if (text) transfer.setData("text/plain", text);
    const given = {bubbles: true, cancelable: true};
    const event = kind === "paste"
        ? new ClipboardEvent(kind, {...given, clipboardData: transfer})
        : new DragEvent(kind, {...given, dataTransfer: transfer});
    document.querySelector(".nbagents-panel textarea").dispatchEvent(event);
    return event.defaultPrevented;
}"""


def bring(room, kind="paste", name="a.png", mime="image/png", data=None, text=""):
    data = data or picture().partition(",")[2]
    return room.page.evaluate(BRING, [kind, name, mime, data, text])


def offered(room, items=None):
    request = room.sent("complete")[-1]["request"]
    room.tell("completions", request=request, items=ITEMS if items is None else items)


def edit_the_first_prompt(room):
    """Put ``second`` in its place, over half a thought that was typed."""
    room.mount()
    room.whole(message("u1", "first"), message("a2", "x"))
    room.draft.fill("half a thought")
    room.see(".nba-user").hover()
    room.press("Edit and branch").click()
    room.draft.fill("second")
    room.draft.press("Enter")


def test_enter_sends_and_shift_enter_breaks_the_line(room):
    room.mount()
    room.draft.press_sequentially("two")
    room.draft.press("Shift+Enter")
    room.draft.press_sequentially("lines")
    assert room.sent("send") == []
    room.draft.press("Enter")
    [sent] = room.sent("send")
    request = sent.pop("request")
    assert sent == {"kind": "send", "text": "two\nlines", "images": [], "attach": []}
    assert room.draft.input_value() == "two\nlines"  # until the kernel has it
    room.tell("acknowledged", request=request)
    assert room.draft.input_value() == ""
    assert room.page.evaluate("document.activeElement.localName") == "textarea"


def test_nothing_is_sent_twice_or_empty(room):
    room.mount()
    room.draft.press("Enter")
    room.draft.fill("  \n ")
    room.draft.press("Enter")
    assert (room.sent("send"), room.press("Send").is_disabled()) == ([], True)
    room.draft.fill("hello")
    room.draft.press("Enter")
    room.draft.press("Enter")
    assert len(room.sent("send")) == 1


def test_what_the_kernel_did_not_take_is_there_to_be_sent_again(room):
    room.mount()
    room.draft.fill("hello")
    room.press("Send").click()
    room.tell("error", text="Another turn is under way.", request=room.sent("send")[0]["request"])
    assert room.draft.input_value() == "hello"
    assert not room.press("Send").is_disabled()


def test_what_the_kernel_took_and_could_not_send_comes_back(room):
    room.mount()
    room.draft.fill("about @df")
    room.draft.press("Enter")
    request = room.sent("send")[0]["request"]
    room.tell("acknowledged", request=request)
    assert room.draft.input_value() == ""
    room.tell("busy", busy=True, waiting_for="The kernel is busy.")
    room.press("Stop").click()
    room.tell("error", text="Stopped before it was sent.", request=request)
    room.tell("busy", busy=False, waiting_for=None)
    assert room.draft.input_value() == "about @df"
    assert not room.press("Send").is_disabled()


def test_an_answer_that_was_lost_comes_with_the_whole(room):
    room.mount()
    room.whole()
    room.draft.fill("about @df")
    room.draft.press("Enter")
    request = room.sent("send")[0]["request"]
    taken = {"kind": "acknowledged", "seq": 1, "request": request}
    failed = {"kind": "error", "seq": 2, "request": request, "text": "Stopped before it was sent."}
    room.whole(answers=[taken | {"request": "another"}])
    assert room.draft.input_value() == "about @df"
    room.whole(answers=[taken])
    assert (room.draft.input_value(), room.draft.is_editable()) == ("", True)
    room.whole(answers=[taken, failed])
    assert room.draft.input_value() == "about @df"
    room.press("Dismiss").click()
    room.whole(answers=[taken, failed])
    assert room.page.get_by_text("Stopped before it was sent.").count() == 0


def test_what_comes_back_takes_the_place_of_nothing_that_was_written_since(room):
    room.mount()
    room.draft.fill("first")
    room.draft.press("Enter")
    request = room.sent("send")[0]["request"]
    room.tell("acknowledged", request=request)
    room.draft.fill("second")
    room.tell("error", text="Stopped before it was sent.", request=request)
    assert room.draft.input_value() == "second"


def test_an_edit_that_could_not_be_sent_is_an_edit_still(room):
    edit_the_first_prompt(room)
    request = room.sent("edit")[0]["request"]
    room.tell("acknowledged", request=request)
    room.tell("error", text="A reply is under way.", request=request)
    assert room.draft.input_value() == "second"
    room.draft.press("Enter")
    assert [each["id"] for each in room.sent("edit")] == ["u1", "u1"]
    room.tell("acknowledged", request=room.sent("edit")[1]["request"])
    assert room.draft.input_value() == "half a thought"


def test_what_is_said_above_the_composer_stands_in_its_column(room):
    room.mount()
    room.page.set_viewport_size({"width": 1200, "height": 800})
    room.tell("busy", busy=True, waiting_for="The kernel is busy.")
    edge = room.see(".nba-box").bounding_box()["x"]
    room.draft.press_sequentially("@")
    offered(room)
    lines = (
        room.see(".nba-status").bounding_box()["x"],
        room.see(".nba-options").bounding_box()["x"],
    )
    room.page.set_viewport_size({"width": 900, "height": 800})
    assert edge > 100
    assert [abs(each - edge) < 4 for each in lines] == [True, True]


def test_a_kernel_that_is_slow_to_answer_is_spoken_of(room):
    room.mount()
    room.draft.fill("hello")
    room.draft.press("Enter")
    room.see(".nba-status:visible").wait_for()
    assert "The kernel is busy" in room.see(".nba-status").inner_text()
    room.tell("acknowledged", request=room.sent("send")[0]["request"])
    assert room.see(".nba-status:visible").count() == 0


def test_keys_of_an_input_method_are_its_own(room):
    room.mount()
    room.draft.fill("にほん")
    press = "new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, cancelable: true})"
    assert room.draft.evaluate(f"area => area.dispatchEvent({press})")
    assert room.sent("send") == []


def test_send_is_stop_while_a_reply_streams(room):
    room.mount()
    room.tell("busy", busy=True, waiting_for=None)
    assert room.press("Send").count() == 0
    room.draft.fill("next")
    room.draft.press("Enter")
    assert room.sent("send") == []
    assert "under way" in room.see(".nba-notice").inner_text()
    room.press("Stop").click()
    assert room.sent("stop") == [{"kind": "stop"}]
    assert room.see(".nba-status").inner_text() == "Stopping…"
    assert room.see(".nba-notice").is_visible()
    room.tell("busy", busy=False, waiting_for=None)
    assert not room.see(".nba-notice").is_visible()  # no reply is under way any longer
    assert room.press("Send").is_visible()
    assert room.draft.input_value() == "next"
    assert room.page.evaluate("document.activeElement.localName") == "textarea"


def test_what_cannot_be_stopped_from_here_is_not_said_to_stop(room):
    room.mount()
    room.tell("busy", busy=True, waiting_for=None)
    room.press("Stop").click()
    room.tell("error", text="A cell has asked for this reply.")
    assert room.press("Stop").is_enabled()
    assert "Stopping" not in room.see(".nba-status").inner_text()


def test_a_press_on_stop_counts_though_the_panel_grows_meanwhile(room):
    room.mount()
    room.whole(message("u1", "Go on."), message("a2", status="streaming"), busy=True)
    button, mouse = room.press("Stop").bounding_box(), room.page.mouse
    mouse.move(button["x"] + button["width"] / 2, button["y"] + button["height"] / 2)
    mouse.down()
    room.tell("blocks", id="a2", part="blocks", start=0, keep=0, html=["<p>word</p>"] * 5)
    assert room.press("Stop").bounding_box()["y"] > button["y"] + button["height"]
    mouse.up()
    assert room.sent("stop") == [{"kind": "stop"}]
    assert room.see(".nba-status").inner_text() == "Stopping…"


def test_up_in_an_empty_composer_edits_the_last_prompt_and_escape_gives_it_up(room):
    room.mount()
    room.whole(
        message("u1", "first"), message("a2", "x"), message("u3", "last"), message("a4", "y")
    )
    room.draft.press("ArrowUp")
    assert room.draft.input_value() == "last"
    assert room.see(".nba-banner").is_visible()
    room.draft.press("Escape")
    assert (room.draft.input_value(), room.see(".nba-banner").is_visible()) == ("", False)
    room.draft.fill("typed")
    room.draft.press("ArrowUp")
    assert room.draft.input_value() == "typed"


def test_edit_branches_from_a_message_and_gives_back_what_was_typed(room):
    edit_the_first_prompt(room)
    [sent] = room.sent("edit")
    request = sent.pop("request")
    assert sent == {"kind": "edit", "id": "u1", "text": "second"}
    room.tell("acknowledged", request=request)
    assert room.draft.input_value() == "half a thought"
    assert not room.see(".nba-banner").is_visible()


def test_a_draft_survives_every_update_and_a_view_that_is_made_anew(room):
    room.mount()
    room.draft.press_sequentially("my th")
    room.draft.evaluate("area => area.setSelectionRange(2, 4)")
    room.whole(message("u1", "one"), message("a2", status="streaming"), busy=True)
    room.tell("blocks", id="a2", part="blocks", start=0, keep=0, html=["<p>x</p>"])
    room.tell("removed", ids=["u1"])
    room.tell("busy", busy=False)
    found = room.draft.evaluate("area => [area.value, area.selectionStart, area.selectionEnd]")
    assert found == ["my th", 2, 4]
    room.page.evaluate("async () => { view.close(); view = await open_view(); }")
    assert room.draft.input_value() == "my th"
    bring(room)
    room.see(".nba-thumb").wait_for()
    room.page.evaluate("async () => { view.close(); view = await open_view(); }")
    assert room.see(".nba-thumb").count() == 1


def test_an_at_sign_offers_the_kernels_variables(room):
    room.mount()
    room.draft.press_sequentially("plot @d")
    assert [each["prefix"] for each in room.sent("complete")] == ["", "d"]
    offered(room)
    area, options = room.draft, room.page.get_by_role("option")
    assert options.all_inner_texts() == ["df\nDataFrame 3 by 2", "dates\nlist of 4"]
    assert area.get_attribute("aria-activedescendant") == options.first.get_attribute("id")
    area.press("ArrowDown")
    assert options.nth(1).get_attribute("aria-selected") == "true"
    area.press("ArrowDown")
    area.press("Enter")
    assert area.input_value() == "plot @df "
    assert room.see(".nba-chip").inner_text() == "@df DataFrame 3 by 2"
    assert room.page.get_by_role("listbox").count() == 0
    area.press_sequentially("by week")
    area.press("Enter")
    [sent] = room.sent("send")
    assert (sent["text"], sent["attach"]) == ("plot @df by week", ["df"])


def test_until_the_kernel_answers_what_was_offered_and_still_fits_is_offered(room):
    room.mount()
    room.draft.press_sequentially("plot @d")
    offered(room)
    options = room.page.get_by_role("option")
    room.draft.press_sequentially("A")
    assert options.all_inner_texts() == ["dates\nlist of 4"]
    room.draft.press_sequentially("x")
    assert options.count() == 0
    room.draft.press("Enter")
    assert [each["text"] for each in room.sent("send")] == ["plot @dAx"]


def test_an_option_is_chosen_by_pointer_in_the_middle_of_a_text(room):
    room.mount()
    room.draft.fill("plot  please")
    room.draft.evaluate("area => area.setSelectionRange(5, 5)")
    room.draft.press_sequentially("@da")
    offered(room, ITEMS[1:])
    room.page.get_by_role("option").click()
    assert room.draft.input_value() == "plot @dates please"
    assert room.draft.evaluate("area => area.selectionStart") == len("plot @dates ")


def test_escape_closes_the_list_and_late_answers_do_not_open_it(room):
    room.mount()
    room.draft.press_sequentially("@")
    offered(room)
    room.draft.press("Escape")
    assert room.page.get_by_role("listbox").count() == 0
    room.draft.press_sequentially("d")
    old = room.sent("complete")[0]["request"]
    room.tell("completions", request=old, items=ITEMS)
    assert room.page.get_by_role("listbox").count() == 0
    room.draft.press_sequentially(" x")
    offered(room)
    assert room.page.get_by_role("listbox").count() == 0


def test_only_what_the_kernel_knows_is_attached(room):
    room.mount()
    room.draft.press_sequentially("@d")
    offered(room)
    room.draft.press("Escape")
    room.draft.fill("ada@df.org @df.shape @df['a b'] @property @dates, @df")
    room.draft.press("Enter")
    assert room.sent("send")[0]["attach"] == ["df.shape", "df['a b']", "dates", "df"]


def test_images_are_pasted_dropped_and_removed(room):
    room.mount()
    assert bring(room)
    room.see(".nba-thumb").first.wait_for()
    assert bring(room, "dragover")
    assert bring(room, "drop", data=picture(8, 8).partition(",")[2])
    room.see(".nba-thumb").nth(1).wait_for()
    room.press("Remove image 1").click()
    assert room.see(".nba-thumb img").get_attribute("src") == picture(8, 8)
    room.draft.press("Enter")
    assert room.sent("send")[0]["images"] == [picture(8, 8)]


def test_an_image_is_chosen_by_button_too(room):
    room.mount()
    with room.page.expect_file_chooser() as opened:
        room.press("Attach an image (or paste or drop it)").press("Enter")
    data = base64.b64decode(picture().partition(",")[2])
    opened.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": data})
    room.see(".nba-thumb").wait_for()


def test_what_is_no_image_for_a_model_is_refused_in_words(room):
    room.mount()
    bring(room, "drop", "notes.svg", "image/svg+xml")
    assert room.see(".nba-notice").inner_text().startswith("notes.svg is no image that")
    bring(room, "drop", "broken.png", "image/png", data=base64.b64encode(b"no").decode())
    room.page.wait_for_function(
        "() => document.querySelector('.nba-notice').innerText.startsWith('broken.png')"
    )
    assert room.see(".nba-thumb").count() == 0


def test_a_large_image_is_scaled_down(room):
    room.mount()
    bring(room, data=picture(3_000, 30).partition(",")[2])
    room.see(".nba-thumb").wait_for()
    room.draft.press("Enter")
    [image] = room.sent("send")[0]["images"]
    size = "async src => { const i = new Image(); i.src = src; await i.decode(); return i.width; }"
    assert room.page.evaluate(size, image) == 2_048


def test_text_beside_a_picture_of_it_is_pasted_as_text(room):
    room.mount()
    assert not bring(room, text="1\t2")
    room.settle()
    assert room.see(".nba-thumb").count() == 0


def test_keys_stay_in_the_panel_but_for_saving_and_the_command_palette(room):
    room.mount()
    room.page.evaluate("""() => {
        window.heard = [];
        addEventListener("keydown", e => heard.push(`out ${e.key}`));
        document.addEventListener("keydown", e => {
            const kept = e.target.closest("[data-lm-suppress-shortcuts]");
            heard.push(`${kept ? "kept" : "free"} ${e.key}`);
        }, true);
    }""")
    for key in ("b", "Shift+Enter", "Control+Enter", "Control+s", "Escape", "Control+Shift+C"):
        room.draft.press(key)
    room.press("Clear the conversation").press("d")
    heard = [each for each in room.page.evaluate("heard") if each.split()[1] not in KEYS]
    assert heard == [
        "kept b", "kept Enter", "kept Enter", "free s", "out s", "kept Escape", "free C", "out C",
        "kept d",
    ]  # fmt: skip


def test_other_notices_stay_when_a_reply_has_ended(room):
    room.mount()
    room.tell("busy", busy=True, waiting_for=None)
    room.tell("error", text="The key was refused: set another one.")
    room.tell("busy", busy=False, waiting_for=None)
    assert "The key was refused" in room.see(".nba-notice").inner_text()


def test_the_composer_grows_with_what_is_typed(room):
    room.mount()
    before = room.draft.bounding_box()["height"]
    room.draft.fill("line\n" * 5)
    assert room.draft.bounding_box()["height"] > before + 60
    room.draft.fill("line\n" * 200)
    assert room.draft.bounding_box()["height"] <= 220
