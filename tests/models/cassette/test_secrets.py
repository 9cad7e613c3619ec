"""What must not stand in a cassette: keys in any form, headers, and where requests go."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from nbagents.errors import BadRequestError, ConfigurationError, IncompleteReplyError
from nbagents.messages import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    UserMessage,
)
from nbagents.models import OpenAIChatCompletionClient, RecordingChatCompletionClient
from nbagents.models._cassette.replies import without_host
from nbagents.testing import LoopbackServer, chunk, completion, error, stream

KEY = "sk-proj-Zx81cvBnm2345678qwertY"
OWN = "no-form-that-anybody-knows-41"
ESCAPED = "".join(f"\\u{ord(sign):04x}" for sign in KEY)
IN_BASE64 = base64.b64encode(KEY.encode()).decode()

FORMS = {
    "plain": KEY,
    "in a URL": f"https://example.org/?k={quote(KEY).replace('-', '%2D')}",
    "escaped in JSON": f'{{"k": "{ESCAPED}"}}',
    "base64": f"Basic {IN_BASE64}",
    "base64 of user and key": base64.b64encode(f"ada:{KEY}".encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(f"??>{KEY}".encode()).decode().rstrip("="),
    "a JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
    "the client's own": f"The key is {OWN}.",
    "the client's own, in base64": base64.b64encode(f"x{OWN}".encode()).decode(),
}


def say(text: str) -> list[Any]:
    return [UserMessage(content=text, source="user")]


def recording(server: LoopbackServer, path: Path, **settings: Any) -> RecordingChatCompletionClient:
    client = OpenAIChatCompletionClient(
        model="gpt-4.1-mini", base_url=server.base_url, api_key=OWN, max_retries=0, **settings
    )
    return RecordingChatCompletionClient(client, path)


def is_there(path: Path) -> bool:
    return path.exists()


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tour.jsonl"


@pytest.mark.parametrize("form", FORMS)
async def test_a_key_in_a_request_is_refused_before_it_is_sent(path: Path, form: str) -> None:
    call = FunctionCall(id="1", name="f", arguments=json.dumps({"a": [FORMS[form]]}))
    result = FunctionExecutionResult(content="done", name="f", call_id="1")
    histories: list[list[Any]] = [
        say(FORMS[form]),
        [
            *say("Go on"),
            AssistantMessage(content=[call], source="a"),
            FunctionExecutionResultMessage(content=[result]),
        ],
    ]
    with LoopbackServer() as server:
        for history in histories:
            with pytest.raises(ConfigurationError, match="holds what looks like a key"):
                await recording(server, path).create(history)
        assert server.requests == []
    assert not is_there(path)


async def test_a_key_as_the_name_of_something_is_a_key_too(path: Path) -> None:
    schema = {"name": "f", "parameters": {"type": "object", "properties": {KEY: {}}}}
    with LoopbackServer() as server:
        with pytest.raises(ConfigurationError, match="looks like a key"):
            await recording(server, path).create(say("Hi"), tools=[schema])
        assert server.requests == []


async def test_what_is_called_a_password_is_one(path: Path) -> None:
    extra = {"extra_body": {"plugin": {"api_key": "hunter2"}}}
    asks = {"password": {"type": "string"}}
    schema = {"name": "f", "parameters": {"type": "object", "properties": asks}}
    with LoopbackServer() as server:
        client = recording(server, path)
        with pytest.raises(ConfigurationError, match="looks like a key"):
            await client.create(say("Hi"), extra_create_args=extra)
        await client.create(say("Hi"), tools=[schema])  # to ask for one is no secret
    assert client.recorded == 1


@pytest.mark.filterwarnings("ignore:The reply is not recorded")
@pytest.mark.parametrize("form", FORMS)
async def test_a_key_in_a_reply_is_not_written(path: Path, form: str) -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": json.dumps({"a": FORMS[form]})}}
    half = len(FORMS[form]) // 2
    with LoopbackServer() as server:
        client = recording(server, path)
        server.will_reply(
            completion(FORMS[form]),
            stream(chunk(FORMS[form][:half]), chunk(FORMS[form][half:], "stop")),
            stream(chunk(tool_calls=[{"index": 0, **call}]), chunk(None, "tool_calls")),
        )
        await client.create(say("whole"))
        for text in ("in pieces", "as a call"):
            async for _ in client.create_stream(say(text)):
                pass
    # The client's own it masks itself, before anybody sees the reply.
    assert client.recorded == (3 if "own" in form else 0)
    kept = text_of(path) if is_there(path) else ""
    for word in FORMS[form].split():
        assert len(word) < 12 or word not in kept


@pytest.mark.filterwarnings("ignore:The reply is not recorded")
async def test_no_error_brings_a_key_or_the_server_into_the_file(path: Path) -> None:
    with LoopbackServer() as server:
        where = server.base_url
        server.will_reply(
            error(400, f"Key {OWN} may not ask {where}/chat, says {where}."),
            stream(chunk("Half a "), done=False),
            stream(chunk("Half "), chunk("of it"), done=False).but(ending="reset"),
        )
        client = recording(server, path, default_headers={"x-team": "team-seven"})
        said = []
        for text in "abc":
            with pytest.raises((BadRequestError, IncompleteReplyError, ConnectionError)) as caught:
                async for _ in client.create_stream(say(text)):
                    pass
            said.append(str(caught.value))
        kept = text_of(path)
    for secret in (OWN, "127.0.0.1", str(server.port), "http", "team-seven"):
        assert secret not in kept
    assert said[0].startswith("The server answered 400: Key *** may not ask the server")
    assert client.recorded >= 2


@pytest.mark.parametrize(
    ("text", "endpoint", "expected"),
    [
        ("a.b:80 answered 400: No.", "http://a.b:80/v1", "The server answered 400: No."),
        ("Check base_url (https://u:p@a.b/v1/); most", "https://a.b/v1/", "Check base_url "
         "(https://u:p@the server); most"),
        ("Ask a.b, not x.a.b or a.bc.", "https://a.b", "Ask the server, not x.a.b or a.bc."),
        ("See http://a.b:81/v1/x.", "http://a.b:80", "See the server."),
        ("It is at localhost:1.", "http://localhost:1", "It is at the server."),
        ("Nothing known.", "", "Nothing known."),
    ],
)  # fmt: skip
def test_a_failure_does_not_name_its_server(text: str, endpoint: str, expected: str) -> None:
    assert without_host(text, endpoint) == expected


@pytest.mark.parametrize(
    "harmless",
    [
        "sha256:" + "0f" * 32,
        "The commit 4a010e57d9f8c1b2a3948576e0f1a2b3c4d5e6f7 fixes it.",
        "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB" * 3,
        "sk-learn and sk-image are scikit's; task-oriented-dialogue-systems-2024 is none",
        "/usr/share/a/very/long/path/of/many/parts/to/a/file/that/is/no/secret/at/all",
        "é" * 300,
    ],
)
async def test_what_only_looks_long_is_recorded(path: Path, harmless: str) -> None:
    with LoopbackServer() as server:
        client = recording(server, path)
        await client.create(say(harmless))
    assert client.recorded == 1
