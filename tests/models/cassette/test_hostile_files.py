"""Cassettes that people, git, disks and strangers have been at: told, never a raw exception."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagents.errors import (
    BadRequestError,
    ConfigurationError,
    DamagedFileWarning,
    NbAgentsError,
    QuotaExceededError,
)
from nbagents.messages import CreateResult, UserMessage
from nbagents.models import RecordingChatCompletionClient, ReplayChatCompletionClient
from nbagents.models._cassette.lines import Record
from nbagents.models._cassette.replies import can_be_played, error_in
from tests.scripted import ScriptedClient

SAID = {"one": "First.", "two": "Second.", "three": "Third."}


def say(text: str) -> list[UserMessage]:
    return [UserMessage(content=text, source="user")]


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A cassette with three replies and a failure."""
    path = tmp_path / "tour.jsonl"
    replies: list[Any] = [*SAID.values(), BadRequestError("No.", status=400)]
    recording = RecordingChatCompletionClient(ScriptedClient(*replies), path)
    for text in SAID:
        await recording.create(say(text))
    with pytest.raises(BadRequestError):
        await recording.create(say("four"))
    return path


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def spoil(path: Path, change: Callable[[bytes], bytes]) -> None:
    before = path.read_bytes()
    assert change(before) != before
    path.write_bytes(change(before))


async def reply_in(path: Path, text: str) -> str:
    return (await ReplayChatCompletionClient.from_cassette(path).create(say(text))).text


