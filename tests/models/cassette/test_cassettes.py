"""Recorded once, replayed for ever: from real requests to a loopback server and back."""

from __future__ import annotations

import asyncio
import errno
import json
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from nbagents.errors import (
    BadRequestError,
    CassetteMissError,
    ConfigurationError,
    DamagedFileWarning,
    IncompleteReplyError,
    NotKeptWarning,
    RateLimitError,
)
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    StreamChunk,
    UserMessage,
)
from nbagents.models import (
    ChatCompletionCache,
    OpenAIChatCompletionClient,
    RecordingChatCompletionClient,
    ReplayChatCompletionClient,
    resolve,
)
from nbagents.models._cassette.file import begin_anew
from nbagents.models._cassette.rules import DEFAULT_RULES
from nbagents.models._cassette.switch import eject
from nbagents.models._cassette.tape import encode_header
from nbagents.testing import LoopbackServer, chunk, error, stream
from nbagents.usage import ledger
from tests.scripted import ScriptedClient


@pytest.fixture(autouse=True)
def _no_cassette_left() -> Iterator[None]:
    yield
    eject()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "tour.jsonl"


def say(text: str) -> list[UserMessage]:
    return [UserMessage(content=text, source="user")]


def client_of(server: LoopbackServer, **settings: Any) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(
        model="gpt-4.1-mini", base_url=server.base_url, api_key="a-key", max_retries=0, **settings
    )


def replay(path: Path, **settings: Any) -> ReplayChatCompletionClient:
    return ReplayChatCompletionClient.from_cassette(path, **settings)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(text_of(path)), encoding="utf-8")


def without_checksums(text: str) -> str:
    return re.sub(r', "crc": "\w+"', "", text)


def is_there(path: Path) -> bool:
    return path.exists()


async def collect(client: Any, messages: Any, **arguments: Any) -> list[Any]:
    return [event async for event in client.create_stream(messages, **arguments)]


def told(events: list[Any]) -> list[tuple[str, str]]:
    return [(str(e), e.kind) for e in events if isinstance(e, StreamChunk)]


async def test_a_stream_is_replayed_chunk_by_chunk_with_an_equal_result(path: Path) -> None:
    with LoopbackServer() as server:
        server.will_reply(
            stream(
                chunk(reasoning_content="Hm. "), chunk("Hel"), chunk("lo\u2028"), chunk("!", "stop")
            )
        )
        live = await collect(RecordingChatCompletionClient(client_of(server), path), say("Hi"))
    again = await collect(replay(path), say("Hi"))
    assert told(again) == told(live)
    assert [kind for _, kind in told(again)] == ["reasoning", "text", "text", "text"]
    assert again[-1].model_dump(exclude={"latency", "time_to_first_token"}) == live[-1].model_dump(
        exclude={"latency", "time_to_first_token"}
    )


async def test_streamed_and_whole_requests_replay_each_other(path: Path) -> None:
    with LoopbackServer() as server:
        server.will_reply("Streamed once.", "Whole once.")
        recording = RecordingChatCompletionClient(client_of(server), path)
        await collect(recording, say("one"))
        await recording.create(say("two"))
    assert (await replay(path).create(say("one"))).content == "Streamed once."
    *chunks, result = await collect(replay(path), say("two"))
    assert "".join(chunks) == result.content == "Whole once."


async def test_the_same_request_gets_its_first_reply_first_and_its_second_second(
    path: Path,
) -> None:
    with LoopbackServer() as server:
        server.will_reply("heads", "other", "tails")
        recording = RecordingChatCompletionClient(client_of(server), path)
        for text in ("toss", "else", "toss"):
            await recording.create(say(text))
    client = replay(path)
    replies = [(await client.create(say("toss"))).text for _ in range(4)]
    assert replies == ["heads", "tails", "heads", "tails"]


