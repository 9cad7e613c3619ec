"""The client of Azure OpenAI, and the real azure-identity, over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    get_bearer_token_provider,
)
from azure.identity import aio as identity_aio

from nbagents.errors import AuthenticationError, ConfigurationError, ModelNotFoundError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models._azure import AzureOpenAIChatCompletionClient
from tests.certificates import tls_for_loopback
from tests.support import HELLO, Handler, Request, Server, answer, completion, refusal, stream

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
SCOPE = "https://cognitiveservices.azure.com/.default"
VERSION = "2024-10-21"


def client_of(server: Server, **given: Any) -> AzureOpenAIChatCompletionClient:
    given = {
        "model": "gpt-4o",
        "azure_deployment": "mine",
        "api_version": VERSION,
        "azure_endpoint": server.url,
        "max_retries": 0,
        **given,
    }
    return AzureOpenAIChatCompletionClient(**given)


@pytest.fixture
def azure() -> Iterator[Server]:
    with Server(answer(200, completion())) as server:
        yield server


async def sent(server: Server, **given: Any) -> Request:
    async with client_of(server, **given) as client:
        assert (await client.create(HI)).content == "Hello world"
    return server.requests[-1]


async def test_a_key_goes_out_as_api_key_to_the_deployment(azure: Server) -> None:
    request = await sent(azure, api_key="secret-key")
    assert request.headers["api-key"] == "secret-key"
    assert "authorization" not in request.headers
    assert request.path == f"/openai/deployments/mine/chat/completions?api-version={VERSION}"
    assert request.body["model"] == "gpt-4o"


async def test_the_model_names_the_deployment_where_nothing_else_does(azure: Server) -> None:
    request = await sent(azure, api_key="k" * 8, azure_deployment=None)
    assert request.path.startswith("/openai/deployments/gpt-4o/")


async def test_a_token_goes_out_as_bearer(azure: Server) -> None:
    request = await sent(azure, azure_ad_token="token-1")
    assert request.headers["authorization"] == "Bearer token-1"
    assert "api-key" not in request.headers


async def test_the_environment_is_read_as_the_sdk_reads_it(
    azure: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", azure.url)
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-06-01")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key-of-environment")
    request = await sent(azure, azure_endpoint=None, api_version=None)
    assert request.headers["api-key"] == "key-of-environment"
    assert request.path.endswith("api-version=2024-06-01")
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "token-of-environment")
    request = await sent(azure)
    assert request.headers["authorization"] == "Bearer token-of-environment"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no credential"),
        ({"api_key": ""}, "no credential"),
        ({"api_key": "k", "azure_ad_token": "t"}, "keep one"),
        ({"api_key": "k", "api_version": None}, "api_version is missing"),
        ({"api_key": "k", "azure_endpoint": None}, "azure_endpoint is missing"),
        ({"api_key": "k", "azure_endpoint": "my-resource"}, "no HTTP address"),
        ({"api_key": "k", "base_url": "https://x"}, "keep one"),
        ({"api_key": "k", "azure_deploymnet": "x"}, "'azure_deployment'"),
    ],
)
def test_what_is_missing_or_wrong_is_named(azure: Server, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        client_of(azure, **given)


async def test_a_stream_may_begin_with_the_filters_verdict_on_the_prompt() -> None:
    verdict = b'data: {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}\n\n'
    with Server(stream(verdict, *HELLO)) as server:
        async with client_of(server, api_key="secret-key") as client:
            events = [event async for event in client.create_stream(HI)]
    assert events[:2] == ["Hello", " world"]


async def test_a_missing_deployment_is_named() -> None:
    missing = refusal(404, "The API deployment does not exist.", "DeploymentNotFound")
    with Server(missing) as server:
        async with client_of(server, api_key="secret-key") as client:
            with pytest.raises(ModelNotFoundError, match=r"azure_deployment \('mine'"):
                await client.create(HI)


class TestProviders:
    async def test_a_function_is_asked_before_each_request(self, azure: Server) -> None:
        tokens = iter(["token-1", "token-2"])
        async with client_of(azure, azure_ad_token_provider=lambda: next(tokens)) as client:
            await client.create(HI)
            await client.create(HI)
        bearers = [request.headers["authorization"] for request in azure.requests]
        assert bearers == ["Bearer token-1", "Bearer token-2"]

    async def test_a_coroutine_function_is_awaited_on_the_loop(self, azure: Server) -> None:
        async def provide() -> str:
            assert threading.current_thread() is threading.main_thread()
            await asyncio.sleep(0)
            return "token-3"

        request = await sent(azure, azure_ad_token_provider=provide)
        assert request.headers["authorization"] == "Bearer token-3"

    async def test_a_slow_function_does_not_block_the_loop(self, azure: Server) -> None:
        asked, beaten = threading.Event(), threading.Event()

        def provide() -> str:
            asked.set()
            return f"token-{beaten.wait(10)}"

        async def beat() -> None:
            while not asked.is_set():  # noqa: ASYNC110 - it is set in another thread
                await asyncio.sleep(0.001)
            beaten.set()

        heart = asyncio.create_task(beat())
        request = await sent(azure, azure_ad_token_provider=provide)
        await heart
        assert request.headers["authorization"] == "Bearer token-True"

    async def test_its_failure_is_an_authentication_error_with_the_next_step(
        self, azure: Server
    ) -> None:
        def provide() -> str:
            raise OSError("no identity\nhere")

        async with client_of(azure, azure_ad_token_provider=provide) as client:
            with pytest.raises(AuthenticationError, match="no identity here Sign in") as caught:
                await client.create(HI)
        assert isinstance(caught.value.__cause__, OSError)
        assert azure.requests == []

    @pytest.mark.parametrize("token", ["", None, "two\nlines"])
    async def test_what_is_no_token_is_told(self, azure: Server, token: Any) -> None:
        async with client_of(azure, azure_ad_token_provider=lambda: token) as client:
            with pytest.raises(AuthenticationError, match="azure_ad_token_provider gave"):
                await client.create(HI)


def tokens(seconds: int) -> Handler:
    """A managed identity's endpoint; its tokens live that long."""
    given = 0

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal given
        given += 1
        assert request.headers["x-identity-header"] == "of-this-machine"
        assert "resource=https://cognitiveservices.azure.com" in request.path
        body = {
            "access_token": f"entra-{given}",
            "expires_on": str(int(time.time()) + seconds),
            "resource": "https://cognitiveservices.azure.com",
            "token_type": "Bearer",
        }
        await answer(200, body)(request, writer)

    return handle


