"""The chat panel driven from Python, and by messages such as its front end sends."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets
import pandas as pd
import PIL.Image
import pytest
from jupyter_client.session import json_packer

from nbagents import ChatAgent, ChatPanel
from nbagents._waits import waiting_for
from nbagents.errors import APIConnectionError, ConfigurationError, ServerError
from nbagents.loop import engine, run
from nbagents.messages import CreateResult, FunctionCall, RequestUsage
from nbagents.model_context import BufferedChatCompletionContext
from nbagents.models import OpenAIChatCompletionClient
from nbagents.notebook._panel import inbound, telling
from nbagents.notebook._panel.mentions import attached, check_names, mentions
from nbagents.notebook._panel.saved import saved_bundle
from nbagents.tools import FunctionTool, tool
from nbagents.usage import ledger
from tests.panel.mirror import Mirror
from tests.panel.room import STATIC
from tests.panel.talk import picture
from tests.scripted import ScriptedClient


class Front:
    """A panel's front end: hears what the panel sends, says what a person does."""

    def __init__(self, panel: ChatPanel) -> None:
        self.panel = panel
        self.heard: list[dict[str, Any]] = []
        self.mirror = Mirror()
        panel.comm.send = self._hear

    def say(self, kind: str, **content: Any) -> None:
        message = {"method": "custom", "content": {"kind": kind, **content}}
        self.panel._handle_msg({"content": {"data": message}, "buffers": []})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [content for content in self.heard if content["kind"] == kind]

    @property
    def errors(self) -> list[str]:
        return [content["text"] for content in self.of("error")]

    def _hear(self, data: Any = None, **_: Any) -> None:
        json_packer(data)  # as it is sent
        if data["method"] == "custom":
            self.heard.append(data["content"])
            self.mirror.take(data["content"])
        else:
            assert "messages" not in data["state"], "the conversation goes in pieces"


def agent_of(*replies: Any, pause: float = 0.0, **options: Any) -> ChatAgent:
    return ChatAgent(ScriptedClient(*replies, pause=pause), name="tutor", **options)


@contextmanager
def opened(agent: Any) -> Iterator[tuple[ChatPanel, Front]]:
    panel = ChatPanel(agent)
    try:
        yield panel, Front(panel)
    finally:
        panel.close()


def wait_for(what: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)


def shown(panel: ChatPanel) -> list[tuple[str, str]]:
    return [(message["role"], message["markdown"]) for message in panel.messages]


def statuses(panel: ChatPanel) -> list[str]:
    return [message["status"] for message in panel.messages]


def test_what_is_sent_is_answered_and_can_be_read() -> None:
    with opened(agent_of("Be cause.")) as (panel, front):
        panel.send("Why?")
        panel.wait()
        assert shown(panel) == [("user", "Why?"), ("assistant", "Be cause.")]
        assert (panel.value, panel.busy) == ("Be cause.", False)
        assert panel.result.usage.completion_tokens == 2
        assert panel.totals == "1 reply · 10 → 2 tokens"
        assert front.mirror.messages == panel.messages


class Queueing(ScriptedClient):
    """Its requests wait for something before they are sent."""

    async def create_stream(self, *given: Any, **arguments: Any) -> AsyncIterator[Any]:
        with waiting_for("its turn"):
            await asyncio.sleep(0.3)
        async for event in super().create_stream(*given, **arguments):
            yield event


def test_what_a_request_waits_for_is_said_until_it_is_over() -> None:
    with opened(ChatAgent(Queueing("At last."))) as (panel, front):
        panel.send("Why?")
        wait_for(lambda: front.mirror.waiting_for == "The request waits for its turn.")
        panel.wait()
        assert front.mirror.waiting_for is None
        assert shown(panel)[-1] == ("assistant", "At last.")


def test_a_panel_is_a_widget_to_observe_and_to_put_into_others() -> None:
    with opened(agent_of("Yes", "No")) as (panel, _):
        values: list[str] = []
        panel.observe(lambda change: values.append(change.new), "value")
        label = ipywidgets.Label()
        ipywidgets.link((panel, "totals"), (label, "value"))
        box = ipywidgets.VBox([panel, label])
        for prompt in "ab":
            panel.send(prompt)
            panel.wait()
        assert values == ["Yes", "No"]
        assert label.value == panel.totals
        assert box.children[0] is panel


def test_an_observer_that_fails_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with opened(agent_of("Yes")) as (panel, front):
        panel.observe(lambda change: 1 / 0, "value")
        panel.send("a")
        panel.wait()
        assert front.mirror.messages[-1]["markdown"] == "Yes"
        assert "ZeroDivisionError" in caplog.text