async def test_fifty_replays_in_any_order_and_at_once_give_the_same(path: Path) -> None:
    with LoopbackServer() as server:
        recording = RecordingChatCompletionClient(client_of(server), path)
        asked = [f"question {number}" for number in range(5)]
        live = {text: (await recording.create(say(text))).text for text in asked}
    client = replay(path)
    for turn in range(50):
        order = asked[turn % 5 :] + asked[: turn % 5]
        results = await asyncio.gather(*(client.create(say(text)) for text in order))
        assert {text: result.text for text, result in zip(order, results, strict=True)} == live


async def test_tool_calls_are_replayed_and_their_ids_make_no_difference(path: Path) -> None:
    call = {"index": 0, "id": "call_live", "function": {"name": "add", "arguments": '{"a": 1}'}}
    schema = {"name": "add", "parameters": {"type": "object", "properties": {"a": {}}}}
    other = {"name": "more", "parameters": {"type": "object", "properties": {}}}

    def round_two(name: str) -> list[Any]:
        return [
            *say("1 + 1?"),
            AssistantMessage(
                content=[FunctionCall(id=name, name="add", arguments='{"a": 1}')], source="a"
            ),
            FunctionExecutionResultMessage(
                content=[FunctionExecutionResult(content="2", name="add", call_id=name)]
            ),
        ]

    with LoopbackServer() as server:
        server.will_reply(stream(chunk(tool_calls=[call]), chunk(None, "tool_calls")), "It is 2.")
        recording = RecordingChatCompletionClient(client_of(server), path)
        first = await collect(recording, say("1 + 1?"), tools=[schema, other])
        await recording.create(round_two("call_live"), tools=[schema, other])
    client = replay(path)
    again = await client.create(say("1 + 1?"), tools=[other, schema])
    assert again.content == first[-1].content
    assert (await client.create(round_two("call_77"), tools=[schema, other])).text == "It is 2."


class Place(BaseModel):
    name: str


async def test_what_json_output_asked_for_is_parsed_again(path: Path) -> None:
    with LoopbackServer() as server:
        server.will_reply('{"name": "Ulm"}')
        recording = RecordingChatCompletionClient(client_of(server), path)
        await recording.create(say("Where?"), json_output=Place)
    client = replay(path)
    assert (await client.create(say("Where?"), json_output=Place)).parsed == Place(name="Ulm")
    with pytest.raises(CassetteMissError, match="response_format"):
        await client.create(say("Where?"))


async def test_failures_come_again_as_they_were(path: Path) -> None:
    with LoopbackServer() as server:
        server.will_reply(
            error(429, "Slow down", headers={"retry-after": "3", "x-request-id": "r1"}),
            error(400, "No such thing", param="seed"),
            stream(chunk("Half a "), done=False),
        )
        recording = RecordingChatCompletionClient(client_of(server), path)
        live = []
        for text in ("a", "b", "c"):
            with pytest.raises((RateLimitError, BadRequestError, IncompleteReplyError)) as caught:
                await collect(recording, say(text))
            live.append(caught.value)
    client = replay(path)
    for text, before in zip("abc", live, strict=True):
        with pytest.raises(type(before)) as caught:
            await collect(client, say(text))
        assert str(caught.value) == str(before)
        assert vars(caught.value) == vars(before)


async def test_a_server_that_is_not_reached_or_does_not_know_the_key_is_not_recorded(
    path: Path,
) -> None:
    with LoopbackServer() as server:
        server.will_reply(error(401, "Incorrect API key provided"))
        recording = RecordingChatCompletionClient(client_of(server), path, mode="auto")
        with pytest.raises(Exception, match="401"):
            await recording.create(say("Hi"))
    with pytest.raises(ConnectionError):
        await recording.create(say("Hi"))
    assert recording.recorded == 0
    assert not is_there(path)


async def test_a_stream_that_was_left_is_replayed_as_far_as_it_was_read(path: Path) -> None:
    with LoopbackServer() as server:
        server.will_reply(stream(chunk("one "), chunk("two "), 0.05, chunk("three", "stop")))
        events = RecordingChatCompletionClient(client_of(server), path).create_stream(say("Count"))
        assert [await anext(events), await anext(events)] == ["one ", "two "]
        await events.aclose()
    again = replay(path).create_stream(say("Count"))
    assert [await anext(again), await anext(again)] == ["one ", "two "]
    with pytest.raises(IncompleteReplyError, match="not read to its end"):
        await anext(again)