class TestAzureIdentity:
    """The real library; only Microsoft's endpoints are on loopback."""

    @pytest.fixture
    def identity(self, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[Server]:
        with Server(tokens(request.param)) as server:
            monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/token")
            monkeypatch.setenv("IDENTITY_HEADER", "of-this-machine")
            yield server

    @pytest.mark.parametrize("identity", [3600], indirect=True)
    async def test_a_token_is_fetched_once_while_it_lives(
        self, azure: Server, identity: Server
    ) -> None:
        with DefaultAzureCredential() as credential:
            provider = get_bearer_token_provider(credential, SCOPE)
            async with client_of(azure, azure_ad_token_provider=provider) as client:
                await client.create(HI)
                await client.create(HI)
        bearers = [request.headers["authorization"] for request in azure.requests]
        assert bearers == ["Bearer entra-1"] * 2
        assert len(identity.requests) == 1

    @pytest.mark.parametrize("identity", [1], indirect=True)
    async def test_a_token_is_refreshed_when_it_expires(
        self, azure: Server, identity: Server
    ) -> None:
        with DefaultAzureCredential() as credential:
            provider = get_bearer_token_provider(credential, SCOPE)
            async with client_of(azure, azure_ad_token_provider=provider) as client:
                await client.create(HI)
                await asyncio.sleep(1.1)
                await client.create(HI)
        first, second = (request.headers["authorization"] for request in azure.requests)
        assert first != second
        assert second == f"Bearer entra-{len(identity.requests)}"

    @pytest.mark.parametrize("identity", [1], indirect=True)
    async def test_the_asynchronous_library_does_too(self, azure: Server, identity: Server) -> None:
        async with identity_aio.DefaultAzureCredential() as credential:
            provider = identity_aio.get_bearer_token_provider(credential, SCOPE)
            async with client_of(azure, azure_ad_token_provider=provider) as client:
                await client.create(HI)
                await asyncio.sleep(1.1)
                await client.create(HI)
        first, second = (request.headers["authorization"] for request in azure.requests)
        assert first != second

    async def test_a_service_principal_signs_in_over_tls(
        self, azure: Server, tmp_path: Path
    ) -> None:
        context, authority_file = tls_for_loopback(tmp_path)

        async def sign_in(request: Request, writer: asyncio.StreamWriter) -> None:
            here = f"https://127.0.0.1:{entra.port}/tenant"
            body: dict[str, Any] = {
                "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
                "token_endpoint": f"{here}/oauth2/v2.0/token",
                "issuer": f"{here}/v2.0",
            }
            if request.path.endswith("/token"):
                assert b"client_secret=of-the-principal" in request.raw
                body = {"access_token": "entra-sp", "expires_in": 3600, "token_type": "Bearer"}
            await answer(200, body)(request, writer)

        with Server(sign_in, tls=context) as entra:
            credential = ClientSecretCredential(
                "tenant",
                "client-id",
                "of-the-principal",
                authority=f"https://127.0.0.1:{entra.port}",
                disable_instance_discovery=True,
                connection_verify=str(authority_file),
            )
            with credential:
                provider = get_bearer_token_provider(credential, SCOPE)
                request = await sent(azure, azure_ad_token_provider=provider)
        assert request.headers["authorization"] == "Bearer entra-sp"