def test_what_others_ask_the_agent_appears_too() -> None:
    agent = agent_of("One", "Two")
    with opened(agent) as (panel, _):
        asyncio.run(agent.ask("from a cell"))
        wait_for(lambda: statuses(panel) == ["complete", "complete"])
        asyncio.run(agent.but(system_message="Be brief.").ask("from a cell with -s"))
        wait_for(lambda: len(panel.messages) == 4)
        assert [text for _, text in shown(panel)][::2] == ["from a cell", "from a cell with -s"]


def test_what_the_panel_asks_the_agent_remembers() -> None:
    agent = agent_of("One")
    with opened(agent) as (panel, _):
        panel.send("a")
        panel.wait()
        messages = run(agent.model_context.get_messages())
        assert [message.content for message in messages] == ["a", "One"]


def test_two_panels_of_an_agent_show_the_same() -> None:
    agent = agent_of("One", ServerError("It failed."), "Two")
    with opened(agent) as (one, front), opened(agent) as (other, _):
        one.send("a")
        other.send("b")
        one.wait()
        other.retry()
        other.wait()
        assert one.messages == other.messages == front.mirror.messages
        assert [text for _, text in shown(one)] == ["a", "One", "b", "Two"]


def test_a_panel_opened_later_shows_what_the_agent_remembers() -> None:
    agent = agent_of("One")
    asyncio.run(agent.ask("a"))
    with opened(agent) as (panel, front):
        front.say("whole")
        wait_for(lambda: front.of("whole"))
        assert shown(panel) == [("user", "a"), ("assistant", "One")]
        assert front.mirror.messages == panel.messages


def test_a_client_has_a_panel_too() -> None:
    with opened(ScriptedClient("Yes")) as (panel, _):
        panel.send("a")
        panel.wait()
        assert (panel.name, panel.value) == ("assistant", "Yes")


def test_agents_and_clients_open_panels() -> None:
    agent = agent_of()
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key="none")
    for subject in (agent, client):
        panel = subject.panel()
        assert isinstance(panel, ChatPanel)
        panel.close()


def test_what_cannot_talk_has_no_panel() -> None:
    with pytest.raises(ConfigurationError, match="not of int"):
        ChatPanel(3)  # type: ignore[arg-type]


def test_stop_ends_the_reply_and_keeps_what_had_come() -> None:
    agent = agent_of("word " * 1_000, pause=0.005)
    with opened(agent) as (panel, front):
        front.say("send", text="go", request="r1")
        wait_for(lambda: panel.messages and "word" in panel.messages[-1]["markdown"])
        front.say("stop", request="r2")
        wait_for(lambda: not panel.busy)
        assert statuses(panel) == ["complete", "cancelled"]
        assert panel.messages[-1]["notes"][0].startswith("Stopped.")
        assert [each["request"] for each in front.of("acknowledged")] == ["r1", "r2"]
        assert agent.client.closed_streams == 1
        assert len(agent.model_context) == 0


def test_what_was_lost_on_the_way_can_be_noticed_and_made_up_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telling, "REMINDERS", (0.05, 0.1))
    with opened(agent_of("One")) as (panel, front):
        front.say("send", text="go", request="r1")
        panel.wait()
        told = len(front.heard)
        wait_for(lambda: len(front.heard) == told + 2)
        last, *reminders = front.heard[-3:]
        state = {"kind": "busy", "busy": False, "waiting_for": None}
        assert reminders == [{"seq": last["seq"] + n, **state} for n in (1, 2)]
        front.say("retry", id="gone", request="r2")
        front.say("whole")
        wait_for(lambda: front.of("whole"))
        answers = [(each["kind"], each["request"]) for each in front.of("whole")[0]["answers"]]
        assert answers == [("acknowledged", "r1"), ("acknowledged", "r2"), ("error", "r2")]


def test_stop_also_drops_what_waits_for_its_turn_and_gives_it_back() -> None:
    with opened(agent_of("word " * 1_000, pause=0.005)) as (panel, front):
        front.say("send", text="one", request="r1")
        wait_for(lambda: len(panel.messages) == 2)
        front.say("send", text="two", request="r2")
        front.say("stop")
        panel.wait()
        assert [(each["request"], each["text"]) for each in front.of("error")] == [
            ("r2", "Stopped before it was sent.")
        ]
        assert [text for role, text in shown(panel) if role == "user"] == ["one"]


