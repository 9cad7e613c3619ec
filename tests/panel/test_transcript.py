"""From what happens in an agent's conversation to what a panel shows, as data."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagents.agents import CallAsked, CallStarted, Cleared, TurnEnded, TurnEvent, TurnStarted
from nbagents.errors import ContentFilterError, IncompleteReplyError, ServerError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    Image,
    LLMMessage,
    RequestUsage,
    StreamChunk,
    SystemMessage,
    UserMessage,
)
from nbagents.notebook._panel.endings import STOPPED
from nbagents.notebook._panel.growing import GrowingText
from nbagents.notebook._panel.transcript import Transcript
from nbagents.rendering import to_html
from tests.panel.mirror import Mirror
from tests.panel.talk import REPLY, picture

CALL = FunctionCall(id="c1", name="add", arguments='{"a": 1}')
ANSWER = FunctionExecutionResult(content="2", name="add", call_id="c1", is_error=False)


def asked(content: Any = "Why?") -> TurnStarted:
    return TurnStarted(UserMessage(content=content, source="user"))


def answered(text: str = "Because.", *, estimated: bool = False, **given: Any) -> CreateResult:
    usage = RequestUsage(10, 2, estimated=estimated)
    return CreateResult(finish_reason="stop", content=text, usage=usage, cached=False, **given)


def seen(*events: TurnEvent) -> Transcript:
    transcript = Transcript("tutor")
    for event in events:
        transcript.see(event)
    return transcript


def shown(transcript: Transcript, *names: str) -> list[tuple[Any, ...]]:
    names = names or ("role", "status", "markdown")
    return [tuple(message[name] for name in names) for message in transcript.messages]


def test_a_turn_is_a_question_and_its_answer() -> None:
    transcript = seen(asked(), StreamChunk("Be"), StreamChunk("cause."), answered(), TurnEnded())
    assert shown(transcript, "role", "source", "status", "markdown", "blocks") == [
        ("user", "user", "complete", "Why?", ["<p>Why?</p>\n"]),
        ("assistant", "tutor", "complete", "Because.", ["<p>Because.</p>\n"]),
    ]


def test_a_reply_waits_then_streams_then_is_complete() -> None:
    states = []
    transcript = Transcript("tutor")
    for event in (asked(), StreamChunk("Be"), answered(), TurnEnded()):
        transcript.see(event)
        states.append((transcript.messages[-1]["status"], transcript.busy))
    assert states == [
        ("waiting", True),
        ("streaming", True),
        ("complete", True),
        ("complete", False),
    ]


def test_a_reply_that_does_not_stream_is_shown_all_the_same() -> None:
    transcript = seen(asked(), answered("**Yes**", thought="hm"), TurnEnded())
    assert shown(transcript, "blocks", "reasoning")[-1] == (
        ["<p><strong>Yes</strong></p>\n"],
        ["<p>hm</p>\n"],
    )


def test_reasoning_is_kept_apart() -> None:
    transcript = seen(asked(), StreamChunk("hm", "reasoning"), StreamChunk("Yes"))
    assert shown(transcript, "blocks", "reasoning")[-1] == (["<p>Yes</p>\n"], ["<p>hm</p>\n"])


def test_the_footer_tells_model_and_tokens_and_the_totals_add_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = [asked(), answered(model="gpt-4o-mini", latency=2.0), TurnEnded()]
    transcript = seen(*one, *one)
    assert transcript.messages[-1]["footer"] == "gpt-4o-mini · 10 → 2 tokens · $0.0000027"
    assert str(transcript.totals) == "2 replies · 20 → 4 tokens · $0.0000054"
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert str(transcript.totals) == "2 replies · 20 → 4 tokens · $0.0000054 · 4.0 s"


def test_the_totals_say_what_of_them_is_estimated() -> None:
    guessed = [asked(), answered(estimated=True), TurnEnded()]
    assert str(seen(*guessed).totals) == "1 reply · 10 → 2 tokens · estimated"
    both = seen(*guessed, asked(), answered(), TurnEnded())
    assert str(both.totals) == "2 replies · 20 → 4 tokens · partly estimated"


def test_calls_stand_with_the_reply_that_asked_for_them_and_get_their_results() -> None:
    calls = AssistantMessage(content=[CALL], source="tutor", thought="Let me see.")
    transcript = seen(asked(), StreamChunk("Let me see."), calls)
    call = {
        "id": "c1",
        "name": "add",
        "arguments": '{\n  "a": 1\n}',
        "result": "",
        "is_error": False,
    }
    assert transcript.messages[-1]["calls"] == [{**call, "state": "waiting"}]
    transcript.see(CallStarted(CALL))
    assert transcript.messages[-1]["calls"] == [{**call, "state": "running"}]
    transcript.see(FunctionExecutionResultMessage(content=[ANSWER]))
    assert transcript.messages[-2]["calls"] == [{**call, "result": "2", "state": "done"}]
    transcript.see(StreamChunk("It is 2."))
    transcript.see(answered("It is 2."))
    transcript.see(TurnEnded())
    assert shown(transcript) == [
        ("user", "complete", "Why?"),
        ("assistant", "complete", "Let me see."),
        ("assistant", "complete", "It is 2."),
    ]


def test_a_call_that_was_denied_stays_denied() -> None:
    transcript = seen(asked(), AssistantMessage(content=[CALL], source="tutor"))
    transcript.mark("c1", "asked")
    assert transcript.messages[-1]["calls"][0]["state"] == "asked"
    transcript.mark("c1", "denied")
    transcript.see(FunctionExecutionResultMessage(content=[ANSWER]))
    assert transcript.messages[-2]["calls"][0]["state"] == "denied"


def test_a_call_says_that_somebody_is_asked_and_only_then_that_it_runs() -> None:
    later = FunctionCall(id="c2", name="add", arguments="{}")
    transcript = seen(asked(), AssistantMessage(content=[CALL, later], source="tutor"))
    states = [[call["state"] for call in transcript.messages[-1]["calls"]]]
    for event in (CallAsked(CALL), CallStarted(CALL), CallAsked(later)):
        transcript.see(event)
        states.append([call["state"] for call in transcript.messages[-1]["calls"]])
    assert states == [
        ["waiting", "waiting"],
        ["approval", "waiting"],
        ["running", "waiting"],
        ["running", "approval"],
    ]


def test_a_turn_that_is_stopped_while_a_call_runs_says_so() -> None:
    calls = AssistantMessage(content=[CALL], source="tutor")
    transcript = seen(asked(), calls, CallStarted(CALL), TurnEnded(asyncio.CancelledError()))
    message = transcript.messages[-1]
    assert (message["status"], message["notes"]) == ("cancelled", [STOPPED])
    assert message["calls"][0]["state"] == "stopped"
    assert transcript.busy is False


def test_images_are_shown_and_attached_objects_named() -> None:
    content = ["Look", "`df` (pandas DataFrame, 3 rows):\n```\na\n```", Image.from_uri(picture())]
    [message, _] = seen(asked(content)).messages
    assert message["markdown"] == "Look"
    assert message["notes"] == ["df: pandas DataFrame, 3 rows"]
    assert message["images"] == [picture()]


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (asyncio.CancelledError(), "cancelled", STOPPED),
        (KeyboardInterrupt(), "cancelled", STOPPED),
        (ServerError("It failed (500); retry."), "failed", "It failed (500); retry."),
        (IncompleteReplyError("The reply broke off."), "incomplete", "The reply broke off."),
        (ContentFilterError("It was filtered."), "filtered", "It was filtered."),
        (
            ValueError("boom"),
            "failed",
            "ValueError: boom; the traceback is in the log `nbagents`. Retry asks again.",
        ),
    ],
)
def test_a_turn_that_fails_says_why_and_keeps_what_had_come(
    error: BaseException, status: str, words: str
) -> None:
    transcript = seen(asked(), StreamChunk("so far"), TurnEnded(error))
    assert shown(transcript, "status", "markdown", "notes")[-1] == (status, "so far", [words])
    assert not transcript.busy


def test_the_partial_text_of_an_error_is_shown_where_nothing_streamed() -> None:
    transcript = seen(asked(), TurnEnded(ServerError("It failed.", partial="Half")))
    assert transcript.messages[-1]["markdown"] == "Half"


def test_a_panel_opened_in_the_middle_of_a_reply_shows_the_rest() -> None:
    transcript = seen(StreamChunk("rest"), answered("All the rest"), TurnEnded())
    assert shown(transcript) == [("assistant", "complete", "All the rest")]


def test_what_the_agent_remembers_is_shown() -> None:
    memory: list[LLMMessage] = [
        SystemMessage(content="Be brief."),
        UserMessage(content="1 + 1?", source="user"),
        AssistantMessage(content=[CALL], source="tutor", thought="add"),
        FunctionExecutionResultMessage(content=[ANSWER]),
        AssistantMessage(content="2", source="tutor"),
    ]
    transcript = Transcript("tutor")
    transcript.remember(memory)
    assert shown(transcript) == [
        ("system", "complete", "Be brief."),
        ("user", "complete", "1 + 1?"),
        ("assistant", "complete", ""),
        ("assistant", "complete", "2"),
    ]
    assert transcript.messages[2]["calls"][0]["result"] == "2"


def test_what_is_cleared_is_removed_and_can_be_put_back() -> None:
    transcript = seen(asked(), answered(), TurnEnded())
    before, entries, totals = transcript.messages, [*transcript.entries], transcript.totals
    mirror = Mirror()
    mirror.take(*transcript.take())
    transcript.see(Cleared())
    mirror.take(*transcript.take())
    assert (transcript.messages, mirror.messages, str(transcript.totals)) == ([], [], "")
    transcript.put_back(entries, totals)
    mirror.take(*transcript.take())
    assert transcript.messages == mirror.messages == before
    assert str(transcript.totals) == "1 reply · 10 → 2 tokens"


def test_a_reply_leads_to_its_question() -> None:
    transcript = seen(asked("A"), answered(), TurnEnded(), asked("B"), answered(), TurnEnded())
    ids = [message["id"] for message in transcript.messages]
    questions = [transcript.question_of(identity) for identity in ids]
    assert [entry.text.markdown for entry in questions if entry] == ["A", "A", "B", "B"]
    assert transcript.question_of("m99") is None


def test_only_turns_that_came_to_an_end_are_remembered() -> None:
    failed = [asked("B"), TurnEnded(ValueError())]
    transcript = seen(asked("A"), answered(), TurnEnded(), *failed, asked("C"), TurnEnded())
    first = transcript.entries[0]
    assert [message.content for message in transcript.remembered(first)] == ["A", "C"]


def test_a_message_that_stands_is_the_same_object_each_time() -> None:
    """Comparing the trait's value costs a look at each message, not at each character."""
    transcript = seen(asked(), answered(), TurnEnded(), asked("B"), StreamChunk("x"))
    before = transcript.messages
    transcript.see(StreamChunk("y"))
    after = transcript.messages
    assert [old is new for old, new in zip(before, after, strict=True)] == [True, True, True, False]