async def test_a_miss_shows_what_differs_from_the_nearest_and_the_command_that_records_it(
    path: Path,
) -> None:
    with LoopbackServer() as server:
        recording = RecordingChatCompletionClient(client_of(server), path)
        await recording.create(say("Something else entirely"))
        await recording.create(say("Explain the Fourier transform\nin one sentence."))
    asked = say("Explain the Fourier transform\nin two sentences.")
    before = len(ledger)
    with pytest.raises(CassetteMissError) as caught:
        await replay(path).create(asked, extra_create_args={"temperature": 0})
    assert str(caught.value).splitlines() == [
        f"This request is not in the cassette {path}, and was not sent. It differs from the "
        "nearest recorded one (- recorded, + asked):",
        "   model: gpt-4.1-mini",
        "  +temperature: 0",
        "   user: Explain the Fourier transform",
        "  -    in one sentence.",
        "  +    in two sentences.",
        "       name: user",
        "To record it, run with NBAGENTS_MODE=auto (in a notebook: %cassette tour.jsonl --mode "
        "auto; with pytest: --nbagents-record), with a key set where the model needs one.",
    ]
    assert len(ledger) == before


async def test_a_cassette_that_is_not_there_says_so(path: Path) -> None:
    with pytest.raises(CassetteMissError, match=r"tour\.jsonl does not exist"):
        await replay(path).create(say("Hi"))


async def test_a_cassette_below_the_working_folder_is_named_from_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parents[1])
    with pytest.raises(CassetteMissError, match=r"^The cassette cassettes.tour\.jsonl does not"):
        await replay(path).create(say("Hi"))


async def test_a_place_that_cannot_be_written_is_told_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    in_the_way = tmp_path / "file"
    live = ScriptedClient("Hello")
    recording = RecordingChatCompletionClient(live, in_the_way / "tour.jsonl")
    in_the_way.touch()
    with pytest.raises(ConfigurationError, match=r"tour\.jsonl cannot be written"):
        await recording.create(say("Hi"))
    assert live.requests == []


async def test_what_the_model_does_not_see_makes_no_difference(path: Path) -> None:
    with LoopbackServer() as server:
        live = client_of(server, temperature=0.0, user="ada", metadata={"run": "1"})
        await RecordingChatCompletionClient(live, path).create(say("Hi"))
        again = client_of(server, temperature=0, user="bob", timeout=5, default_headers={"x": "y"})
        assert (await replay(path, client=again).create(say("Hi"))).finish_reason == "stop"
        warmer = client_of(server, temperature=0.5)
        with pytest.raises(CassetteMissError):
            await replay(path, client=warmer).create(say("Hi"))
        assert len(server.requests) == 1


async def test_rules_in_the_header_make_what_varies_equal(path: Path) -> None:
    rules = ["times", "paths", "ids", {"replace": r"run \d+", "with": "run N"}]
    varying = "At {} in {} run {} of {}"
    with LoopbackServer() as server:
        recording = RecordingChatCompletionClient(client_of(server), path, rules=rules)
        await recording.create(
            say(varying.format("2026-01-02T03:04:05Z", "/home/ada/x.csv", 7, "deadbeef01234567"))
        )
    said = varying.format("2031-11-12 13:14", "/srv/bob/y/x.csv", 12, "00112233445566778899")
    assert (await replay(path).create(say(said))).finish_reason == "stop"
    assert "/home/ada" not in text_of(path)
    with pytest.raises(CassetteMissError):
        await replay(path).create(say(said.replace("x.csv", "z.csv")))