def test_what_waits_for_its_turn_is_shown_at_once_below_all_that_comes_before() -> None:
    agent = agent_of("word " * 1_000, "Two", pause=0.005)
    with opened(agent) as (panel, front):
        panel.send("one")
        wait_for(lambda: len(panel.messages) == 2)
        panel.send("two", images=[picture()])
        wait_for(lambda: len(front.mirror.messages) == 3)
        waits = front.mirror.messages[-1]
        assert (waits["status"], waits["markdown"]) == ("waiting", "two")
        assert (waits["notes"], waits["images"]) == (["1 image"], [])
        panel.stop()
        panel.wait()
        assert shown(panel)[0] == ("user", "one")
        assert len(panel.messages) == 2
        assert front.mirror.messages == panel.messages


def test_what_has_waited_is_asked_in_its_turn() -> None:
    with opened(agent_of("One", "Two", pause=0.05)) as (panel, front):
        panel.send("a")
        wait_for(lambda: panel.messages)
        panel.send("b")
        panel.wait()
        assert [text for _, text in shown(panel)] == ["a", "One", "b", "Two"]
        assert statuses(panel) == ["complete"] * 4
        assert front.mirror.messages == panel.messages


def test_what_a_stopped_reply_took_is_in_the_totals_as_in_the_ledger() -> None:
    before = len(ledger)
    with opened(agent_of("Yes", "word " * 1_000, pause=0.005)) as (panel, _):
        panel.send("a")
        panel.wait()
        assert panel.totals == "1 reply · 10 → 1 tokens"
        panel.send("b c d")
        wait_for(lambda: "word" in panel.messages[-1]["markdown"])
        panel.stop()
        panel.wait()
        took = ledger.records[before:]
        assert [record.status for record in took] == ["complete", "cancelled"]
        read = sum(record.prompt_tokens for record in took)
        written = sum(record.completion_tokens for record in took)
        assert written > 1
        assert panel.totals == f"2 replies · {read:,} → {written:,} tokens · partly estimated"


class Unreachable(ScriptedClient):
    async def create_stream(self, *given: Any, **arguments: Any) -> AsyncIterator[Any]:
        for error in self.replies:
            raise error
        yield ""


def test_what_the_server_never_worked_on_is_not_in_the_totals() -> None:
    client = Unreachable(APIConnectionError("The server cannot be reached."))
    with opened(ChatAgent(client)) as (panel, _):
        panel.send("a")
        panel.wait()
        assert (statuses(panel), panel.totals) == (["complete", "failed"], "")


def test_a_reply_that_a_cell_has_asked_for_is_the_cells_to_stop() -> None:
    agent = agent_of("One", pause=0.2)
    with opened(agent) as (panel, front):

        async def ask() -> None:
            task = asyncio.create_task(agent.ask("from a cell"))
            await asyncio.sleep(0.02)
            front.say("stop")
            await task

        asyncio.run(ask())
        wait_for(lambda: "complete" in statuses(panel)[-1:])
        assert front.errors == ["A cell has asked for this reply: interrupt the kernel to stop it."]


def test_a_failure_is_told_in_words_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nbagents")
    with opened(agent_of(ServerError("The server failed (500); retry."))) as (panel, front):
        panel.send("a")
        panel.wait()
        assert statuses(panel) == ["complete", "failed"]
        assert panel.messages[-1]["notes"] == ["The server failed (500); retry."]
        assert front.errors == []
        assert "The server failed (500)" in caplog.text


def test_retry_asks_again_and_forgets_what_followed() -> None:
    agent = agent_of("One", "Two", "One again")
    with opened(agent) as (panel, front):
        for prompt in "ab":
            panel.send(prompt)
            panel.wait()
        front.say("retry", id=panel.messages[1]["id"])
        wait_for(lambda: len(panel.messages) == 2 and not panel.busy)
        assert [text for _, text in shown(panel)] == ["a", "One again"]
        assert [message.content for message in run(agent.model_context.get_messages())] == [
            "a",
            "One again",
        ]
        assert front.mirror.messages == panel.messages


def test_edit_asks_something_else_and_keeps_the_images() -> None:
    agent = agent_of("One", "Two")
    with opened(agent) as (panel, _):
        panel.send("a", images=[picture()])
        panel.wait()
        panel.edit(panel.messages[0]["id"], "b")
        panel.wait()
        assert [text for _, text in shown(panel)] == ["b", "Two"]
        assert panel.messages[0]["images"] == [picture()]