TEXTS = st.lists(
    st.sampled_from(
        [
            "word ",
            "**b",
            "** ",
            "\n",
            "\n\n",
            "- item\n",
            "```python\nx = 1\n",
            "```\n",
            "| a | b |\n|--|--|\n",
            "| 1 | 2 |\n",
            "$x^2$ ",
            "😀",
            "1. ",
            "> q\n",
            "`c`",
            "[l](http://x.y)",
        ]
    ),
    min_size=1,
    max_size=40,
)


@given(TEXTS, st.integers(1, 7))
@settings(max_examples=80, deadline=None)
def test_whatever_comes_the_front_end_ends_up_with_the_same(pieces: list[str], every: int) -> None:
    transcript, mirror = Transcript("tutor"), Mirror()
    transcript.see(asked())
    for number, piece in enumerate(pieces):
        transcript.see(StreamChunk(piece, "reasoning" if number % 11 == 10 else "text"))
        if number % every == 0:
            mirror.take(*transcript.take())
            assert _without_source(mirror.messages) == _without_source(transcript.messages)
    transcript.see(answered("".join(pieces)))
    transcript.see(TurnEnded())
    mirror.take(*transcript.take())
    assert mirror.messages == transcript.messages
    assert "".join(mirror.messages[-1]["blocks"]) == to_html("".join(pieces), math="mathml")