async def test_addresses_of_objects_are_not_compared_unless_a_rule_says_otherwise(
    path: Path,
) -> None:
    with LoopbackServer() as server:
        recording = RecordingChatCompletionClient(client_of(server), path)
        await recording.create(say("What is <Plot object at 0x7f00aa11bb22>?"))
    again = say("What is <Plot object at 0x7f99cc33dd44>?")
    assert (await replay(path).create(again)).finish_reason == "stop"


@pytest.mark.parametrize("rule", ["dates", {"replace": "("}, {"with": "x"}, 7])
def test_a_rule_that_is_none_is_refused(path: Path, rule: Any) -> None:
    with pytest.raises(ConfigurationError, match="rule"):
        RecordingChatCompletionClient(ScriptedClient(), path, rules=[rule])


async def test_no_key_no_header_and_no_host_is_written(path: Path) -> None:
    with LoopbackServer() as server:
        live = client_of(server, default_headers={"x-team": "secret-team"})
        await collect(RecordingChatCompletionClient(live, path), say("Hi"))
        text = text_of(path)
        for secret in ("a-key", "secret-team", "127.0.0.1", str(server.port)):
            assert secret not in text


async def test_a_key_in_a_prompt_is_refused_before_anything_is_sent(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_PASSWORD", "correct-horse")
    with LoopbackServer() as server:
        recording = RecordingChatCompletionClient(client_of(server), path)
        for text in ("sk-proj-abcdefgh12345678", "Say correct-horse twice"):
            with pytest.raises(ConfigurationError, match="looks like a key"):
                await recording.create(say(text))
        assert server.requests == []


async def test_a_key_in_a_reply_is_not_written_though_it_came_in_pieces(path: Path) -> None:
    with LoopbackServer() as server:
        server.will_reply(stream(chunk("sk-proj-abcd"), chunk("efgh12345678", "stop")))
        recording = RecordingChatCompletionClient(client_of(server), path)
        with pytest.warns(NotKeptWarning, match="looks like a key"):
            events = await collect(recording, say("Hi"))
    assert events[-1].content == "sk-proj-abcdefgh12345678"
    assert not is_there(path)


async def test_the_file_is_lines_of_json_to_read_and_to_edit(path: Path) -> None:
    with LoopbackServer() as server:
        server.will_reply("Grüß Gott")
        await collect(RecordingChatCompletionClient(client_of(server), path), say("Hi"))
    lines = text_of(path).splitlines()
    assert [next(iter(json.loads(line))) for line in lines] == [
        "nbagents_cassette", "request", "message", "text", "result",
    ]  # fmt: skip
    assert '["Grüß ", "Gott"]' in lines[3]
    edit(path, lambda text: text.replace("Gott", "Dich"))
    with pytest.warns(DamagedFileWarning, match="Line 2 .* delete its .crc"):
        replay(path)
    edit(path, without_checksums)
    assert (await replay(path).create(say("Hi"))).content == "Grüß Dich"


async def test_a_new_recording_replaces_the_old_one_and_auto_adds_to_it(path: Path) -> None:
    with LoopbackServer() as server:
        for text in ("old", "new"):
            await RecordingChatCompletionClient(client_of(server), path).create(say(text))
        with pytest.raises(CassetteMissError):
            await replay(path).create(say("old"))
        adding = RecordingChatCompletionClient(client_of(server), path, mode="auto")
        for text in ("new", "newer"):
            await adding.create(say(text))
        assert (adding.recorded, len(server.requests)) == (1, 3)
    for text in ("new", "newer"):
        await replay(path).create(say(text))


async def test_what_a_killed_process_left_unfinished_is_told_and_cut_off(path: Path) -> None:
    live = ScriptedClient("one", "two")
    await RecordingChatCompletionClient(live, path).create(say("kept"))
    edit(path, lambda text: text + '{"request": {"model": "m"}}\n{"text": ["ha')
    with pytest.warns(DamagedFileWarning, match="has no end|not a JSON object"):
        recording = RecordingChatCompletionClient(live, path, mode="auto")
    with pytest.warns(DamagedFileWarning, match="unfinished.* cut off"):
        await recording.create(say("later"))
    for text in ("kept", "later"):
        assert (await replay(path).create(say(text))).finish_reason == "stop"


async def test_a_header_that_was_cut_anywhere_is_told_and_written_anew(path: Path) -> None:
    live = ScriptedClient("one", *["two"] * 99)
    await RecordingChatCompletionClient(live, path).create(say("kept"))
    header = encode_header(DEFAULT_RULES).decode().strip()
    for end in range(1, len(header)):
        edit(path, lambda _, end=end: header[:end])
        with pytest.warns(DamagedFileWarning, match="the header was not finished"):
            recording = RecordingChatCompletionClient(live, path, mode="auto")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedFileWarning)
            await recording.create(say("later"))
        assert (await replay(path).create(say("later"))).content == "two"


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda text: text.replace('{"message"', '{"message', 1), "Line 3 .* not a JSON object"),
        (lambda text: text.replace('"text"', '"texts"', 1), "Line 4 .* has to have one of"),
        (lambda text: text.replace('"finish_reason"', '"finished"', 1), "Line 2 .* was changed"),
        (lambda text: text.replace("nbagents_cassette", "something"), "Line 1 .* not the header"),
    ],
)
async def test_a_spoilt_line_is_told_and_costs_no_other_record(
    path: Path, spoilt: Any, said: str
) -> None:
    live = ScriptedClient("one", "two")
    for text in ("Hi", "Ho"):
        await RecordingChatCompletionClient(live, path, mode="auto").create(say(text))
    edit(path, spoilt)
    with pytest.warns(DamagedFileWarning, match=said):
        client = replay(path)
    assert (await client.create(say("Ho"))).content == "two"


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda text: text.replace('"finish_reason"', '"finished"'), "line 2 .* finish_reason"),
        (lambda text: text.replace("nbagents_cassette", "something"), "no cassette"),
        (lambda text: text.replace('"nbagents_cassette": 1', '"nbagents_cassette": 9'), "reads"),
    ],
)
async def test_a_file_that_was_edited_wrongly_is_refused(
    path: Path, spoilt: Any, said: str
) -> None:
    await RecordingChatCompletionClient(ScriptedClient("one"), path).create(say("Hi"))
    edit(path, lambda text: spoilt(without_checksums(text)))
    with pytest.raises(ConfigurationError, match=said):
        await replay(path).create(say("Hi"))


