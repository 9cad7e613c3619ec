"""Errors of the server and of the way there, as ours: one line, no keys, and what to do next."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from nbagents.errors import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContentFilterError,
    ContextLengthError,
    IncompleteReplyError,
    ModelNotFoundError,
    NbAgentsError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    RequestTimeoutError,
    ServerError,
)
from nbagents.messages import LLMMessage, UserMessage
from nbagents.models._failures import Failures
from nbagents.models._limits import Limits
from nbagents.models._openai import OpenAIChatCompletionClient
from tests.notebook.streams import unanswering_port
from tests.support import Handler, Server, answer, completion, refusal, silence, stream, text

HI: list[LLMMessage] = [UserMessage(content="hi", source="ada")]
KEY = "weird/Key+of-nobody.42"


def client_at(base_url: str, **given: Any) -> OpenAIChatCompletionClient:
    given = {"model": "gpt-4o", "api_key": KEY, "max_retries": 0, **given}
    return OpenAIChatCompletionClient(base_url=base_url, **given)


async def failure(*handlers: Handler, **given: Any) -> Any:
    """What asking a server that answers so raises."""
    with Server(*handlers) as server:
        async with client_at(server.base_url, **given) as client:
            with pytest.raises(NbAgentsError) as caught:
                await client.create(HI)
    return checked(caught.value)


def checked(error: NbAgentsError) -> NbAgentsError:
    """What holds for every one of our errors."""
    said = str(error)
    assert len(said) <= 500
    assert said.isprintable()
    assert said.endswith((".", "!", "?"))
    chain: BaseException | None = error
    while chain is not None:
        assert KEY not in repr(chain)
        assert KEY not in str(vars(chain).get("body"))
        chain = chain.__cause__ or chain.__context__
    return error


AZURE_FILTER = {
    "error": {
        "code": "content_filter",
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
        "management policy.",
        "param": "prompt",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {
                "hate": {"filtered": False, "severity": "safe"},
                "jailbreak": {"filtered": True, "detected": True},
                "violence": {"filtered": True, "severity": "medium"},
            },
        },
    }
}


@pytest.mark.parametrize(
    ("handler", "kind", "advice"),
    [
        (refusal(401, "Incorrect API key"), AuthenticationError, "Check that the key"),
        (refusal(403, "Not allowed"), AuthenticationError, "Check that the key"),
        (refusal(429, "Slow down", retry_after="7"), RateLimitError, "Run it again in 7 s."),
        (refusal(429, "No", "insufficient_quota"), QuotaExceededError, "Top up"),
        (answer(402, {"error": "Insufficient Balance"}), QuotaExceededError, "Top up"),
        (refusal(400, "Long", "context_length_exceeded"), ContextLengthError, "Shorten"),
        (
            # vLLM
            refusal(400, "This model's maximum context length is 2048 tokens. However, you"),
            ContextLengthError,
            "Shorten",
        ),
        (
            # llama.cpp
            answer(
                400,
                {
                    "error": {
                        "code": 400,
                        "message": "the request exceeds the available context size, try increasing"
                        " it",
                        "type": "exceed_context_size_error",
                    }
                },
            ),
            ContextLengthError,
            "Shorten",
        ),
        (
            # Ollama
            answer(400, {"error": {"message": "prompt is too long: exceeds context length"}}),
            ContextLengthError,
            "Shorten",
        ),
        (answer(400, AZURE_FILTER), ContentFilterError, "Filtered for: jailbreak, violence."),
        (refusal(404, "No", "model_not_found"), ModelNotFoundError, "Check the name 'gpt-4o'"),
        (refusal(404, 'model "x" not found'), ModelNotFoundError, "ollama pull gpt-4o"),
        (answer(404, b"404 page not found"), ModelNotFoundError, "end in /v1"),
        (refusal(400, "Too hot"), BadRequestError, "Change what it complains about."),
        (
            answer(400, {"error": {"message": "Too hot.", "param": "temperature"}}),
            BadRequestError,
            "Change or leave out the argument 'temperature'.",
        ),
        (answer(500, b""), ServerError, "Run it again"),
        (answer(503, "<html><title>Busy</title></html>"), ServerError, "Run it again"),
        (answer(529, {"error": {"message": "Overloaded"}}), ServerError, "Run it again"),
    ],
)
async def test_an_answer_that_is_an_error(
    handler: Handler, kind: type[RequestError], advice: str
) -> None:
    error = await failure(handler)
    assert type(error) is kind
    assert advice in str(error)
    assert "127.0.0.1" in str(error)
    assert error.__cause__.status_code == error.status


async def test_it_carries_what_to_tell_the_operator() -> None:
    error = await failure(refusal(500, "Oops", x_request_id="req_7"))
    assert (error.request_id, error.status, error.retryable) == ("req_7", 500, True)


async def test_a_page_is_named_by_its_title() -> None:
    error = await failure(answer(502, "<html><head><title>Bad\n gateway</title></head>"))
    assert "a web page ('Bad gateway')" in str(error)


@pytest.mark.parametrize(
    "echo",
    [
        KEY,
        "sk-proj-abcdefghijklmnop1234",
        "Authorization: Bearer abcdefghijklmnop",
        "api-key: 0123456789abcdef0123456789abcdef",
    ],
)
async def test_keys_that_servers_echo_are_masked(echo: str) -> None:
    error = await failure(refusal(401, f"Incorrect key provided: {echo}"))
    assert "***" in str(error)
    assert echo.split()[-1] not in str(error)
    assert echo.split()[-1] not in repr(error.__cause__)


async def test_a_key_that_a_function_gave_is_masked_too() -> None:
    key = ""
    with Server(answer(401, b"")) as server:
        async with client_at(server.base_url, api_key=lambda: key) as client:
            for number in range(20):
                key = f"{number:04}-opaque-canary"
                server.handlers = [refusal(401, f"Incorrect key provided: {key}")]
                with pytest.raises(AuthenticationError, match=r"provided: \*\*\*\.") as caught:
                    await client.create(HI)
                assert key not in repr(caught.value.__cause__)


async def test_keys_are_masked_in_the_middle_of_a_stream_too() -> None:
    broken = b'data: {"error": {"message": "bad key %b"}}\n\n' % KEY.encode()
    error = await failure(stream(text("Hello"), broken))
    assert "***" in str(error)
    assert error.partial == "Hello"


@pytest.mark.parametrize("length", [90, 100, 110, 395, 440, 480])
async def test_a_key_is_masked_where_a_message_is_cut_in_the_middle_of_it(length: int) -> None:
    said = b"y" * length + b" " + KEY.encode()
    for answered in (
        answer(200, said),
        stream(b"data: " + said + b"\n\n"),
        stream(b'data: {"error": {"message": "%b"}}\n\n' % said),
    ):
        assert KEY[:8] not in str(await failure(answered))


async def test_a_key_is_masked_in_its_other_spellings_too() -> None:
    key = "canary/1234+abcd"
    spellings = ["canary%2F1234%2Babcd", "Y2FuYXJ5LzEyMzQrYWJjZA"]
    error = await failure(refusal(401, " ".join(spellings)), api_key=key)
    assert not [each for each in spellings if each in f"{error} {error.__cause__}"]


async def test_headers_that_an_error_carries_hold_no_key() -> None:
    echoes = {"x-request-id": f"id-{KEY}", "x-echo": KEY}
    headers = {"api-key": KEY}
    error = await failure(refusal(400, "No.", **echoes), default_headers=headers)
    response = error.__cause__.response
    seen = f"{error.request_id} {response.headers} {response.request.headers.raw}"
    assert KEY not in seen
    assert response.request.headers["authorization"] == "***"


async def test_neither_the_names_of_parts_nor_those_of_headers_tell_a_key() -> None:
    error = await failure(answer(400, {"error": {"message": "No.", KEY: [{KEY: 1}]}}))
    assert KEY not in repr(error.__cause__.body)
    key = "name-of-nobody-42"
    error = await failure(answer(400, b"", **{key: "x"}), api_key=key)
    assert key not in repr(error.__cause__.response.headers)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 429, 503])
async def test_a_header_that_is_no_ascii_hides_no_error_and_shows_no_key(status: int) -> None:
    headers = {
        "x-note": "schlüssel \u202e",
        "x-request-id": "\u65e5\u672c",
        "location": "http://ä ö/",
    }
    error = await failure(answer(status, b"No.", **headers), default_headers={"api-key": KEY})
    assert isinstance(error, RequestError)
    assert KEY not in repr(error.__cause__.response.request.headers.raw)
    assert error.__cause__.response.headers["x-note"] == headers["x-note"]


@pytest.mark.parametrize("charset", ["idna", "rot13", "\u202e", "utf-7", "punycode", "undefined"])
async def test_an_error_in_a_charset_that_is_none_is_told(charset: str) -> None:
    error = await failure(
        answer(401, b"No \xff.", **{"content-type": f"text/plain; charset={charset}"})
    )
    assert isinstance(error, AuthenticationError)


async def test_an_error_that_is_nested_deeply_is_told() -> None:
    deep = b'{"error": {"message": "Too deep.", "x": ' + b"[" * 900 + b"]" * 900 + b"}}"
    assert "Too deep." in str(await failure(answer(400, deep)))


@pytest.mark.parametrize("wait", ["inf", "9" * 400, "Fri, 31 Dec 99999 23:59:59 GMT"])
async def test_a_wait_that_is_no_time_is_not_told(wait: str) -> None:
    error = await failure(refusal(429, "Slow down.", **{"retry-after": wait}))
    assert (type(error), error.retry_after) == (RateLimitError, None)


async def test_an_endless_error_is_read_to_its_cap() -> None:
    endless = answer(400, b"x" * 3_000_000)
    error = await failure(endless, limits=Limits(error_bytes=1000))
    assert isinstance(error, BadRequestError)
    assert len(error.__cause__.response.content) == 1000


async def test_an_error_whose_body_never_ends_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nbagents.models._http._ERROR_BODY_SECONDS", 0.1)

    async def half(_: Any, writer: Any) -> None:
        writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 1000\r\n\r\nhalf of it")
        await writer.drain()
        await asyncio.sleep(30)

    assert "half of it" in str(await failure(half))


class TestRetries:
    async def test_what_may_pass_is_tried_again_and_the_wait_is_heeded(self) -> None:
        soon = refusal(429, "Slow down", retry_after_ms="10")
        with Server(soon, soon, answer(200, completion())) as server:
            async with client_at(server.base_url, max_retries=2) as client:
                assert (await client.create(HI)).content == "Hello world"
            assert len(server.requests) == 3

    async def test_an_exhausted_quota_is_not_tried_again(self) -> None:
        with Server(refusal(429, "Nothing left", "insufficient_quota")) as server:
            async with client_at(server.base_url, max_retries=2) as client:
                with pytest.raises(QuotaExceededError):
                    await client.create(HI)
            assert len(server.requests) == 1

    async def test_a_wait_beyond_the_limit_is_told_at_once(self) -> None:
        with Server(refusal(429, "Slow down", retry_after="300")) as server:
            async with client_at(server.base_url, max_retries=2) as client:
                with pytest.raises(RateLimitError, match="in 300 s") as caught:
                    await client.create(HI)
            assert len(server.requests) == 1
        assert caught.value.retry_after == 300

    async def test_nothing_is_tried_again_once_text_has_come(self) -> None:
        with Server(stream(text("Hello"), None)) as server:
            async with client_at(server.base_url, max_retries=2) as client:
                with pytest.raises(RequestError):
                    async for _ in client.create_stream(HI):
                        pass
            assert len(server.requests) == 1

    async def test_a_dropped_connection_is_tried_again(self) -> None:
        async def hang_up(_: Any, writer: Any) -> None:
            writer.transport.abort()

        with Server(hang_up, answer(200, completion())) as server:
            async with client_at(server.base_url, max_retries=1) as client:
                assert (await client.create(HI)).content == "Hello world"

    @pytest.mark.parametrize(
        ("said", "seconds"),
        [("try again in 1.5s", 1.5), ("try again in 200ms", 0.2), ("retry after 9 seconds", 9.0)],
    )
    async def test_the_wait_may_stand_in_the_message(self, said: str, seconds: float) -> None:
        error = await failure(refusal(429, f"Rate limit reached. Please {said}."))
        assert error.retry_after == seconds

    async def test_the_wait_may_be_a_date(self) -> None:
        error = await failure(refusal(429, "No", retry_after="Fri, 31 Dec 2100 23:59:59 GMT"))
        assert error.retry_after > 1_000_000


class TestTheWayThere:
    async def error_at(self, base_url: str, **given: Any) -> NbAgentsError:
        async with client_at(base_url, **given) as client:
            with pytest.raises(NbAgentsError) as caught:
                await client.create(HI)
        return checked(caught.value)

    async def test_nobody_listens(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        error = await self.error_at(f"http://127.0.0.1:{port}/v1")
        assert isinstance(error, APIConnectionError)
        assert f"127.0.0.1:{port} refuses connections. Start the server" in str(error)

    async def test_the_name_is_unknown(self) -> None:
        error = await self.error_at("http://nobody-has-this-name.localhost:9/v1")
        assert isinstance(error, APIConnectionError)
        assert "is not known to this network" in str(error)

    def test_a_name_that_nobody_typed_is_no_typing_error(self) -> None:
        error = socket.gaierror(-2, "Name or service not known")
        told = Failures("https://api.openai.com/v1", "gpt-4o").of(error)
        assert "Are you offline, or behind a proxy (HTTPS_PROXY)?" in str(told)
        assert "base_url" not in str(told)

    @pytest.mark.parametrize("base_url", ["localhost:11434/v1", "ftp://localhost/v1"])
    def test_the_address_is_none(self, base_url: str) -> None:
        with pytest.raises(ConfigurationError, match="give it as http://host:port/v1"):
            client_at(base_url)

    async def test_a_header_is_none_and_its_value_is_not_shown(self) -> None:
        headers = {"X-Api-Key": "open sesame\n"}
        with Server(answer(200, completion())) as server:
            error = await self.error_at(server.base_url, default_headers=headers)
        assert isinstance(error, ConfigurationError)
        assert "default_headers" in str(error)
        assert "sesame" not in f"{error} {error.__cause__!r} {error.__cause__.__cause__!r}"

    async def test_a_minutely_quota_passes(self) -> None:
        said = "You exceeded your current quota. Please retry in 36.5s."
        error = await failure(refusal(429, said))
        assert (type(error), error.retry_after) == (RateLimitError, 36.5)

    async def test_connecting_takes_too_long(self) -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            waiting = [socket.socket() for _ in range(3)]
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", port))
            error = await self.error_at(
                f"http://127.0.0.1:{port}/v1", limits=Limits(connect=0.1, total=5)
            )
            for each in waiting:
                each.close()
        assert isinstance(error, RequestTimeoutError)
        assert "limits=Limits(connect=" in str(error)

    async def test_the_answer_takes_too_long_or_even_the_connection(self) -> None:
        limits = Limits(connect=None, first_byte=0.2)
        with unanswering_port() as full, Server(silence()) as server:
            for base_url, said in (
                (f"http://127.0.0.1:{full}/v1", "could not be reached within 0.2 s"),
                (server.base_url, "did not begin to answer within 0.2 s"),
            ):
                async with client_at(base_url, limits=limits) as client:
                    with pytest.raises(RequestTimeoutError, match=said) as caught:
                        await anext(client.create_stream(HI))
                assert checked(caught.value)

    @pytest.mark.parametrize("base_url", ["http://a..test/v1", f"https://{'a' * 64}.test/v1"])
    async def test_the_name_is_none(self, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NBAGENTS_REQUESTS")
        error = await self.error_at(base_url)
        assert isinstance(error, APIConnectionError)
        assert "is not known to this network. Check base_url for a typing error." in str(error)

    @pytest.mark.parametrize(
        ("header", "said"),
        [
            ("content-length: many", "bad Content-Length"),
            ("content-length: -5", "bad Content-Length"),
            ("content-length: 5\r\ncontent-length: 9", "conflicting Content-Length headers"),
            ("transfer-encoding: zipped", "Only Transfer-Encoding: chunked is supported"),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", "Transfer-Encoding"),
            ("no header", "illegal header line: 'no header'"),
        ],
    )
    async def test_a_header_of_the_answer_is_wrong(self, header: str, said: str) -> None:
        async def wrong(_: Any, writer: Any) -> None:
            writer.write(f"HTTP/1.1 200 OK\r\n{header}\r\n\r\n".encode())

        error = await failure(wrong)
        assert isinstance(error, APIConnectionError)
        assert "sent what is no HTTP (" in str(error)
        assert said in str(error)
        assert str(error).endswith(" Check the server, and any proxy on the way.")

    async def test_the_answer_is_none(self) -> None:
        async def greet(_: Any, writer: Any) -> None:
            writer.write(b"220 mail.test ESMTP\r\n\r\n")

        error = await failure(greet)
        assert "sent what is no HTTP (illegal status line: '220 mail.test ESMTP')" in str(error)
        assert "if the server speaks TLS" in str(error)

    async def test_a_piece_of_the_reply_is_wrong(self) -> None:
        async def wrong(_: Any, writer: Any) -> None:
            said = text("Hello")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
            writer.write(b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(said), said))
            writer.write(b"many\r\n")

        error = await failure(wrong)
        assert isinstance(error, IncompleteReplyError)
        assert error.partial == "Hello"
        assert "sent what is no HTTP (illegal chunk header: 'many')" in str(error)

    async def test_it_hangs_up_in_the_middle_of_a_chunk(self) -> None:
        error = await failure(stream(text("Hello"), None))
        assert isinstance(error, IncompleteReplyError)
        assert "The connection to 127.0.0.1:" in str(error)

    async def test_a_request_that_is_too_long_is_refused_while_it_is_sent(self) -> None:
        """The server reads no more of it, and does not hang up either."""
        refused = asyncio.Event()

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            said = b'{"error": {"message": "Shorter, please."}}'
            length = b"content-length: %d" % len(said)
            writer.write(b"HTTP/1.1 413 Too Large\r\n%b\r\n\r\n%b" % (length, said))
            await refused.wait()
            writer.transport.abort()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0, limit=1000)
        long: list[LLMMessage] = [UserMessage(content="long " * 5_000_000, source="ada")]
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with client_at(f"http://127.0.0.1:{port}/v1") as client:
                with pytest.raises(NbAgentsError, match="answered 413: Shorter, please") as caught:
                    await client.create(long)
            refused.set()
        assert checked(caught.value)

    async def test_an_argument_that_is_not_json(self) -> None:
        async with client_at("http://127.0.0.1:9/v1") as client:
            with pytest.raises(ConfigurationError, match="could not be made"):
                await client.create(HI, extra_create_args={"metadata": {"a": object()}})

    async def test_a_body_that_claims_to_be_gzip(self) -> None:
        with Server(answer(200, b"not gzip", content_encoding="gzip")) as server:
            error = await self.error_at(server.base_url)
        assert "Check base_url" in str(error)

    async def test_a_redirect_in_circles(self) -> None:
        with Server(answer(307, b"", location="/v1/chat/completions")) as server:
            error = await self.error_at(server.base_url)
        assert "redirect" in str(error)