def test_nobody_goes_back_in_a_conversation_that_was_changed_behind_the_panel() -> None:
    agent = agent_of("One", "Two")
    with opened(agent) as (panel, front):
        panel.send("a")
        panel.wait()
        run(agent.model_context.clear())
        panel.retry()
        panel.wait()
        assert "cannot go back" in front.errors[0]
        assert [text for _, text in shown(panel)] == ["a", "One"]


def test_nothing_is_asked_again_while_a_reply_is_under_way() -> None:
    with opened(agent_of("word " * 1_000, pause=0.005)) as (panel, front):
        panel.send("a")
        wait_for(lambda: panel.messages)
        front.say("edit", id="m1", text="b")
        wait_for(lambda: front.errors)
        assert front.errors == ["A reply is under way: wait for it, or stop it."]
        # The front end takes it away when the reply has ended, by these words.
        assert f'"{front.errors[0]}"' in (STATIC / "panel.js").read_text()


def test_clear_forgets_and_can_be_undone() -> None:
    agent = agent_of("One")
    with opened(agent) as (panel, front):
        panel.send("a")
        panel.wait()
        before = panel.messages
        panel.clear()
        panel.wait()
        assert (panel.messages, front.mirror.messages, len(agent.model_context)) == ([], [], 0)
        panel.restore()
        panel.wait()
        assert panel.messages == front.mirror.messages == before
        assert len(agent.model_context) == 2


def test_an_agent_cleared_elsewhere_is_cleared_in_the_panel() -> None:
    agent = agent_of("One")
    with opened(agent) as (panel, front):
        panel.send("a")
        panel.wait()
        asyncio.run(agent.clear())
        wait_for(lambda: not panel.messages)
        panel.restore()
        wait_for(lambda: front.errors)
        assert front.errors == ["There is nothing to bring back."]


def test_variables_are_completed_and_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "panel_frame", pd.DataFrame({"a": [1, 2, 3]}), raising=False)
    monkeypatch.setattr(main, "panel_list", [1, 2], raising=False)
    monkeypatch.setattr(main, "panel_api_key", "sk-0123456789abcdef", raising=False)
    agent = agent_of("One")
    with opened(agent) as (panel, front):
        front.say("complete", request="c1", prefix="panel_")
        wait_for(lambda: front.of("completions"))
        assert front.of("completions")[0]["items"] == [
            {"name": "panel_frame", "type": "DataFrame 3 x 1"},
            {"name": "panel_list", "type": "list, 2"},
        ]
        front.say("send", text="Look", attach=["panel_frame"])
        wait_for(lambda: panel.value)
        [note] = panel.messages[0]["notes"]
        assert note.startswith("panel_frame: pandas DataFrame")
        assert "pandas DataFrame" in agent.client.requests[0][0].content[1]


NO_SUCH = "@nosuch: no such variable; sent as text"


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("What is @nosuch?", [NO_SUCH]),
        ("@nosuch.shape and (@nosuch), @nosuch.", [NO_SUCH]),
        ("Write to ada@nosuch.org or ada+x@nosuch, or @ nosuch", []),
        ("Install @nosuch/core", []),
        ("Why `@nosuch` and ``a`b @nosuch``?", []),
        ("```python\n@nosuch\ndef f(): ...\n```\nWhy?", []),
        ("~~~\n@nosuch\n", []),
        ("@property is a decorator", []),
        (" ".join(f"@no{n}" for n in range(9)), [f"@no{n}{NO_SUCH[7:]}" for n in range(5)]),
    ],
)
def test_a_name_that_the_kernel_does_not_have_is_noted(text: str, notes: list[str]) -> None:
    agent = agent_of("One", "Two")
    with opened(agent) as (panel, front):
        panel.send(text)
        panel.wait()
        assert panel.messages[0]["notes"] == notes
        panel.edit(panel.messages[0]["id"], f"{text} Again")
        panel.wait()
        assert panel.messages[0]["notes"] == front.mirror.messages[0]["notes"] == notes
        assert [request[-1].content for request in agent.client.requests] == [text, f"{text} Again"]


def test_a_variable_that_was_named_and_not_attached_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "panel_known", [1], raising=False)
    monkeypatch.setattr(main, "panel_other", [2], raising=False)
    monkeypatch.setattr(main, "panel_code", len, raising=False)
    said = "@panel_known, @panel_other, @panel_code, ada@panel_known and `@panel_known`"
    with opened(agent_of("One")) as (panel, _):
        panel.send(said, attach=["panel_other[0]"])
        panel.wait()
        sent = "@panel_known: sent as text; to attach it, type @ and choose it"
        assert [note for note in panel.messages[0]["notes"] if "sent" in note] == [sent]


