"""A client shows its key to nobody but the server."""

from __future__ import annotations

import asyncio
import base64
import copy
import logging
import pickle
import time
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import openai
import pytest
from packaging.version import Version

from nbagents.agents import ChatAgent
from nbagents.errors import AuthenticationError, ConfigurationError, NbAgentsError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models import Limits, resolve
from nbagents.models._azure import AzureOpenAIChatCompletionClient
from nbagents.models._openai import OpenAIChatCompletionClient
from nbagents.models._scrubbing import family
from nbagents.models._wrappers import use
from tests.support import Request, Server, answer, completion

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
KEY = "open-sesame-1234"
OLD_SDK = Version(openai.__version__) < Version("3.54")


def seen_in(thing: Any, depth: int = 6) -> str:
    """What whoever walks through attributes, mappings and lists gets to see."""
    said = repr(thing)
    if depth == 0:
        return said
    inside: list[Any] = []
    if isinstance(thing, dict):
        inside += [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set):
        inside += thing
    elif hasattr(thing, "__dict__") and not isinstance(thing, type):
        inside += vars(thing).values()
    return " ".join([said, *(seen_in(part, depth - 1) for part in inside)])


def clients() -> list[Any]:
    headers = {"Authorization": f"Bearer {KEY}"}
    azure: dict[str, Any] = {
        "model": "gpt-4o",
        "azure_endpoint": "https://mine.openai.azure.com",
        "api_version": "2024-10-21",
    }
    return [
        OpenAIChatCompletionClient(model="gpt-4o", api_key=KEY),
        OpenAIChatCompletionClient(model="gpt-4o", default_headers=headers),
        AzureOpenAIChatCompletionClient(**azure, api_key=KEY),
        AzureOpenAIChatCompletionClient(**azure, azure_ad_token=KEY),
    ]


@pytest.mark.parametrize("client", clients(), ids=["key", "headers", "azure_key", "azure_token"])
class TestHidden:
    def test_it_is_in_no_attribute(self, client: Any) -> None:
        assert KEY not in seen_in(client)

    def test_it_is_in_no_attribute_of_a_copy(self, client: Any) -> None:
        assert KEY not in seen_in(copy.copy(client))
        assert KEY not in seen_in(copy.deepcopy(client))

    def test_it_is_not_pickled(self, client: Any) -> None:
        with pytest.raises(ConfigurationError, match="environment variable"):
            pickle.dumps(client)


def test_it_is_in_no_attribute_after_a_request_either() -> None:
    async def ask(client: OpenAIChatCompletionClient) -> str:
        await client.create(HI)
        return seen_in(client)

    with Server(answer(200, completion())) as server:
        client = OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url, max_retries=0
        )
        assert KEY not in asyncio.run(ask(client))


async def test_a_copy_works() -> None:
    with Server(answer(200, completion())) as server:
        client = OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url, temperature=0.5
        )
        async with copy.deepcopy(client) as twin:
            assert (await twin.create(HI)).content == "Hello world"
        request = server.requests[0]
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["temperature"] == 0.5


def test_a_key_of_the_environment_is_pickled_as_the_variables_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    saved = pickle.dumps(OpenAIChatCompletionClient(model="gpt-4o", temperature=0.5))
    assert KEY.encode() not in saved
    monkeypatch.setenv("OPENAI_API_KEY", "another-key-5678")
    loaded = pickle.loads(saved)
    assert loaded._settings["api_key"].reveal() == "another-key-5678"
    assert loaded._settings["temperature"] == 0.5
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY, which is not set here"):
        pickle.loads(saved)


async def sent_after(client: Any, server: Server, monkeypatch: Any, **variables: str) -> str:
    """How a client signs in after these variables were set."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    await client.create(HI)
    headers = server.requests[-1].headers
    return headers.get("authorization") or headers["api-key"]


async def sent_to_azure_after(monkeypatch: Any, **variables: str) -> str:
    """How a client of Azure's signs in that was made before these variables were set."""
    with Server(answer(200, completion())) as server:
        azure: dict[str, Any] = {"azure_endpoint": server.url, "api_version": "1"}
        async with AzureOpenAIChatCompletionClient(model="gpt-4o", **azure) as client:
            return await sent_after(client, server, monkeypatch, **variables)


