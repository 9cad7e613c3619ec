"""The cache: the same request is paid for once, and what comes from it is marked."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from nbagents.errors import ConfigurationError, NotKeptWarning, RateLimitError
from nbagents.messages import CreateResult, StreamChunk, UserMessage
from nbagents.models import (
    CacheStore,
    ChatCompletionCache,
    ChatCompletionClient,
    InMemoryStore,
    OpenAIChatCompletionClient,
    SQLiteStore,
)
from nbagents.testing import LoopbackServer, chunk, error, stream
from nbagents.usage import ledger
from tests.scripted import ScriptedClient

HI = [UserMessage(content="Hi", source="user")]
TOOL = {"name": "add", "parameters": {"type": "object", "properties": {}}}


def client_of(server: LoopbackServer, **settings: Any) -> OpenAIChatCompletionClient:
    given = {"model": "gpt-4.1-mini", "api_key": "x", "max_retries": 0, **settings}
    return OpenAIChatCompletionClient(base_url=server.base_url, **given)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CacheStore[str]:
    return InMemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "cache.sqlite")


def test_it_is_a_client_like_all_others() -> None:
    assert isinstance(ChatCompletionCache(ScriptedClient()), ChatCompletionClient)


async def test_a_hit_is_marked_costs_nothing_and_leaves_the_first_result_alone(
    store: CacheStore[str],
) -> None:
    with LoopbackServer() as server:
        server.will_reply("Once.")
        cache = ChatCompletionCache(client_of(server), store)
        before = len(ledger)
        first = await cache.create(HI)
        second = await cache.create(HI)
        assert len(server.requests) == 1
    assert (first.content, first.cached) == ("Once.", False)
    assert (second.content, second.cached, second.usage) == ("Once.", True, first.usage)
    paid, hit = ledger.records[before:]
    assert paid.cost is not None
    assert (paid.cost > 0, hit.cost) == (True, 0.0)
    assert cache.actual_usage() == first.usage
    assert cache.total_usage() == first.usage + first.usage


async def test_streams_and_whole_replies_answer_each_other(store: CacheStore[str]) -> None:
    with LoopbackServer() as server:
        server.will_reply(
            stream(chunk(reasoning_content="Hm."), chunk("One "), chunk("two.", "stop"))
        )
        cache = ChatCompletionCache(client_of(server), store)
        live = [event async for event in cache.create_stream(HI)]
        again = [event async for event in cache.create_stream(HI)]
        whole = await cache.create(HI)
        assert len(server.requests) == 1
    assert [(str(e), e.kind) for e in again if isinstance(e, StreamChunk)] == [
        ("Hm.", "reasoning"), ("One ", "text"), ("two.", "text"),
    ]  # fmt: skip
    assert again[:-1] == live[:-1]
    assert isinstance(again[-1], CreateResult)
    assert again[-1] == whole
    assert whole.cached


@pytest.mark.parametrize(
    "other",
    [
        {"tool_choice": "required"},
        {"json_output": True},
        {"extra_create_args": {"temperature": 1}},
        {"tools": []},
    ],
)
async def test_another_request_is_asked_anew(other: dict[str, Any]) -> None:
    with LoopbackServer() as server:
        server.will_reply('"one"', '"two"')
        cache = ChatCompletionCache(client_of(server))
        await cache.create(HI, tools=[TOOL])
        assert not (await cache.create(HI, **{"tools": [TOOL], **other})).cached
        assert len(server.requests) == 2


async def test_another_model_server_or_default_argument_is_another_key() -> None:
    store: InMemoryStore[str] = InMemoryStore()
    with LoopbackServer() as one, LoopbackServer() as two:
        for client in (
            client_of(one),
            client_of(one, model="gpt-4.1-nano"),
            client_of(one, temperature=0.5),
            client_of(two),
        ):
            assert not (await ChatCompletionCache(client, store).create(HI)).cached
        assert (await ChatCompletionCache(client_of(two), store).create(HI)).cached
        assert (len(one.requests), len(two.requests)) == (3, 1)


async def test_failures_and_streams_that_were_left_are_not_kept(store: CacheStore[str]) -> None:
    with LoopbackServer() as server:
        server.will_reply(error(429), stream(chunk("never "), chunk("read", "stop")), "At last.")
        cache = ChatCompletionCache(client_of(server), store)
        with pytest.raises(RateLimitError):
            await cache.create(HI)
        events = cache.create_stream(HI)
        await anext(events)
        await events.aclose()
        assert (await cache.create(HI)).content == "At last."


class Place(BaseModel):
    name: str


async def test_what_was_asked_for_as_json_is_parsed_from_the_cache(
    store: CacheStore[str],
) -> None:
    with LoopbackServer() as server:
        server.will_reply('{"name": "Ulm"}')
        cache = ChatCompletionCache(client_of(server), store)
        await cache.create(HI, json_output=Place)
        assert (await cache.create(HI, json_output=Place)).parsed == Place(name="Ulm")


async def test_a_value_that_is_none_of_ours_is_asked_anew() -> None:
    class Spoilt(InMemoryStore[str]):
        def get(self, key: str, default: str | None = None) -> str | None:
            return "{}" if key in self.store else default

    cache = ChatCompletionCache(ScriptedClient("one", "two"), Spoilt())
    assert [(await cache.create(HI)).content for _ in range(2)] == ["one", "two"]


@pytest.mark.parametrize("way", ["create", "create_stream"])
async def test_a_reply_that_cannot_be_kept_is_given_all_the_same(way: str) -> None:
    class Full(InMemoryStore[str]):
        def set(self, key: str, value: str) -> None:
            raise OSError(f"no room for {key[:0]}it")

    cache = ChatCompletionCache(ScriptedClient("one"), Full())
    with pytest.warns(NotKeptWarning, match=r"The reply is not kept in the cache\. no room for it"):
        result = await _result_of(cache, way)
    assert result.content == "one"


async def _result_of(client: ChatCompletionCache, way: str) -> Any:
    if way == "create":
        return await client.create(HI)
    return [event async for event in client.create_stream(HI)][-1]


def test_a_store_gives_what_it_was_given_and_else_the_default(store: CacheStore[str]) -> None:
    assert (store.get("a"), store.get("a", "b")) == (None, "b")
    store.set("a", "1")
    store.set("a", "2")
    assert store.get("a") == "2"


WRITER = """
import sys
from nbagents.models import SQLiteStore
store = SQLiteStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    store.set(f"{sys.argv[2]}-{number}", "x" * 1000)
    if number == 20:
        print("some", flush=True)