def test_a_name_in_a_cell_is_no_attachment_and_not_noted() -> None:
    agent = agent_of("One")
    with opened(agent) as (panel, _):
        agent.ask_sync("What is @nosuch?")
        wait_for(lambda: panel.value)
        assert panel.messages[0]["notes"] == []


def test_a_variable_that_is_not_there_is_said_and_nothing_is_sent() -> None:
    agent = agent_of("One")
    with opened(agent) as (panel, front):
        front.say("send", text="Look", attach=["no_such_thing"], request="r1")
        panel.wait()
        [error] = front.of("error")
        assert error["request"] == "r1"
        assert error["text"].startswith("There is no variable no_such_thing")
        with pytest.raises(ConfigurationError, match="There is no variable no_such_thing"):
            panel.send("Look", attach=["no_such_thing"])
        assert agent.client.requests == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"text": "  "}, "There is nothing to send"),
        ({"text": "x" * 1_000_001}, "The text has 1,000,001 characters"),
        ({"text": "x", "images": ["data:image/png;base64," + "A" * 28_000_000]}, "21 MB"),
        ({"text": "x", "images": ["https://x.y/z.png"]}, "Only data:image"),
        ({"text": "x", "images": ["data:image/png;base64,AAAA"]}, "not a PNG"),
        ({"text": "x", "attach": ["a"] * 101}, "At most 100"),
    ],
    ids=["nothing", "text", "size", "address", "no image", "names"],
)
def test_what_a_panel_does_not_take_it_says(content: dict[str, Any], words: str) -> None:
    with opened(agent_of("One")) as (panel, front):
        front.say("send", request="r1", **content)
        wait_for(lambda: front.errors)
        assert words in front.errors[0]
        assert panel.messages == []


@pytest.mark.parametrize(
    "content",
    [
        None,
        3,
        "send",
        [],
        {},
        {"kind": "explode"},
        {"kind": "send"},
        {"kind": "send", "text": 3},
        {"kind": "send", "text": "x", "images": "no"},
        {"kind": "send", "text": "x", "attach": [{}]},
        {"kind": "approve", "call": "c1", "message": "m1", "allowed": "yes"},
        {"kind": ["send"], "text": "x"},
    ],
)
def test_what_is_no_message_is_ignored_with_a_line_in_the_log(
    content: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nbagents")
    with opened(agent_of("One")) as (panel, front):
        data = {"method": "custom", "content": content}
        panel._handle_msg({"content": {"data": data}, "buffers": []})
        front.say("whole")
        wait_for(lambda: front.of("whole"))
        assert (panel.messages, front.errors) == ([], [])
        assert "no message" in caplog.text


def test_the_front_end_changes_nothing_but_its_own_traits() -> None:
    with opened(agent_of("One")) as (panel, _):
        panel.set_state({"messages": [{"id": "x"}], "value": "x", "_esm": "x", "name": "x"})
        panel.set_state({"_view_module": "x", "_model_module": "x", "_anywidget_id": "x"})
        assert (panel.messages, panel.value, panel.name) == ([], "", "tutor")
        assert (panel._view_module, panel._model_module) == ("anywidget", "anywidget")


class Proxy:
    """Fetches what it stands for, as soon as somebody asks what it is."""

    fetched = False

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        type(self).fetched = True
        return int


def test_completing_a_name_asks_nothing_of_the_object() -> None:
    found = mentions("pro", {"proxy": Proxy()})
    assert found == [{"name": "proxy", "type": "Proxy"}]
    assert not Proxy.fetched


def test_two_calls_of_one_id_are_two_that_are_asked_for_one_by_one() -> None:
    ran: list[str] = []

    @tool(side_effects=True)
    def delete(path: str) -> str:
        """Delete a file."""
        ran.append(path)
        return "deleted"

    calls = [FunctionCall("c1", f'{{"path": "{path}"}}', "delete") for path in ("scratch", "home")]
    usage = RequestUsage(1, 1)
    both = CreateResult(finish_reason="function_calls", content=[*calls], usage=usage, cached=False)
    with opened(ChatAgent(ScriptedClient(both, "Done."), tools=[delete])) as (panel, _):
        panel.send("clean up")
        for path in ("scratch", "home"):
            wait_for(lambda path=path: any(path in call["arguments"] for call in asked_in(panel)))
            [call] = asked_in(panel)
            before = {"scratch": [], "home": ["scratch"]}[path]
            wait_for(lambda before=before: ran == before)
            panel.approve(call["id"])
        panel.wait()
        assert ran == ["scratch", "home"]
        calls_shown = [call for message in panel.messages for call in message["calls"]]
        assert [call["state"] for call in calls_shown] == ["done", "done"]


def asked_in(panel: ChatPanel) -> list[dict[str, Any]]:
    found = [call for message in panel.messages for call in message["calls"]]
    return [call for call in found if call["state"] == "asked"]


def calling(name: str, arguments: str) -> CreateResult:
    call = FunctionCall(id="c1", name=name, arguments=arguments)
    usage = RequestUsage(1, 1)
    return CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False)