class TestAKeyThatIsSetAnew:
    """`os.environ["OPENAI_API_KEY"] = ...` in a cell is for the agents of earlier cells, too."""

    @pytest.fixture(autouse=True)
    def _set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "wrong-key-1234")
        monkeypatch.delenv("OPENAI_BASE_URL", raising=False)

    async def test_is_sent_with_the_next_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Server(answer(401, {"error": "No."}), answer(200, completion())) as server:
            async with OpenAIChatCompletionClient(
                model="gpt-4o", base_url=server.base_url
            ) as client:
                agent = ChatAgent(client)
                with pytest.raises(AuthenticationError, match="the key in OPENAI_API_KEY"):
                    await agent.ask("hi")
                monkeypatch.setenv("OPENAI_API_KEY", "right-key-5678")
                await agent.ask("hi")
        sent = [request.headers["authorization"] for request in server.requests]
        assert sent == ["Bearer wrong-key-1234", "Bearer right-key-5678"]
        assert server.connections == 1

    async def test_does_not_replace_one_that_was_given(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Server(answer(200, completion())) as server:
            async with OpenAIChatCompletionClient(
                model="gpt-4o", base_url=server.base_url, api_key=KEY
            ) as client:
                right = {"OPENAI_API_KEY": "right-key-5678"}
                assert await sent_after(client, server, monkeypatch, **right) == f"Bearer {KEY}"

    async def test_with_another_server_is_for_that_server_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Server(answer(200, completion())) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            async with OpenAIChatCompletionClient(model="gpt-4o") as client:
                other = {
                    "OPENAI_BASE_URL": "https://other.example/v1",
                    "OPENAI_API_KEY": "key-of-the-other-5678",
                }
                sent = await sent_after(client, server, monkeypatch, **other)
        assert sent == "Bearer wrong-key-1234"

    async def test_is_masked_as_the_former_one_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = "wrong-key-1234 right-key-5678"
        with Server(answer(400, {"error": {"message": said}})) as server:
            async with OpenAIChatCompletionClient(
                model="gpt-4o", base_url=server.base_url
            ) as client:
                monkeypatch.setenv("OPENAI_API_KEY", "right-key-5678")
                with pytest.raises(NbAgentsError) as caught:
                    await client.create(HI)
                assert "key-" not in everything_in(caught.value)
                monkeypatch.setenv("OPENAI_API_KEY", "right key")
                with pytest.raises(ConfigurationError, match="from OPENAI_API_KEY holds white"):
                    await client.create(HI)
        assert len(server.requests) == 1

    async def test_counts_for_azure_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "wrong-key-1234")
        right = {"AZURE_OPENAI_API_KEY": "right-key-5678"}
        assert await sent_to_azure_after(monkeypatch, **right) == "right-key-5678"

    @pytest.mark.skipif(OLD_SDK, reason="the SDK itself reads the variable, once")
    async def test_so_does_a_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "old-token-1234")
        new = {"AZURE_OPENAI_AD_TOKEN": "new-token-5678"}
        assert await sent_to_azure_after(monkeypatch, **new) == "Bearer new-token-5678"


def test_a_client_says_its_model() -> None:
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key=KEY)
    assert repr(client) == "OpenAIChatCompletionClient(model='gpt-4o')"


GIVEN: dict[str, dict[str, Any]] = {
    "query": {"default_query": {"key": KEY, "api-version": "1"}},
    "extra_headers": {"extra_headers": {"X-Gateway-Token": KEY}},
    "extra_query": {"extra_query": {"sig": KEY}},
    "userinfo": {"base_url": f"https://ada:{KEY}@models.example/v1"},
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN.keys())
class TestBesideTheKey:
    def test_it_is_in_no_attribute_or_pickle(self, given: dict[str, Any]) -> None:
        client = OpenAIChatCompletionClient(model="gpt-4o", api_key="another-key-5678", **given)
        for each in (client, copy.copy(client), copy.deepcopy(client)):
            assert KEY not in seen_in(each)
        with pytest.raises(ConfigurationError, match="is not pickled"):
            pickle.dumps(client)

    def test_it_is_in_no_attribute_of_a_resolution(self, given: dict[str, Any]) -> None:
        assert KEY not in seen_in(resolve("gpt-4o", **{"base_url": "http://localhost", **given}))