def _without_source(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # a growing reply's Markdown, for copying, is sent when it is complete
    return [{**message, "markdown": ""} for message in messages]


def test_positions_are_counted_as_javascript_counts() -> None:
    text = GrowingText()
    text.feed("😀😀 a")
    text.growth()
    text.feed("b")
    growth = text.growth()
    assert growth is not None
    assert growth.keep == len("<p>") + 2 * 2 + len(" a")
    assert growth.html == ["b</p>\n"]


@pytest.mark.parametrize("per_paint", [6, 20, 60])
@pytest.mark.parametrize(
    "text",
    [
        REPLY * 3,
        ("The quick brown fox jumps over the lazy dog, and so on. " * 9 + "\n\n") * 9,
        "word and more words " * 400,
        "".join(f"- item {number} with some words in it\n" for number in range(150)),
        "| a | b | c |\n|--|--|--|\n" + "| 12.5 | some text | more |\n" * 150,
    ],
    ids=["rich", "prose", "one paragraph", "a list", "a table"],
)
def test_a_reply_costs_at_most_six_times_its_length_and_300_bytes_a_paint(
    text: str, per_paint: int
) -> None:
    transcript = seen(asked())
    transcript.take()
    events: list[TurnEvent] = [
        StreamChunk(text[start : start + per_paint]) for start in range(0, len(text), per_paint)
    ]
    paints = sent = 0
    for event in [*events, answered(text)]:
        transcript.see(event)
        paints += 1
        changes = transcript.take()
        sent += sum(len(json.dumps(change, ensure_ascii=False).encode()) for change in changes)
    assert sent <= 6 * len(text.encode()) + 300 * paints


def test_a_very_long_text_grows_by_its_end_alone_and_is_whole_when_it_settles() -> None:
    text, sent = GrowingText(), 0
    for _ in range(100):
        text.feed("word " * 4_000)
        growth = text.growth()
        sent += len("".join(growth.html)) if growth is not None else 0
    assert sent < 600_000  # of 2,000,000 characters
    assert "2,000,000 characters so far" in text.blocks[-1]
    text.settle(text.markdown)
    assert "".join(text.blocks).count("word ") == 400_000