def test_half_a_character_of_a_tool_or_a_prompt_can_be_sent_and_saved() -> None:
    half = "a\ud83db"
    say = FunctionTool(lambda: half, "Say it", name="say")
    replies = (calling("say", "{}"), half, half)
    with opened(agent_of(*replies, tools=[say], pause=0.1)) as (panel, front):
        run(panel.agent.ask(half))
        run(panel.agent.ask([half]))
        wait_for(lambda: not panel.busy)
        assert panel.messages[1]["calls"][0]["result"] == "a\ufffdb"
        assert [message["markdown"] for message in panel.messages[2:]] == ["a\ufffdb"] * 3
        json_packer(panel.messages)
        json_packer(saved_bundle(panel.messages))
        assert front.mirror.messages == panel.messages
        engine().call(panel.complain, half)
        wait_for(lambda: front.errors == ["a\ufffdb"])


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("identity", ["c1", "c2", "c3"])
def test_a_call_of_an_agent_that_is_a_tool_is_shown_as_what_it_is(
    identity: str, allowed: bool
) -> None:
    ran: list[str] = []
    usage = RequestUsage(1, 1)

    @tool(side_effects=True)
    def remove(path: str) -> str:
        """Remove a file."""
        ran.append(path)
        return "removed"

    @tool
    def read(path: str) -> str:
        """Read a file."""
        return path

    def asks(*calls: FunctionCall) -> CreateResult:
        return CreateResult(
            finish_reason="function_calls", content=[*calls], usage=usage, cached=False
        )

    inner = asks(FunctionCall(id=identity, name="remove", arguments='{"path": "home"}'))
    outer = asks(
        FunctionCall(id="c1", name="helper", arguments='{"prompt": "go"}'),
        FunctionCall(id="c2", name="read", arguments='{"path": "harmless"}'),
    )
    helper = ChatAgent(ScriptedClient(inner, "I did."), name="helper", tools=[remove])
    agent = agent_of(outer, "Done.", tools=[helper.as_tool(), read])
    with opened(agent) as (panel, _):
        panel.send("go")
        wait_for(lambda: asked_in(panel))
        [call] = asked_in(panel)
        assert (call["name"], json.loads(call["arguments"])) == ("remove", {"path": "home"})
        panel.approve(call["id"], allowed=allowed)
        panel.wait()
        assert ran == (["home"] if allowed else [])
        states = [call["state"] for message in panel.messages for call in message["calls"]]
        assert states == ["done", "done", "done" if allowed else "denied"]


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("pressed", [True, False])
def test_a_call_is_allowed_and_denied_by_the_panels_buttons_and_from_python(
    pressed: bool, allowed: bool
) -> None:
    ran: list[int] = []

    def add(a: int) -> int:
        """Add."""
        ran.append(a)
        return a

    tool = FunctionTool(add, "Add", side_effects=True)
    agent = agent_of(calling("add", '{"a": 1}'), "Done", tools=[tool])
    with opened(agent) as (panel, front):
        panel.send("go")
        wait_for(lambda: [c["state"] for m in panel.messages for c in m["calls"]] == ["asked"])
        assert ran == []
        if pressed:
            [asking] = [message["id"] for message in panel.messages if message["calls"]]
            front.say("approve", call="c1", message=asking, allowed=allowed)
        else:
            panel.approve("c1", allowed=allowed)
        wait_for(lambda: panel.value == "Done")
        [call] = [call for message in panel.messages for call in message["calls"]]
        assert (call["state"], ran) == (("done", [1]) if allowed else ("denied", []))
        assert call["is_error"] is False  # nothing has failed
        assert front.mirror.messages == panel.messages


