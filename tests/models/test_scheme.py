"""Who writes https:// for a server that speaks plain HTTP, or http:// for TLS, is told so."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import openai
import pytest
from packaging.version import Version

from nbagents.errors import APIConnectionError, BadRequestError, NbAgentsError, RequestTimeoutError
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models._limits import Limits
from nbagents.models._openai import OpenAIChatCompletionClient
from nbagents.models._scheme import tls_failure
from tests.certificates import tls_for_loopback
from tests.support import Server, answer, completion

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
KEY = "sk-canary-1234-abcdefgh"
OLD_SDK = Version(openai.__version__) < Version("3.54")  # which repeats whatever fails
REFUSAL = b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"


class Port:
    """A server that takes whatever comes, and what it got."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.got: list[bytes] = []


@contextmanager
def serving(behave: Callable[[socket.socket, bytes], None]) -> Iterator[Port]:
    """Answer the first bytes of each connection, in a thread, with what ``behave`` does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = Port(listening.getsockname()[1])
        threads: list[threading.Thread] = []

        def converse(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(10)
                port.got.append(connection.recv(65_536))
                behave(connection, port.got[-1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threads.append(threading.Thread(target=converse, args=(connection,)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield port
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def refuses(said: str) -> Callable[[socket.socket, bytes], None]:
    return lambda connection, _: connection.sendall(REFUSAL % (len(said), said.encode()))


def waits_for_a_line(connection: socket.socket, got: bytes) -> None:
    """As servers do that read line by line: TLS begins without one, mostly."""
    if got.startswith(b"HEAD "):
        connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
    while connection.recv(65_536):
        pass


def hangs_up(connection: socket.socket, _: bytes) -> None:
    connection.close()


def says_nothing(connection: socket.socket, _: bytes) -> None:
    while connection.recv(65_536):
        pass


def alerts(connection: socket.socket, _: bytes) -> None:
    """As TLS answers what is none."""
    connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")


async def error_at(base_url: str, **given: Any) -> NbAgentsError:
    async with OpenAIChatCompletionClient(
        model="gpt-4o", api_key=KEY, base_url=base_url, **given
    ) as client:
        with pytest.raises(NbAgentsError) as caught:
            await client.create(HI)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("behave", [refuses("Bad Request"), waits_for_a_line])
async def test_tls_for_a_server_that_speaks_plain_http_fails_with_the_first_attempt(
    behave: Callable[[socket.socket, bytes], None],
) -> None:
    with serving(behave) as port:
        host = f"127.0.0.1:{port.number}"
        error = await error_at(f"https://{host}/v1", limits=Limits(connect=0.3))
    assert isinstance(error, APIConnectionError)
    assert str(error) == (
        f"{host} speaks plain HTTP, not TLS. Begin base_url with http://: http://{host}."
    )
    assert not error.retryable
    hellos = [got for got in port.got if got.startswith(b"\x16")]
    assert len(hellos) == (3 if OLD_SDK else 1)
    assert KEY.encode() not in b"".join(port.got)


def test_behind_a_proxy_it_may_be_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "https://127.0.0.1:9")
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
    told = tls_failure(error, "https://models.example/v1")
    assert "models.example, or the proxy before it, speaks plain HTTP" in str(told)
    assert "HTTPS_PROXY" in str(told)
    assert "proxy" not in str(tls_failure(error, "https://localhost/v1"))


async def test_a_server_that_says_nothing_is_late_as_ever() -> None:
    with serving(says_nothing) as port:
        url = f"https://127.0.0.1:{port.number}/v1"
        error = await error_at(url, limits=Limits(connect=0.2), max_retries=0)
    assert isinstance(error, RequestTimeoutError)
    assert "could not be reached in time" in str(error)


async def test_a_handshake_that_ends_is_tried_again_and_both_ways_are_told() -> None:
    with serving(hangs_up) as port:
        error = await error_at(f"https://127.0.0.1:{port.number}/v1", max_retries=1)
    assert isinstance(error, APIConnectionError)
    assert "if the server speaks plain HTTP, begin base_url with http://." in str(error)
    assert len(port.got) == 2


async def test_a_certificate_that_is_not_trusted_is_not_asked_for_again(tmp_path: Path) -> None:
    with Server(answer(200, completion()), tls=tls_for_loopback(tmp_path)[0]) as server:
        error = await error_at(server.base_url)
    assert isinstance(error, APIConnectionError)
    assert "cannot be trusted" in str(error)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    assert "SSL_CERT_FILE" in str(error)
    assert server.requests == []


@pytest.mark.parametrize(
    "said",
    [
        "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>",
        "Client sent an HTTP request to an HTTPS server.",
        "<!DOCTYPE HTML><html><title>400 Bad Request</title><p>Reason: You're speaking plain HTTP"
        " to an SSL-enabled server port.</p></html>",
    ],
    ids=["nginx", "Go", "Apache"],
)
async def test_a_server_that_says_it_wants_tls_is_understood(said: str) -> None:
    with serving(refuses(said)) as port:
        error = await error_at(f"http://127.0.0.1:{port.number}/v1")
    assert isinstance(error, BadRequestError)
    assert str(error).endswith("Begin base_url with https://.")


@pytest.mark.parametrize("behave", [alerts, hangs_up])
async def test_one_that_answers_in_tls_or_not_at_all_may_want_it(
    behave: Callable[[socket.socket, bytes], None],
) -> None:
    with serving(behave) as port:
        error = await error_at(f"http://127.0.0.1:{port.number}/v1", max_retries=0)
    assert isinstance(error, APIConnectionError)
    assert "if the server speaks TLS, begin base_url with https://." in str(error)


async def test_plain_http_in_place_of_tls(tmp_path: Path) -> None:
    with Server(answer(200, completion()), tls=tls_for_loopback(tmp_path)[0]) as server:
        error = await error_at(server.base_url.replace("https:", "http:"), max_retries=0)
    assert isinstance(error, APIConnectionError)
    assert "begin base_url with https://" in str(error)


async def test_a_request_can_be_cancelled_meanwhile() -> None:
    asked_plainly = threading.Event()

    def notes(connection: socket.socket, got: bytes) -> None:
        if got.startswith(b"HEAD "):
            asked_plainly.set()
        says_nothing(connection, got)

    with serving(notes) as port:
        url = f"https://127.0.0.1:{port.number}/v1"
        asking = asyncio.create_task(error_at(url, limits=Limits(connect=0.1)))
        assert await asyncio.to_thread(asked_plainly.wait, 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