async def _echoed(**given: Any) -> tuple[Any, Server]:
    """What a server that repeats the whole request makes of it."""
    with Server(_echo) as server:
        url = server.base_url.replace("//", f"//{given.pop('user', '')}")
        client = OpenAIChatCompletionClient(
            **{"model": "gpt-4o", "api_key": KEY, "base_url": url, "max_retries": 0, **given}
        )
        with pytest.raises(NbAgentsError) as caught:
            async with client:
                await client.create(HI)
    return caught.value, server


async def _echo(request: Request, writer: Any) -> None:
    said = f"{request.path} {request.headers} {request.raw!r}"
    await answer(400, {"error": {"message": said, "seen": [said]}}, **{"x-echo": said})(
        request, writer
    )


async def test_user_and_password_in_the_address_are_sent_as_a_header_and_masked() -> None:
    error, server = await _echoed(user=f"ada:{quote('pass/' + KEY, safe='')}@", api_key=None)
    letters = base64.b64encode(f"ada:pass/{KEY}".encode()).decode()
    assert server.requests[0].headers["authorization"] == f"Basic {letters}"
    for form in (KEY, letters, letters[8:-8]):
        assert form not in everything_in(error)
    assert "ada" not in error.__cause__.request.url.netloc.decode()


@pytest.mark.parametrize(
    "given",
    [
        {"default_query": {"key": "pass-word-98765"}},
        {"default_headers": {"X-Api-Key": "pass-word-98765"}},
        {"extra_headers": {"X-Session-Token": "pass-word-98765"}},
        {"extra_query": {"token": "pass-word-98765"}},
    ],
    ids=lambda given: next(iter(given)),
)
async def test_a_credential_given_in_any_way_is_masked_where_a_server_echoes_it(
    given: dict[str, Any],
) -> None:
    error, server = await _echoed(**given)
    sent = f"{server.requests[0].path} {server.requests[0].headers}"
    assert "pass-word-98765" in sent
    seen = everything_in(error)
    assert "pass-word-98765" not in seen
    assert KEY not in seen


async def test_the_password_of_a_proxy_is_masked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = base64.b64encode(b"ada:proxy-word-98765").decode()

    async def echo(_: Request, writer: asyncio.StreamWriter) -> None:
        await answer(407, f"You sent {letters}: proxy-word-98765")(_, writer)

    with Server(echo) as server:
        monkeypatch.delenv("NBAGENTS_REQUESTS")  # the proxy is here, whatever it is asked for
        monkeypatch.setenv("HTTP_PROXY", f"http://ada:proxy-word-98765@127.0.0.1:{server.port}")
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url="http://far.test/v1", max_retries=0
        ) as client:
            with pytest.raises(NbAgentsError) as caught:
                await client.create(HI)
    seen = everything_in(caught.value)
    assert "You sent ***: ***" in seen
    for form in ("proxy-word-98765", letters):
        assert form not in seen