def test_a_call_that_a_cells_turn_was_denied_is_denied_in_the_panel() -> None:
    def add(a: int) -> int:
        """Add."""
        return a

    tool = FunctionTool(add, "Add", side_effects=True)
    agent = agent_of(calling("add", '{"a": 1}'), "Done", tools=[tool], approve=False)
    with opened(agent) as (panel, _):
        agent.ask_sync("go")
        wait_for(lambda: panel.value == "Done")
        [call] = [call for message in panel.messages for call in message["calls"]]
        assert (call["state"], call["is_error"]) == ("denied", False)


def test_a_late_answer_to_a_call_is_none_to_a_later_call_of_the_same_id() -> None:
    ran = []

    def add(a: int) -> int:
        """Add."""
        ran.append(a)
        return a

    tool = FunctionTool(add, "Add", side_effects=True)
    asks = calling("add", '{"a": 1}'), calling("add", '{"a": 2}')
    agent = agent_of(asks[0], "Done", asks[1], "Done again", tools=[tool])
    with opened(agent) as (panel, front):
        panel.send("go")
        wait_for(lambda: [c["state"] for m in panel.messages for c in m["calls"]] == ["asked"])
        [first] = [message["id"] for message in panel.messages if message["calls"]]
        front.say("approve", call="c1", message=first, allowed=True)
        wait_for(lambda: panel.value == "Done")
        panel.send("again")
        wait_for(lambda: "asked" in [c["state"] for m in panel.messages for c in m["calls"]])
        front.say("approve", call="c1", message=first, allowed=True, request="late")
        wait_for(lambda: front.of("acknowledged"))
        assert ran == [1]
        panel.approve("c1")
        wait_for(lambda: panel.value == "Done again")
        assert ran == [1, 2]


def test_an_answer_that_nobody_waits_for_does_nothing() -> None:
    with opened(agent_of("One")) as (panel, front):
        front.say("approve", call="c9", message="m9", allowed=True, request="r1")
        wait_for(lambda: front.of("acknowledged"))
        assert front.errors == []
        assert panel.messages == []


def test_closing_a_panel_ends_what_it_has_asked_for() -> None:
    agent = agent_of("word " * 1_000, pause=0.005)
    panel = ChatPanel(agent)
    panel.send("go")
    wait_for(lambda: len(panel.messages) == 2)
    panel.close()
    wait_for(lambda: not agent.busy)
    assert agent.client.closed_streams == 1
    assert repr(panel) == "ChatPanel('tutor')"


def test_a_closed_panel_holds_the_conversation_no_longer() -> None:
    panel = ChatPanel(agent_of("One"))
    panel.send("a")
    panel.wait()
    dialogue = weakref.ref(panel._dialogue)
    panel.close()
    wait_for(lambda: not panel.messages)
    wait_for(lambda: gc.collect() >= 0 and not dialogue())
    assert panel._saved._messages == ()
    assert (panel.value, panel.result.text) == ("One", "One")


def test_nothing_holds_a_closed_panel() -> None:
    panel = ChatPanel(agent_of("One"))
    panel.send("a")
    panel.wait()
    panel.close()
    held = weakref.ref(panel)
    del panel
    wait_for(lambda: gc.collect() >= 0 and not held())


