"""Microsoft Entra ID by the real azure-identity, against authorities on loopback."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.identity import ManagedIdentityCredential, get_bearer_token_provider
from azure.identity import aio as identity_aio

from nbagents.errors import AuthenticationError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models import Limits
from tests.entra import (
    CLIENT,
    FAILING,
    SCOPE,
    SECRET,
    TENANT,
    Authority,
    authority,
    client_of,
    closed_port,
    machine,
)
from tests.support import Handler, Request, Server, answer, completion, refusal

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]


def bearers(server: Server) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]


@pytest.fixture
def entra(tmp_path: Path) -> Iterator[Authority]:
    with authority(tmp_path) as running, machine(closed_port()):
        yield running


@pytest.fixture
def azure() -> Iterator[Server]:
    with Server(answer(200, completion())) as server:
        yield server


class TestSigningIn:
    """The credential itself is given, or the function that azure-identity makes of it."""

    @pytest.mark.parametrize("kind", ["client_secret", "certificate", "workload_identity"])
    @pytest.mark.parametrize("as_function", [False, True])
    async def test_a_token_is_fetched_once_for_many_requests(
        self, azure: Server, entra: Authority, kind: str, as_function: bool
    ) -> None:
        with getattr(entra, kind)() as credential:
            source = get_bearer_token_provider(credential, SCOPE) if as_function else credential
            async with client_of(azure, source) as client:
                for _ in range(3):
                    assert (await client.create(HI)).content == "Hello world"
        assert bearers(azure) == ["entra-1"] * 3
        assert entra.given == 1

    @pytest.mark.parametrize("app_service", [False, True])
    async def test_a_managed_identity_is_one_of_the_machine(
        self, azure: Server, app_service: bool
    ) -> None:
        here = Authority("", Path(), Path())
        with (
            Server(here.handle) as server,
            machine(server.url, app_service=app_service),
            ManagedIdentityCredential(retry_total=0) as credential,
        ):
            async with client_of(azure, credential) as client:
                await client.create(HI)
                await client.create(HI)
        assert len(set(bearers(azure))) == 1
        assert bearers(azure)[0].startswith("entra-")

    async def test_the_asynchronous_credentials_are_taken_too(
        self, azure: Server, entra: Authority
    ) -> None:
        credential = identity_aio.ClientSecretCredential(TENANT, CLIENT, SECRET, **entra.options)
        async with credential, client_of(azure, credential) as client:
            assert (await client.create(HI)).content == "Hello world"
        assert bearers(azure) == ["entra-1"]


class TestFailing:
    @pytest.mark.parametrize("way", FAILING)
    async def test_it_is_said_in_one_line_with_the_next_step_and_without_the_secret(
        self, azure: Server, entra: Authority, way: str
    ) -> None:
        failing = FAILING[way]
        entra.refusal, entra.silent = failing.refusal, failing.silent
        limits = Limits(total=1 if failing.silent else 60)
        with failing.credential(entra) as credential:
            async with client_of(azure, credential, limits=limits) as client:
                with pytest.raises(failing.error) as caught:
                    await client.create(HI)
        said = str(caught.value)
        assert failing.said in said
        assert "\n" not in said
        assert len(said) <= 500
        assert SECRET not in said
        assert azure.requests == []

    def test_nothing_is_printed_into_the_cell_that_happens_to_run(self) -> None:
        code = """
import asyncio
from azure.identity import EnvironmentCredential
from nbagents.errors import AuthenticationError
from nbagents.messages import UserMessage
from nbagents.models import AzureOpenAIChatCompletionClient
client = AzureOpenAIChatCompletionClient(
    model="gpt-4o", api_version="1", azure_endpoint="http://127.0.0.1:9",
    azure_ad_token_provider=EnvironmentCredential(),
)
try:
    asyncio.run(client.create([UserMessage(content="hi", source="ada")]))
except AuthenticationError as error:
    assert "EnvironmentCredential" in str(error)
