"""Microsoft Entra ID by the real azure-identity: each way to a token, and each way to none."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from azure.identity import ManagedIdentityCredential

from nbagents.errors import AuthenticationError, NbAgentsError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models import Limits
from tests.entra import (
    FAILING,
    SECRET,
    Authority,
    Failing,
    authority,
    client_of,
    closed_port,
    machine,
)
from tests.support import Handler, Request, Server, answer, completion, refusal
from tests.torture.figures import Figure, Scale

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
STALL = 0.05
"""Seconds that a provider may keep the event loop from turning."""


def trial(scale: Scale) -> Iterator[Figure]:
    """All on loopback, TLS included; the model's server counts what it is asked."""
    with tempfile.TemporaryDirectory() as folder, authority(Path(folder)) as entra:
        yield from _ways_in(entra)
        yield from _ways_to_fail(entra)
        yield from _slow(entra, scale.of(10))
        yield from _renewals(entra, scale.of(100))


def _ways_in(entra: Authority) -> Iterator[Figure]:
    ways: dict[str, Callable[[], Any]] = {
        "client secret": entra.client_secret,
        "certificate": entra.certificate,
        "workload identity": entra.workload_identity,
    }
    signed_in = sum(asyncio.run(_replies(make())) for make in ways.values())
    machines = Authority("", Path(), Path())
    with Server(machines.handle) as server:
        for app_service in (False, True):
            with machine(server.url, app_service=app_service):
                signed_in += asyncio.run(_replies(ManagedIdentityCredential(retry_total=0)))
    what = f"ways to sign in ({', '.join(ways)}, managed identity by IMDS and App Service)"
    yield Figure(f"{what} that work", signed_in, len(ways) + 2, at_least=True)


async def _replies(credential: Any) -> bool:
    with Server(answer(200, completion())) as server, credential:
        async with client_of(server, credential) as client:
            return (await client.create(HI)).content == "Hello world"


def _ways_to_fail(entra: Authority) -> Iterator[Figure]:
    wrong, longest, leaks, sent = [], 0, 0, 0
    for name, failing in FAILING.items():
        entra.refusal, entra.silent = failing.refusal, failing.silent
        with Server(answer(200, completion())) as server, machine(closed_port()):
            error = asyncio.run(_error(server, failing, entra))
            sent += len(server.requests)
        said = str(error)
        longest = max(longest, len(said))
        leaks += SECRET in said
        if type(error) is not failing.error or failing.said not in said or "\n" in said:
            wrong.append(name)
    entra.refusal, entra.silent = None, False
    what = f"{len(FAILING)} ways to no token"
    named = f" ({', '.join(wrong)})" if wrong else ""
    yield Figure(f"{what}: not told in one line with the next step{named}", len(wrong), 0)
    yield Figure(f"{what}: longest message, in characters", longest, 500)
    yield Figure(f"{what}: messages with the secret in them", leaks, 0)
    yield Figure(f"{what}: requests sent all the same", sent, 0)


async def _error(server: Server, failing: Failing, entra: Authority) -> BaseException | None:
    limits = Limits(total=1 if failing.silent else 60)
    with failing.credential(entra) as credential:
        async with client_of(server, credential, limits=limits) as client:
            try:
                await client.create(HI)
            except NbAgentsError as error:
                return error
    return None


def _slow(entra: Authority, times: int) -> Iterator[Figure]:
    def sleeping() -> str:
        time.sleep(0.3)
        return "a-token"

    stalls = [asyncio.run(_longest_stall(sleeping)) for _ in range(times)]
    entra.silent = True
    with entra.client_secret() as credential:
        stalls.append(asyncio.run(_longest_stall(credential)))
    entra.silent = False
    what = f"{len(stalls)} slow providers: longest that the event loop stood still"
    yield Figure(what, max(stalls), STALL, "s", timed=True)


async def _longest_stall(source: Any) -> float:
    with Server(answer(200, completion())) as server:
        async with client_of(server, lambda: "warm") as client:
            await client.create(HI)  # the SDK is imported
        async with client_of(server, source, limits=Limits(total=1)) as client, _heart() as beats:
            with suppress(NbAgentsError):
                await client.create(HI)
    return max(beats)


@asynccontextmanager
async def _heart() -> AsyncIterator[list[float]]:
    """The seconds from each turn of the loop to the next, beyond the millisecond slept."""
    beats = [0.0]

    async def beat() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            beats.append(time.monotonic() - began - 0.001)

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0.01)
    beats.clear()
    try:
        yield beats
    finally:
        heart.cancel()


def _renewals(entra: Authority, times: int) -> Iterator[Figure]:
    wrong = sum(asyncio.run(_expiring(entra)) != 2 for _ in range(max(1, times // 10)))
    yield Figure("conversations in which an expired token was not renewed just once", wrong, 0)
    wrong = sum(asyncio.run(_refused(entra)) != (2, 3) for _ in range(times))
    what = f"{times} conversations with a token refused before its time"
    yield Figure(f"{what}: not renewed just once", wrong, 0)
    loops = sum(asyncio.run(_refused_for_good(entra)) != 2 for _ in range(times))
    yield Figure(
        f"{times} conversations with every token refused: not given up after two", loops, 0
    )


async def _expiring(entra: Authority) -> int:
    """Tokens given to a conversation whose first one expires."""
    given, entra.seconds = entra.given, 301  # azure-identity takes five minutes before for the end
    with Server(answer(200, completion())) as server, entra.client_secret() as credential:
        async with client_of(server, credential) as client:
            await client.create(HI)
            await asyncio.sleep(1.1)
            entra.seconds = 86_400
            for _ in range(3):
                await client.create(HI)
    return entra.given - given


async def _refused(entra: Authority) -> tuple[int, int]:
    """Tokens given to, and requests of, a conversation whose first token is refused."""
    given = entra.given
    refused = f"entra-{given + 1}"
    with Server(_but(refused)) as server, entra.client_secret() as credential:
        async with client_of(server, credential) as client:
            for _ in range(2):
                await client.create(HI)
        return entra.given - given, len(server.requests)


async def _refused_for_good(entra: Authority) -> int:
    with Server(_but("")) as server, entra.client_secret() as credential:
        async with client_of(server, credential) as client:
            try:
                await client.create(HI)
            except AuthenticationError:
                return len(server.requests)
    return 0


def _but(token: str) -> Handler:
    """A deployment that takes any token but this one; none at all, if that is ``""``."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        refused = not token or request.headers["authorization"] == f"Bearer {token}"
        said = refusal(401, "Token is expired.", "401") if refused else answer(200, completion())
        await said(request, writer)

    return handle