def test_a_program_with_a_panel_ends() -> None:
    script = (
        "import pandas\n"
        "from nbagents import ChatAgent\n"
        "from nbagents.models import OpenAIChatCompletionClient\n"
        "from nbagents.testing import LoopbackServer\n"
        "with LoopbackServer() as server:\n"
        "    client = OpenAIChatCompletionClient(\n"
        "        model='gpt-4o', base_url=server.base_url, api_key='x')\n"
        "    panel = ChatAgent(client).panel()\n"
        "    server.will_reply('One')\n"
        "    panel.send('a')\n"
        "    panel.wait()\n"
        "print(panel.value)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"One\n", b"")


def test_what_a_panel_cannot_do_is_an_error_of_who_asks_it() -> None:
    panel = ChatPanel(agent_of("One"))
    with pytest.raises(ConfigurationError, match="Nothing has been said in this panel yet"):
        panel.retry()
    panel.send("a")
    panel.wait(timeout=5)
    for act in (panel.retry, lambda name: panel.edit(name, "b")):
        with pytest.raises(ConfigurationError, match="no message 'zzz' in this panel"):
            act("zzz")
    with pytest.raises(ConfigurationError, match="no call 'zzz' in this panel"):
        panel.approve("zzz")
    panel.close()
    wait_for(lambda: panel.messages == [])
    asks = (panel.retry, lambda: panel.edit("m0", "b"), lambda: panel.approve("c0"))
    for late in (lambda: panel.send("b"), panel.clear, panel.restore, *asks):
        with pytest.raises(ConfigurationError, match="This panel is closed"):
            late()


def test_waiting_ends_in_time_though_nobody_approves_a_call() -> None:
    tool = FunctionTool(lambda: "done", "Do it", name="act", side_effects=True)
    with opened(agent_of(calling("act", "{}"), "Done", tools=[tool])) as (panel, _):
        panel.send("go")
        wait_for(lambda: asked_in(panel))
        with pytest.raises(TimeoutError, match=r"waits to be approved; .*panel\.approve\('c1'\)"):
            panel.wait(timeout=0.05)
        panel.approve("c1")
        panel.wait(timeout=5)
        assert panel.value == "Done"


def test_a_closed_panel_leaves_the_others_alone() -> None:
    agent = agent_of("One")
    with opened(agent) as (one, _):
        ChatPanel(agent).close()
        one.send("a")
        one.wait()
        assert one.value == "One"


def test_the_state_holds_the_conversation_and_no_key() -> None:
    canary = "sk-canary0123456789abcdef"
    client = OpenAIChatCompletionClient(
        model="gpt-4o", api_key=canary, base_url="https://secret.example/v1"
    )
    agent = ChatAgent(client, name="tutor", model_context=BufferedChatCompletionContext(3))
    with opened(agent) as (panel, _):
        state = repr(panel.get_state()) + repr(panel.get_manager_state(widgets=[panel]))
        assert canary not in state
        assert "secret.example" not in state
        assert set(panel.get_state()) - set(ipywidgets.DOMWidget().get_state()) == {
            "_anywidget_id",
            "_css",
            "_esm",
            "busy",
            "messages",
            "name",
            "totals",
        }


def test_the_bundle_shows_the_conversation_where_there_is_no_kernel() -> None:
    with opened(agent_of("**Yes** <script>alert(1)</script>")) as (panel, _):
        panel.send("a")
        panel.wait()
        data, _ = panel._repr_mimebundle_()
        assert set(data) == {
            "application/vnd.jupyter.widget-view+json",
            "text/html",
            "text/markdown",
            "text/plain",
        }
        assert "<strong>Yes</strong>" in data["text/html"]
        assert "<script" not in data["text/html"] + data["text/markdown"]
        assert data["text/html"].startswith('<div class="nbagents-saved">')
        assert data["text/plain"] == "ChatPanel('tutor')"


@pytest.mark.parametrize("failure", [None, ValueError("boom")])
def test_where_there_is_no_retry_button_none_is_spoken_of(failure: Exception | None) -> None:
    agent = agent_of(failure or "word " * 1_000, pause=0.005)
    with opened(agent) as (panel, _):
        panel.send("a")
        wait_for(lambda: len(panel.messages) == 2)
        panel.stop()
        panel.wait()
        data, _ = panel._repr_mimebundle_()
        [note] = panel.messages[-1]["notes"]
        assert note.endswith(". Retry asks again.")
        for kind in ("text/html", "text/markdown"):
            assert "Retry" not in data[kind]
        assert note.split()[0] in data["text/markdown"]


def test_nothing_in_how_a_panel_shows_itself_varies_from_run_to_run() -> None:
    shown: list[Any] = []
    for _ in range(2):
        with opened(agent_of("Yes")) as (panel, _):
            panel.send("a")
            panel.wait()
            data, _ = panel._repr_mimebundle_()
            del data["application/vnd.jupyter.widget-view+json"]
            shown.append((data, panel.messages, repr(panel)))
    assert shown[0] == shown[1]


def test_the_caps_are_those_that_the_page_says() -> None:
    assert (inbound.MAX_TEXT, inbound.MAX_IMAGES) == (1_000_000, 20_000_000)


def test_what_is_wrong_with_an_attachment_is_said_without_touching_what_was_typed():
    key = "columns of --with: t by -m, or so --with x"
    with pytest.raises(ConfigurationError) as missing:
        check_names([f"data[{key!r}]"], {"data": {}})
    assert key in str(missing.value)
    with pytest.raises(ConfigurationError, match=r"^There is no variable planet"):
        check_names(["planet"], {})
    with pytest.raises(ConfigurationError) as picture_only:
        attached(["shown"], {"shown": PIL.Image.new("L", (3, 2))}, vision=False)
    assert str(picture_only.value) == (
        "@shown is a picture, and the model reads none, so nothing was sent; "
        "choose a model with vision, or leave it out."
    )