@pytest.mark.parametrize("address", ["http://ada:proxy-word/98765@there:1", "ada:proxy-word@x/y@z"])
async def test_the_password_of_a_proxy_is_masked_where_its_address_is_none(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    async with OpenAIChatCompletionClient(model="gpt-4o", api_key=KEY, max_retries=0) as client:
        with pytest.raises(NbAgentsError) as caught:
            await client.create(HI)
    assert "proxy-word" not in everything_in(caught.value)


async def test_what_a_server_would_have_kept_for_it_is_not_kept() -> None:
    cookie = answer(200, completion(), **{"set-cookie": f"session={KEY}"})
    with Server(cookie) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url
        ) as client:
            for _ in range(2):
                await client.create(HI)
            (home,) = client._direct._connections._of_loop.values()
            assert not list(home.client._client.cookies.jar)
        assert not [request for request in server.requests if "cookie" in request.headers]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_a_request_that_is_interrupted_leaves_no_credential_in_its_frames(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As IPython in a terminal does with ``await``: whatever runs at that moment is interrupted."""

    async def interrupted(*_: object, **__: object) -> bytes:
        raise error

    monkeypatch.setattr("nbagents.models._network._Stream.read", interrupted)
    with Server(answer(200, completion())) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url
        ) as client:
            with pytest.raises(error) as caught:
                await client.create(HI)
    left = [
        frame.f_code.co_name
        for frame, _ in traceback.walk_tb(caught.tb)
        if "site-packages" in frame.f_code.co_filename and frame.f_locals
    ]
    assert left == []


LONG_KEY = "a-key-of-mine/98765"


@pytest.mark.parametrize(
    "given",
    [
        {"user": LONG_KEY},
        {"metadata": {"note": f"with {LONG_KEY}"}},
        {"metadata": {LONG_KEY: "note"}},
        {"stop": ["end", LONG_KEY]},
        {"extra_body": {"notes": [{"said": LONG_KEY}]}},
    ],
    ids=str,
)
async def test_our_key_among_the_arguments_of_a_call_is_masked_before_anybody_sees_them(
    given: dict[str, Any],
) -> None:
    asked: list[Any] = []

    class Curious:
        """Sees what wrappers, cassettes and the frames of a traceback see."""

        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        async def create(self, messages: Any, **arguments: Any) -> Any:
            asked.append(arguments)
            return await self._client.create(messages, **arguments)

    with Server(answer(200, completion())) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=LONG_KEY, base_url=server.base_url, **given
        ) as client:
            remove = use(Curious)
            try:
                await client.create(HI, extra_create_args={**given, "temperature": 0.5})
            finally:
                remove()
    assert LONG_KEY not in seen_in(asked)
    assert LONG_KEY not in seen_in(client)
    assert LONG_KEY.encode() not in server.requests[0].raw
    assert "***" in str(server.requests[0].body)
    assert server.requests[0].body["temperature"] == 0.5


async def test_a_credential_of_one_call_is_masked_too() -> None:
    with Server(_echo) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url, max_retries=0
        ) as client:
            more = {"extra_headers": {"X-Token": "pass-word-98765"}}
            with pytest.raises(NbAgentsError) as caught:
                await client.create(HI, extra_create_args=more)
    assert server.requests[0].headers["x-token"] == "pass-word-98765"
    assert "pass-word-98765" not in everything_in(caught.value)


def everything_in(error: BaseException) -> str:
    """An error and its family: words, attributes, and the local variables of the libraries."""
    pieces = []
    for each in family(error):
        pieces += [str(each), repr(each.args), seen_in(vars(each))]
        response = getattr(each, "response", None)
        if response is not None:
            pieces += [response.text, str(response.request.url), str(response.request.headers.raw)]
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if "site-packages" in frame.f_code.co_filename:
                pieces.append(seen_in(frame.f_locals, 2))
    return "\n".join(pieces)


async def test_a_server_that_is_not_openais_gets_nothing_of_its_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-ada")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-ada")
    monkeypatch.setenv(
        "OPENAI_CUSTOM_HEADERS", f"X-Gateway-Token: {KEY}\nX-Team: tea\nAuthorization: Bearer tea"
    )

    async def headers_at(server: Server, client: Any) -> dict[str, str]:
        async with client:
            await client.create(HI)
        return server.requests[-1].headers

    ours = ("openai-organization", "openai-project", "x-gateway-token", "x-team")
    with Server(answer(200, completion())) as server:
        there: dict[str, Any] = {"base_url": server.base_url, "api_key": "none"}
        headers = await headers_at(server, OpenAIChatCompletionClient(model="gpt-4o", **there))
        assert not set(ours) & set(headers)
        assert headers["authorization"] == "Bearer none"
        assert headers["user-agent"].startswith("AsyncOpenAI/")
        azure = {"azure_endpoint": server.url, "api_version": "1", "api_key": "key-5678"}
        headers = await headers_at(server, AzureOpenAIChatCompletionClient(model="gpt-4o", **azure))
        assert not set(ours) & set(headers)
        own = {"organization": "mine", "default_headers": {"X-Team": "coffee"}}
        headers = await headers_at(
            server, OpenAIChatCompletionClient(model="gpt-4o", **there, **own)
        )
        assert [headers.get(name) for name in ours] == ["mine", None, None, "coffee"]
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        headers = await headers_at(
            server, OpenAIChatCompletionClient(model="gpt-4o", api_key="key-5678")
        )
        assert [headers[name] for name in ours] == ["org-of-ada", "project-of-ada", KEY, "tea"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"api_key": 5}, "api_key takes text, not int."),
    ({"api_key": [KEY]}, "api_key takes text, not list."),
    ({"default_headers": [("a", KEY)]}, "default_headers takes a mapping of names to values"),
    ({"default_headers": {"X-Key": None}}, "default_headers['X-Key'] takes text, not NoneType."),
    ({"default_headers": {1: KEY}}, "A name in default_headers takes text, not int."),
    ({"default_query": f"key={KEY}"}, "default_query takes a mapping of names to values, not str."),
    ({"extra_headers": KEY}, "extra_headers takes a mapping of names to values, not str."),
    ({"base_url": 5}, "base_url takes text, not int."),
    ({"base_url": f"ftp://ada:{KEY}@host"}, "base_url is no HTTP address"),
    ({"base_url": f"https://ada:{KEY}@[host"}, "base_url is no HTTP address"),
    ({"base_url": f"https://host/v1?key={KEY}"}, "base_url ends in a query"),
    ({"organization": 5}, "organization takes text, not int."),
    ({"model": None}, "model takes text, not NoneType."),
]


@pytest.mark.parametrize(("given", "said"), WRONG, ids=[said[:30] for _, said in WRONG])
def test_what_cannot_be_sent_is_told_in_one_line_without_its_value(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpenAIChatCompletionClient(**{"model": "gpt-4o", "api_key": "key-5678", **given})
    assert str(caught.value).startswith(said)
    assert KEY not in everything_in(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": 5},
        {"azure_ad_token": 5},
        {"azure_ad_token_provider": KEY},
        {"azure_endpoint": 5, "api_key": "k"},
        {"api_version": 5, "api_key": "k"},
    ],
    ids=str,
)
def test_azure_tells_it_too(given: dict[str, Any]) -> None:
    usual = {"azure_endpoint": "https://mine.openai.azure.com", "api_version": "1"}
    with pytest.raises(ConfigurationError, match=r"takes (text|a function.*), not (int|str)\."):
        AzureOpenAIChatCompletionClient(**{"model": "gpt-4o", **usual, **given})


async def test_the_logs_of_the_libraries_hold_no_credential(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    cookie = answer(200, completion(), **{"set-cookie": "session=a-cookie-of-the-server"})
    given: dict[str, Any] = {
        "default_query": {"key": "pass-word-98765"},
        "extra_headers": {"X-Session-Token": "header-word-98765"},
    }
    with Server(cookie) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url, **given
        ) as client:
            await client.create(HI)
        logging.getLogger("httpx2").info("somebody else's %s", "words")
    said = caplog.text + " ".join(repr(vars(record)) for record in caplog.records)
    assert "HTTP Request: POST" in said
    assert "receive_response_headers.complete" in said
    assert "somebody else's words" in said
    for credential in (KEY, "pass-word-98765", "header-word-98765", "a-cookie-of-the-server"):
        assert credential not in said


async def test_a_long_header_of_a_servers_is_soon_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Server(answer(200, completion(), **{"x-word": "auth" * 10_000})) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url
        ) as client:
            started = time.process_time()
            await client.create(HI)
    assert time.process_time() - started < 4  # it took half a minute
    assert "authauth" in caplog.text


async def test_what_the_user_was_handling_is_left_alone() -> None:
    def outer() -> None:
        mine = f"about {KEY}"
        raise LookupError(mine)

    with Server(answer(400, {"error": {"message": KEY}})) as server:
        async with OpenAIChatCompletionClient(
            model="gpt-4o", api_key=KEY, base_url=server.base_url, max_retries=0
        ) as client:
            try:
                outer()
            except LookupError as error:
                kept = error
                with pytest.raises(NbAgentsError):
                    await client.create(HI)
    assert str(kept) == f"about {KEY}"
    assert kept.__traceback__.tb_next.tb_frame.f_locals == {"mine": f"about {KEY}"}


def test_a_client_that_needs_no_key_is_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    client = OpenAIChatCompletionClient(model="gpt-4o", base_url="http://localhost:11434/v1")
    assert repr(pickle.loads(pickle.dumps(client))) == repr(client)


SWAPPED = "sk-proj-canary1234567890abcd"


@pytest.mark.parametrize(
    "make",
    [
        lambda: OpenAIChatCompletionClient(model=SWAPPED, api_key=KEY),
        lambda: OpenAIChatCompletionClient(model="gpt-4o", base_url=SWAPPED, api_key=KEY),
        lambda: AzureOpenAIChatCompletionClient(
            model="gpt-4o", azure_endpoint=SWAPPED, api_key=KEY, api_version="1"
        ),
        lambda: AzureOpenAIChatCompletionClient(
            model="gpt-4o",
            azure_deployment=SWAPPED,
            azure_endpoint="https://a.test",
            api_key=KEY,
            api_version="1",
        ),
        lambda: resolve(SWAPPED),
    ],
)
def test_a_key_in_the_place_of_a_name_or_an_address_is_refused_and_not_shown(make: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert SWAPPED not in str(caught.value)


UNKNOWN_FORM = "weird/Key+of-nobody.42"


@pytest.mark.parametrize("key", [SWAPPED, UNKNOWN_FORM])
@pytest.mark.parametrize(
    "given",
    [
        lambda key: {key: "1"},
        lambda key: {"default_headers": {key: 1}},
        lambda key: {"default_headers": {key: "1"}},
        lambda key: {"default_query": {key: "1"}},
        lambda key: {"extra_headers": {key: "1"}},
        lambda key: {"timeout": key},
        lambda key: {"limits": Limits(connect=key)},
    ],
    ids=[
        "the name of an argument",
        "the name of a default header with a number",
        "the name of a default header",
        "the name in a default query",
        "the name of an extra header",
        "timeout",
        "limits",
    ],
)
def test_a_key_in_any_wrong_place_is_refused_and_not_shown(
    given: Callable[[str], dict[str, Any]], key: str
) -> None:
    held = OpenAIChatCompletionClient(model="gpt-4o", api_key=key)
    with pytest.raises(ConfigurationError) as caught:
        OpenAIChatCompletionClient(**{"model": "gpt-4o", "api_key": key, **given(key)})
    assert key not in everything_in(caught.value)
    assert held.model == "gpt-4o"


@pytest.mark.parametrize("key", [SWAPPED, UNKNOWN_FORM])
@pytest.mark.parametrize(
    "given",
    [
        lambda key: {"extra_create_args": {key: 1}},
        lambda key: {"extra_create_args": {"timeout": key}},
        lambda key: {"extra_create_args": {"extra_headers": {key: "1"}}},
        lambda key: {"tool_choice": key},
        lambda key: {"json_output": key},
    ],
    ids=[
        "the name of an extra argument",
        "timeout",
        "the name of an extra header",
        "tool_choice",
        "json_output",
    ],
)
async def test_so_it_is_in_the_arguments_of_a_call(
    given: Callable[[str], dict[str, Any]], key: str
) -> None:
    async with OpenAIChatCompletionClient(model="gpt-4o", api_key=key) as client:
        with pytest.raises(ConfigurationError) as caught:
            await client.create(HI, **given(key))
    assert key not in everything_in(caught.value)


@pytest.mark.parametrize("key", [SWAPPED, UNKNOWN_FORM])
async def test_so_it_is_as_the_model(key: str) -> None:
    with pytest.raises(ConfigurationError, match="model holds what looks like a key"):
        OpenAIChatCompletionClient(model=key, api_key=key)
    async with OpenAIChatCompletionClient(model="gpt-4o", api_key=key) as client:
        with pytest.raises(ConfigurationError, match="model holds what looks like a key"):
            await client.create(HI, extra_create_args={"model": key})


@pytest.mark.parametrize("key", [SWAPPED, UNKNOWN_FORM])
def test_so_it_is_as_an_agents_name_or_tool(key: str) -> None:
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key=key)
    for given in ({"name": key}, {"tools": [key]}):
        with pytest.raises(ConfigurationError) as caught:
            ChatAgent(client, **given)  # type: ignore[arg-type]
        assert key not in str(caught.value)


@pytest.mark.parametrize("variable", ["NBAGENTS_MODEL", "OPENAI_MODEL", "OPENAI_BASE_URL"])
def test_a_key_in_the_place_of_another_variable_is_refused_and_not_shown(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NBAGENTS_REQUESTS")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv(variable, SWAPPED)
    with pytest.raises(ConfigurationError) as caught:
        resolve().client()
    assert SWAPPED not in str(caught.value)


def test_an_address_in_the_environment_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://ada:{KEY}@[host")
    with pytest.raises(ConfigurationError, match="base_url is no HTTP address") as caught:
        resolve("openai:gpt-4o").client()
    assert KEY not in str(caught.value)