async def test_a_reply_that_cannot_be_written_is_given_and_written_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    recording = RecordingChatCompletionClient(ScriptedClient("one", "two"), path, mode="auto")
    monkeypatch.setattr("os.write", full)
    with pytest.warns(NotKeptWarning, match="No space left"):
        assert (await recording.create(say("Hi"))).content == "one"
    monkeypatch.undo()
    await recording.create(say("Ho"))
    assert [(await replay(path).create(say(text))).content for text in ("Hi", "Ho")] == [
        "one", "two",
    ]  # fmt: skip


async def test_replays_are_instant_and_as_slow_as_they_were_on_demand(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoopbackServer() as server:
        server.will_reply(stream(chunk("a"), 0.3, chunk("b", "stop")))
        await collect(RecordingChatCompletionClient(client_of(server), path), say("Hi"))
    waited: list[float] = []
    usual = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await usual(seconds)

    monkeypatch.setattr("nbagents.models._cassette.client.asyncio.sleep", sleep)
    await collect(replay(path), say("Hi"))
    assert sum(waited) == 0
    await collect(replay(path, real_time=True), say("Hi"))
    assert sum(waited) > 0.2


async def test_a_cassette_of_a_foreign_client_is_as_good(path: Path) -> None:
    await RecordingChatCompletionClient(ScriptedClient("Hello there"), path).create(say("Hi"))
    assert (await replay(path).create(say("Hi"))).content == "Hello there"


async def test_the_environment_puts_every_client_through_the_cassette_and_no_key_is_needed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBAGENTS_CASSETTE", str(path))
    with LoopbackServer() as server:
        server.will_reply("Recorded.")
        live = client_of(server)
        first = await live.create(say("Hi"))
        assert await live.create(say("Hi")) != first  # auto: asked once more, it is asked anew
    monkeypatch.setenv("NBAGENTS_MODE", "replay")
    keyless = OpenAIChatCompletionClient(model="gpt-4.1-mini")
    assert (await keyless.create(say("Hi"))).content == "Recorded."
    assert keyless.total_usage() == first.usage
    with pytest.raises(CassetteMissError):
        await keyless.create(say("Ho"))
    monkeypatch.setenv("NBAGENTS_MODE", "auto")
    with pytest.raises(ConfigurationError, match="There is no API key"):
        await keyless.create(say("Ho"))
    monkeypatch.delenv("NBAGENTS_CASSETTE")
    with pytest.raises(ConfigurationError, match="There is no API key"):
        OpenAIChatCompletionClient(model="gpt-4.1-mini")


async def test_the_ledger_of_a_replay_is_that_of_the_recording(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBAGENTS_CASSETTE", str(path))
    with LoopbackServer() as server:
        await client_of(server).create(say("Hi"))
    monkeypatch.setenv("NBAGENTS_MODE", "replay")
    await OpenAIChatCompletionClient(model="gpt-4.1-mini").create(say("Hi"))
    live, again = (
        (row.model, row.prompt_tokens, row.completion_tokens, row.cost, row.status)
        for row in ledger.records[-2:]
    )
    assert again == live


async def test_a_mode_that_is_none_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBAGENTS_CASSETTE", str(path))
    monkeypatch.setenv("NBAGENTS_MODE", "repaly")
    with pytest.raises(ConfigurationError, match="'repaly'; it can be live, record, replay, auto"):
        OpenAIChatCompletionClient(model="gpt-4.1-mini")


async def test_prepared_replies_need_no_cassette_and_the_embedded_model_none_either(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBAGENTS_CASSETTE", str(path))
    monkeypatch.setenv("NBAGENTS_MODE", "replay")
    assert (await ReplayChatCompletionClient(["ready"]).create(say("Hi"))).content == "ready"
    cached = ChatCompletionCache(ReplayChatCompletionClient(["ready"]))
    assert [(await cached.create(say("Hi"))).content for _ in range(2)] == ["ready", "ready"]
    assert isinstance(await resolve("embedded").client().create(say("Hi")), CreateResult)


async def test_where_no_model_is_named_a_replay_has_the_one_of_the_recording(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBAGENTS_CASSETTE", str(path))
    with LoopbackServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_MODEL", "gpt-4.1-nano")
        assert resolve().model == "gpt-4.1-nano"
        await resolve().client().create(say("Hi"))
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.delenv("OPENAI_MODEL")
    monkeypatch.setenv("NBAGENTS_MODE", "replay")
    assert (resolve().provider, resolve().model) == ("openai", "gpt-4.1-nano")
    assert isinstance(await resolve().client().create(say("Hi")), CreateResult)
    assert "127.0.0.1" not in text_of(path)


@pytest.mark.parametrize("model", [None, "gpt-4o"])
async def test_where_a_cassette_has_nothing_no_other_model_replies(
    path: Path, monkeypatch: pytest.MonkeyPatch, model: str | None
) -> None:
    monkeypatch.setenv("NBAGENTS_CASSETTE", str(path))
    monkeypatch.setenv("NBAGENTS_MODE", "replay")
    monkeypatch.setenv("NBAGENTS_PROBE", "0")
    with pytest.raises(CassetteMissError, match=r"tour\.jsonl does not exist"):
        await resolve(model).client().create(say("Hi"))
    assert resolve("embedded").provider == "embedded"
    if model is None:  # nobody has named the file
        monkeypatch.setenv("NBAGENTS_CASSETTE_IF_THERE", "1")
        assert resolve().provider == "embedded"
    begin_anew(path, b'{"nbagents_cassette": 1}\n')
    eject()
    with pytest.raises(CassetteMissError, match=r"tour\.jsonl has no requests yet"):
        await resolve(model).client().create(say("Hi"))