async def replayed(path: Path) -> tuple[dict[str, str], list[str]]:
    """What is replayed of it, and what was told; anything but our errors gets out."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        client = ReplayChatCompletionClient.from_cassette(path)
        said = {}
        for text in (*SAID, "four"):
            try:
                result: CreateResult = await client.create(say(text))
                said[text] = result.text
            except NbAgentsError as error:
                said[text] = type(error).__name__
    assert all(issubclass(each.category, DamagedFileWarning) for each in told)
    return said, [str(each.message) for each in told]


WHOLE = {**SAID, "four": "BadRequestError"}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\n\n") + b"\n  \n",
        lambda data: data.rstrip(b"\n"),
    ],
    ids=["as git on Windows ends lines", "a byte order mark", "empty lines", "no last newline"],
)
async def test_what_editors_and_git_do_to_files_does_no_harm(path: Path, change: Any) -> None:
    spoil(path, change)
    assert await replayed(path) == (WHOLE, [])
    adding = RecordingChatCompletionClient(ScriptedClient("Fifth."), path, mode="auto")
    await adding.create(say("five"))
    client = ReplayChatCompletionClient.from_cassette(path)
    assert (await client.create(say("five"))).text == "Fifth."


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'{"text": ["Second."]', b'<<<<<<< HEAD\n{"text": ["Second."]', "merge conflict"),
        (b'{"text": ["Second."]', b'=======\n{"text": ["Second."]', "merge conflict"),
        (b'["Second."]', b'["Sec\xffond."]', "not UTF-8"),
        (b'["Second."]', b'["Second."', "not a JSON object"),
        (b'["Second."]', b'"Second."', "a list of texts"),
        (b'["Second."]', b"[5]", "a list of texts"),
        (b'["Second."]', b"[" * 100_000, "nested too deeply"),
        (b'["Second."]', b"[" * 150 + b"]" * 150, "nested too deeply"),
        (b'["Second."]', b"9" * 5_000, "digits"),
        (b'["Second."], "after": [', b'["Second."], "after": [-1, ', "a list of seconds"),
        (b'["Second."], "after": [', b'["Second."], "after": [NaN, ', "a list of seconds"),
        (b'["Second."], "after": [', b'["Second."], "after": [1e999, ', "a list of seconds"),
        (b'{"text": ["Second."]', b'{"said": ["Second."]', "has to have one of"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else value,
)
async def test_a_line_that_cannot_be_used_is_told_and_costs_its_record_alone(
    path: Path, old: bytes, new: bytes, why: str
) -> None:
    spoil(path, lambda data: data.replace(old, new))
    said, told = await replayed(path)
    assert said == {**WHOLE, "two": "CassetteMissError"}
    [message] = told
    number = bytes_of(path).partition(new)[0].count(b"\n") + 1
    assert f"Line {number} of the cassette {path} cannot be trusted: " in message
    assert why in message
    assert "\n" not in message
    assert len(message) < 500
    assert "Correct it, or delete the record and record it again" in message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"finish_reason": "stop"', b'"finish_reason": ["stop"]'),
        (b'"finish_reason": "stop"', b'"finish_reason": "stop", "content": {}'),
        (b'"finish_reason": "stop"', b'"finish_reason": "stop", "content": [{"id": 1}]'),
        (
            b'"finish_reason": "stop"',
            b'"finish_reason": "stop", "content": [{"id": 1, "name": "a", "arguments": "{}"}]',
        ),
        (
            b'"finish_reason": "stop"',
            b'"finish_reason": "stop", "content": [{"id": "1", "name": "a", "arguments": null}]',
        ),
        (b'"prompt_tokens": ', b'"prompt_tokens": "many", "x": '),
        (b'"usage": ', b'"usage": null, "x": '),
        (b'"type": "BadRequestError"', b'"type": 7'),
        (b'"type": "BadRequestError"', b'"type": "BadRequestError", "usage": 3'),
        (b'"type": "BadRequestError"', b'"type": "BadRequestError", "partial": []'),
        (b'"message": {"content": "two"', b'"message": {"content": {"two": 2}'),
        (b'"message": {"content": "two"', b'"message": {"tool_calls": [1], "content": "two"'),
        (b'"message": {"content": "two"', b'"message": 5, "x": {"content": "two"'),
        (b'{"request": {', b'{"request": {"messages": 5, '),
        (b'{"request": {', b'{"request": [], "x": {'),
    ],
    ids=lambda value: value.decode(),
)
async def test_a_value_of_another_type_is_told(path: Path, old: bytes, new: bytes) -> None:
    """Though whoever changed it took the checksum away."""

    def change(data: bytes) -> bytes:
        lines = [json.loads(line) for line in data.replace(old, new).splitlines()]
        for line in lines:
            line.pop("crc", None)
        return b"\n".join(json.dumps(line).encode() for line in lines)

    spoil(path, change)
    try:
        said, told = await replayed(path)
    except ConfigurationError as error:
        said, told = {}, [str(error)]
    assert said != WHOLE
    assert told or {"ConfigurationError", "CassetteMissError"} & {*said.values()}


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ("5", "a list"),
        ('"times"', "a list"),
        ('["never"]', "no rule 'never'"),
        ('[{"replace": "(", "with": "x"}]', "is none"),
        ('[{"replace": "x", "with": "\\\\2"}]', "is none"),
        ('[{"replace": "x", "with": 5}]', "is none"),
        ("[[]]", "is none"),
    ],
)
async def test_rules_that_are_none_are_told(path: Path, rules: str, why: str) -> None:
    spoil(path, lambda data: data.replace(b'["addresses"]', rules.encode()))
    with pytest.warns(DamagedFileWarning, match=why):
        ReplayChatCompletionClient.from_cassette(path)


async def test_a_header_need_not_have_rules(path: Path) -> None:
    spoil(path, lambda data: data.replace(b', "rules": ["addresses"]', b""))
    assert await replayed(path) == (WHOLE, [])


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\x00" * 1_000, b"[]\n", b"\xff\xfe{\x00}\x00", b"PK\x03\x04", b'"a"\n' * 9],
    ids=repr,
)
async def test_what_is_no_cassette_at_all_is_told(path: Path, content: bytes) -> None:
    spoil(path, lambda _: content)
    if not content.strip():  # nothing recorded yet
        assert set((await replayed(path))[0].values()) == {"CassetteMissError"}
        return
    with pytest.raises(ConfigurationError, match=r"tour\.jsonl is no cassette"):
        ReplayChatCompletionClient.from_cassette(path)


async def test_a_line_of_many_megabytes_is_read(path: Path) -> None:
    long = "x" * 20_000_000
    spoil(path, lambda data: data.replace(b"Second.", long.encode()))
    said, told = await replayed(path)
    assert said == {**WHOLE, "two": long}
    assert "was changed since it was recorded" in told[0]


async def test_bytes_that_flip_never_get_out_as_somebody_elses_error(path: Path) -> None:
    whole, chance = bytes_of(path), random.Random(5)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 20])):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        write(path, data)
        try:
            said, told = await replayed(path)
        except ConfigurationError:
            continue
        # What is replayed is what was recorded, or it is told.
        assert told or said == WHOLE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_json_in_any_place_is_taken_or_told(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "tour.jsonl"
    lines: list[Any] = [json.loads(line) for line in _EXAMPLE.splitlines()]
    line = data.draw(st.sampled_from(lines))
    place = line
    while isinstance(place, dict) and place and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict | list):
            break
        place = place[name]
    value = data.draw(JSON)
    if isinstance(place, list):
        place[:] = [value]
    elif place:
        place[data.draw(st.sampled_from(sorted(place)))] = value
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    try:
        said, _ = asyncio.run(replayed(path))
    except ConfigurationError:
        return
    assert set(said) == {*SAID, "four"}


_EXAMPLE = """\
{"nbagents_cassette": 1, "rules": ["addresses", {"replace": "a", "with": "b"}]}
{"default": {"asked": "", "provider": "openai", "model": "m", "reason": "m (as recorded)"}}
{"request": {"model": "m", "temperature": 0}}
{"tool": {"function": {"name": "f", "parameters": {"type": "object"}}, "type": "function"}}
{"message": {"content": "two", "role": "user", "tool_calls": [{"id": "1", "function": {}}]}}
{"reasoning": ["Hm."], "after": [0.5]}
{"text": ["Second."], "after": [0.5]}
{"result": {"finish_reason": "stop", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}}
{"request": {"model": "m"}}
{"message": {"content": "four", "name": "user", "role": "user"}}
{"error": {"type": "BadRequestError", "message": "No.", "status": 400}}
"""


@pytest.mark.parametrize(
    "change",
    [
        {"usage": {"prompt_tokens": -1_000_000, "completion_tokens": 0}},
        {"usage": {"prompt_tokens": 10**400, "completion_tokens": 0}},
        {"latency": -5},
        {"latency": "inf"},
    ],
)
def test_what_no_server_can_have_reported_is_no_reply(change: dict[str, Any]) -> None:
    details = {"usage": {"prompt_tokens": 1, "completion_tokens": 1}, "finish_reason": "stop"}
    assert can_be_played(Record({}, (), "result", details | {"content": "hi"}))
    assert not can_be_played(Record({}, (), "result", details | {"content": "hi"} | change))


def test_a_failure_that_says_half_a_character_can_be_shown() -> None:
    details = {"type": "ServerError", "message": "a\ud83d"}
    assert str(error_in(Record({}, (), "error", details))) == "a\ufffd"


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "UTF-16", "NUL", "loop"])
async def test_what_is_no_file_or_no_utf_8_is_told_at_once(path: Path, kind: str) -> None:
    place = path.with_name("other.jsonl")
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "NUL":
        place = path.with_name("nul\0.jsonl")
    elif kind == "loop":
        place.symlink_to(place)
    elif kind == "device":
        place.symlink_to(os.devnull)
    else:
        write(place, bytes_of(path).decode().encode("utf-16"))
    said = {
        "UTF-16": "written in UTF-16; save it as UTF-8",
        "NUL": "null byte",
        "loop": "symbolic links",
    }.get(kind, "it is not a file")
    for mode in ("replay", "auto", "record"):
        with pytest.raises(ConfigurationError, match=said):
            RecordingChatCompletionClient(ScriptedClient(), place, mode=mode)  # type: ignore[arg-type]


async def test_through_a_link_the_file_itself_is_recorded_into(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.jsonl"
    link.parent.mkdir()
    link.symlink_to(path)
    for mode in ("auto", "record"):
        recording = RecordingChatCompletionClient(ScriptedClient("new"), link, mode=mode)  # type: ignore[arg-type]
        await recording.create(say(mode))
        assert link.is_symlink()
        assert await reply_in(path, mode) == "new"


def test_a_new_recording_is_for_the_same_readers_and_written_through_no_link(
    path: Path, tmp_path: Path
) -> None:
    path.chmod(0o600)
    elsewhere = tmp_path / "elsewhere"
    path.with_name(f"{path.name}.{os.getpid()}.new").symlink_to(elsewhere)
    recording = RecordingChatCompletionClient(ScriptedClient("new"), path)
    asyncio.run(recording.create(say("hi")))
    assert not elsewhere.exists()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_git_made_of_the_ends_of_lines_is_replayed_and_recorded_into(path: Path) -> None:
    spoil(path, lambda data: data.replace(b"\n", b"\r\n"))
    assert await replayed(path) == (WHOLE, [])
    recording = RecordingChatCompletionClient(ScriptedClient("Fifth."), path, mode="auto")
    await recording.create(say("five"))
    assert await replayed(path) == (WHOLE, [])
    assert await reply_in(path, "five") == "Fifth."


async def test_what_is_asked_before_it_is_paid_for_makes_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "far" / "away.jsonl"
    recording = RecordingChatCompletionClient(
        ScriptedClient(BadRequestError("No."), QuotaExceededError("Empty."), "yes"), path
    )
    recording._direct._deck.check_writable()
    with pytest.raises(BadRequestError):
        await RecordingChatCompletionClient(
            ScriptedClient(BadRequestError("No.")), path, mode="live"
        ).create(say("Hi"))
    assert not path.parent.exists()
    (tmp_path / "far").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"far is not a folder\. Choose another file"):
        await recording.create(say("Hi"))


async def test_the_error_that_is_raised_is_left_as_it_is(tmp_path: Path) -> None:
    error = BadRequestError("http://model.example/v1 says no.", status=400, request_id="r-1")
    error.__cause__ = cause = ValueError("the library's")
    client = ScriptedClient(error)
    client.endpoint = "http://model.example/v1"  # type: ignore[attr-defined]
    recording = RecordingChatCompletionClient(client, tmp_path / "tour.jsonl")
    with pytest.raises(BadRequestError, match=r"^The server says no\.$") as raised:
        await recording.create(say("Hi"))
    assert str(error) == "http://model.example/v1 says no."
    assert (raised.value.status, raised.value.request_id) == (400, "r-1")
    assert raised.value.__cause__ is cause


async def test_half_of_a_record_that_is_being_written_is_waited_for(path: Path) -> None:
    whole = bytes_of(path)
    with ThreadPoolExecutor(1) as pool, path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(len(whole) - 50)
        reading = pool.submit(ReplayChatCompletionClient.from_cassette, path)
        with pytest.raises(TimeoutError):
            reading.result(timeout=0.1)
        file.seek(len(whole) - 50)
        file.write(whole[-50:])
        file.flush()
        fcntl.flock(file, fcntl.LOCK_UN)
        client = reading.result()
    assert (await client.create(say("three"))).content == SAID["three"]