print("all", flush=True)
sys.stdin.readline()
"""


def _writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_file_is_shared_by_processes_that_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    writers = [_writer(path, name, 100) for name in "abc"]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.communicate("go\n\n", timeout=300)[0] == "some\nall\n"
        assert writer.returncode == 0
    assert len(SQLiteStore(path)) == 300


def test_what_was_written_stands_when_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    writer = _writer(path, "a", 1_000_000)
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()
    assert [writer.stdout.readline() for _ in range(2)] == ["ready\n", "some\n"]
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    store: SQLiteStore[str] = SQLiteStore(path)
    assert store.get("a-20") == "x" * 1000
    store.set("b", "later")
    assert store.get("b") == "later"


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database " * 100, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"notes\.txt cannot be used"):
        SQLiteStore(path).get("a")


_TABLE = "CREATE TABLE cache (id TEXT PRIMARY KEY, value TEXT, crc INTEGER) WITHOUT ROWID"
_ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"


@pytest.mark.parametrize(
    "statements",
    [
        [
            f"CREATE VIEW cache AS {_ENDLESS} "
            "SELECT x AS id, x AS value, x AS crc FROM n WHERE x < 0"
        ],
        [_TABLE, "CREATE TRIGGER t AFTER INSERT ON cache BEGIN DELETE FROM cache; END"],
        ["CREATE TABLE cache (id TEXT PRIMARY KEY, value TEXT CHECK (value > 'x'), crc INTEGER)"],
        ["CREATE VIRTUAL TABLE cache USING fts5(id, value, crc)"],
    ],
    ids=["view", "trigger", "check", "virtual"],
)
def test_a_file_with_sql_of_others_is_not_used(tmp_path: Path, statements: list[str]) -> None:
    path = tmp_path / "cache.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="something other than the table"):
        SQLiteStore(path).get("a")
    assert path.read_bytes()[100:] == before[100:]


@pytest.mark.parametrize(
    "kept",
    [
        "[" * 100_000,
        '{"pieces": [[5, "text"]], "result": {}}',
        '{"pieces": [], "result": {}}',
        '{"pieces": [["a", "text"]], "result": {"usage": {}, "finish_reason": "?"}}',
    ],
)
async def test_what_is_kept_and_no_reply_is_asked_for_anew(kept: str) -> None:
    class Store(InMemoryStore[str]):
        def get(self, key: str, default: str | None = None) -> str | None:
            return kept

    client = ChatCompletionCache(ScriptedClient("live"), Store())
    result = await client.create([UserMessage(content="hi", source="ada")])
    assert result.content == "live"


async def test_threads_and_tasks_may_use_a_file_at_once(tmp_path: Path) -> None:
    store: SQLiteStore[str] = SQLiteStore(tmp_path / "cache.sqlite")
    keys = [str(number) for number in range(50)]
    await asyncio.gather(*(asyncio.to_thread(store.set, key, key) for key in keys))
    assert [store.get(key) for key in keys] == keys
    store.clear()
    assert len(store) == 0


@pytest.mark.parametrize("stored", ["[" * 10**6, "{", 5, None])
def test_what_was_never_set_in_a_file_is_not_there(tmp_path: Path, stored: object) -> None:
    store = SQLiteStore[str](tmp_path / "cache.sqlite")
    store._database.put([("key", stored)])
    assert store.get("key", "nothing") == "nothing"
    store.close()