"""
        with machine(closed_port()):
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    async def test_a_secret_that_the_authority_repeats_is_masked(
        self, azure: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)

        def provide() -> str:
            raise OSError(f"the client_secret {SECRET} is wrong")

        async with client_of(azure, provide) as client:
            with pytest.raises(AuthenticationError, match="is wrong") as caught:
                await client.create(HI)
        assert SECRET not in f"{caught.value} {caught.value.__cause__}"

    async def test_an_authority_that_hangs_holds_up_neither_others_nor_the_next_try(
        self, azure: Server, entra: Authority
    ) -> None:
        entra.silent = True
        with entra.client_secret() as credential:
            async with client_of(azure, credential) as client:
                for _ in range(40):  # more than a pool of threads has
                    asked = asyncio.create_task(client.create(HI))
                    await asyncio.sleep(0.01)
                    asked.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await asked
                began = time.monotonic()
                assert await asyncio.to_thread(lambda: "free") == "free"
                entra.silent = False
                assert (await client.create(HI)).content == "Hello world"
        assert time.monotonic() - began < 10


def taking(*tokens: str) -> Handler:
    """A deployment that takes these tokens only."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        allowed = request.headers["authorization"].removeprefix("Bearer ") in tokens
        said = answer(200, completion()) if allowed else refusal(401, "Token is expired.", "401")
        await said(request, writer)

    return handle


class TestRenewal:
    async def test_an_expired_token_is_renewed_once_for_all_who_ask(
        self, azure: Server, entra: Authority
    ) -> None:
        entra.seconds = 301  # azure-identity takes five minutes before the end for the end
        with entra.client_secret() as credential:
            async with client_of(azure, credential) as client:
                await client.create(HI)
                await asyncio.sleep(1.1)
                entra.seconds = 86_400
                await asyncio.gather(*(client.create(HI) for _ in range(8)))
                await client.create(HI)
        assert entra.given == 2
        assert bearers(azure) == ["entra-1"] + ["entra-2"] * 9

    async def test_one_that_the_server_refuses_before_its_time_is_renewed_once(
        self, entra: Authority
    ) -> None:
        with Server(taking("entra-2")) as server, entra.client_secret() as credential:
            async with client_of(server, credential) as client:
                for _ in range(2):
                    assert (await client.create(HI)).content == "Hello world"
        assert bearers(server) == ["entra-1", "entra-2", "entra-2"]
        assert entra.given == 2

    async def test_many_that_are_refused_at_once_are_renewed_together(
        self, entra: Authority
    ) -> None:
        with Server(taking("entra-2")) as server, entra.client_secret() as credential:
            async with client_of(server, credential) as client:
                await asyncio.gather(*(client.create(HI) for _ in range(8)))
        assert entra.given == 2

    async def test_refused_again_it_is_an_error(self, entra: Authority) -> None:
        with Server(taking()) as server, entra.client_secret() as credential:
            async with client_of(server, credential) as client:
                with pytest.raises(AuthenticationError, match="Cognitive Services OpenAI User"):
                    await client.create(HI)
        assert bearers(server) == ["entra-1", "entra-2"]

    async def test_a_function_is_asked_again_and_its_new_token_sent(self) -> None:
        tokens = iter(["old", "new", "newer"])
        with Server(taking("newer")) as server:
            async with client_of(server, lambda: next(tokens)) as client:
                assert (await client.create(HI)).content == "Hello world"
        assert bearers(server) == ["old", "newer"]

    async def test_a_function_that_has_no_other_token_is_not_tried_again(
        self, entra: Authority
    ) -> None:
        with Server(taking()) as server, entra.client_secret() as credential:
            source = get_bearer_token_provider(credential, SCOPE)
            async with client_of(server, source) as client:
                with pytest.raises(AuthenticationError):
                    await client.create(HI)
        assert bearers(server) == ["entra-1"]

    async def test_a_stream_is_renewed_too(self, entra: Authority) -> None:
        with Server(taking("entra-2")) as server, entra.client_secret() as credential:
            async with client_of(server, credential) as client:
                events: AsyncIterator[Any] = client.create_stream(HI)
                assert [event async for event in events][-1].content == "Hello world"
