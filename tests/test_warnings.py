"""A warning is a UserWarning, and points at the user's line."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from nbagents.errors import ConfigurationError, DamagedFileWarning, NotKeptWarning
from nbagents.messages import UserMessage
from nbagents.models import (
    ChatCompletionCache,
    OpenAIChatCompletionClient,
    RecordingChatCompletionClient,
    ReplayChatCompletionClient,
    SQLiteStore,
)
from nbagents.usage import UsageLedger, UsageRecord
from nbagents.usage._file import LedgerFile
from tests.scripted import ScriptedClient

ASKED = [UserMessage(content="Hi", source="user")]
KEY = "sk-" + "a1B2" * 10


def test_the_warnings_are_no_errors_of_ours() -> None:
    for kind in (DamagedFileWarning, NotKeptWarning):
        assert kind.__bases__ == (UserWarning,)


def _damaged_cache(folder: Path) -> None:
    store = SQLiteStore[str](folder / "cache.sqlite")
    store.set("key", "value")
    store.close()
    data = (folder / "cache.sqlite").read_bytes()
    (folder / "cache.sqlite").write_bytes(data.replace(b"value\\", b"VALUE\\"))
    store.get("key")
    store.close()


def _ledger_without_room(folder: Path) -> None:
    ledger = UsageLedger()
    end = ledger.persist(folder / "usage.sqlite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LedgerFile, "append", _full)
        ledger.add(UsageRecord(model="m"))
    end()


def _full(*_: object) -> None:
    raise ConfigurationError("No room.")


async def _cache_without_room(_: Path) -> None:
    class Full(SQLiteStore[str]):
        def set(self, key: str, value: str) -> None:
            _full(key, value)

        def get(self, key: str, default: str | None = None) -> str | None:
            return default

    await ChatCompletionCache(ScriptedClient("Hi"), Full("x")).create(ASKED)


async def _recording_of_a_key(folder: Path) -> None:
    recording = RecordingChatCompletionClient(ScriptedClient(f"It is {KEY}."), folder / "t.jsonl")
    await recording.create(ASKED)


def _edited_cassette(folder: Path) -> None:
    path = folder / "tour.jsonl"
    asyncio.run(RecordingChatCompletionClient(ScriptedClient("Hi"), path).create(ASKED))
    path.write_bytes(path.read_bytes().replace(b'["Hi"]', b'["Ho"]'))
    ReplayChatCompletionClient.from_cassette(path)


def _unknown_model(_: Path) -> None:
    OpenAIChatCompletionClient(model="acme-of-the-warnings", api_key="none")


def _old_argument(_: Path) -> None:
    capabilities = {"vision": False, "function_calling": True, "json_output": True}
    OpenAIChatCompletionClient(model="acme", api_key="none", model_capabilities=capabilities)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cause",
    [
        _damaged_cache,
        _ledger_without_room,
        _cache_without_room,
        _recording_of_a_key,
        _edited_cassette,
        _unknown_model,
        _old_argument,
    ],
)
def test_a_warning_points_at_the_line_of_the_user(
    cause: Callable[[Path], Awaitable[None] | None], tmp_path: Path
) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        done: Any = cause(tmp_path)
        if done is not None:
            asyncio.run(done)
    code = cause.__code__
    lines = range(code.co_firstlineno, max(line or 0 for *_, line in code.co_lines()) + 1)
    assert [one.filename for one in told] == [__file__]
    assert told[0].lineno in lines
