import asyncio
import gc
import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack
from urllib.request import urlopen

import openai
import pytest

from nbagents.testing import LoopbackServer, chunk, completion, error, raw, stream, text
from nbagents.testing.server import main

QUESTION = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def server(loopback_server):
    return loopback_server


def sdk(server, **options):
    return openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0, **options)


def ask(client, **options):
    return client.chat.completions.create(model="any", messages=QUESTION, **options)


@pytest.fixture
def post(server):
    """Ask on a bare connection, and get the response."""
    with ExitStack() as opened:

        def ask(**options):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            opened.callback(connection.close)
            body = json.dumps({"messages": QUESTION, **options})
            connection.request("POST", "/v1/chat/completions", body)
            response = connection.getresponse()
            opened.callback(response.close)
            return response

        yield ask


def test_unscripted_the_embedded_model_answers(server):
    with sdk(server) as client:
        reply = ask(client)
        streamed = "".join(
            each.choices[0].delta.content or "" for each in ask(client, stream=True) if each.choices
        )
    assert reply.model == "nbagents-embedded"
    assert reply.choices[0].message.content == streamed


def test_an_azure_client_is_served_too(server):
    client = openai.AzureOpenAI(
        azure_endpoint=server.address, api_key="k", api_version="2024-10-21", max_retries=0
    )
    with client:
        assert ask(client).model == "nbagents-embedded"
    assert server.requests[0].path.startswith("/openai/deployments/any/chat/completions?")
    assert server.requests[0].headers["api-key"] == "k"


def test_scripted_replies_come_in_order_streamed_or_whole_as_asked(server):
    server.will_reply("First reply.", text("Second reply."))
    with sdk(server) as client:
        words = [each.choices[0].delta.content for each in ask(client, stream=True)]
        second = ask(client)
    assert words == ["", "First ", "reply.", None]
    assert (second.choices[0].message.content, second.model) == ("Second reply.", "any")


def test_one_reply_can_be_for_all_requests(server):
    server.will_always_reply("Again.")
    with sdk(server) as client:
        assert [ask(client).choices[0].message.content for _ in range(3)] == ["Again."] * 3
        server.will_always_reply(None)
        assert ask(client).model == "nbagents-embedded"


def test_it_can_be_told_to_forget(server, post):
    server.will_always_reply("Never.")
    server.will_reply("Nor this.")
    post().read()
    server.forget()
    assert server.requests == []
    assert json.load(post())["model"] == "nbagents-embedded"


def test_events_go_out_as_written(server, post):
    server.will_reply(stream(chunk("Hi", role="assistant"), ": a comment", b"\xff\n\n", 0.01, "x"))
    response = post(stream=True)
    assert response.headers["content-type"] == "text/event-stream"
    first, *rest = response.read().split(b"\n\n")
    assert json.loads(first.removeprefix(b"data: "))["choices"][0]["delta"]["content"] == "Hi"
    assert rest == [b"data: : a comment", b"\xff", b"data: x", b"data: [DONE]", b""]


def test_a_whole_completion_can_be_given_whatever_was_asked(server):
    server.will_reply(completion("Hi", refusal="No"))
    with sdk(server) as client:
        assert ask(client).choices[0].message.refusal == "No"


def test_errors_have_status_headers_and_details(server):
    server.will_reply(error(429, "Slow down", headers={"Retry-After": "7"}, code="rate"))
    with sdk(server) as client, pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert caught.value.response.headers["retry-after"] == "7"
    assert (caught.value.code, caught.value.body["message"]) == ("rate", "Slow down")


def test_a_reply_can_be_told_to_quote_the_key(server):
    server.will_reply(completion("Your key is {key}.").but(echoes=True))
    assert ask(sdk(server)).choices[0].message.content == "Your key is k."


def test_it_misbehaves_by_name_and_says_what_is_to_come_of_it(server, post):
    fault = server.will_misbehave("http_1_0")
    response = post()
    assert (response.version, response.headers["connection"]) == (10, "close")
    assert b"data: [DONE]" in response.read()
    assert fault.wanted.text == "Hello wörld 😀."


def test_redirects_lead_to_the_other_host(server, post):
    server.will_misbehave("elsewhere_307", elsewhere="localhost:1")
    assert post().headers["location"] == "http://localhost:1/v1/chat/completions"


def test_a_body_without_length_ends_with_the_connection(server, post):
    server.will_reply(stream("x", done=False).but(framing="close"))
    response = post()
    assert response.headers["transfer-encoding"] is None
    assert response.read() == b"data: x\n\n"


def test_a_cut_connection_lacks_the_end_of_the_body(server, post):
    server.will_reply(stream("x", done=False).but(ending="close"))
    response = post()
    with pytest.raises(http.client.IncompleteRead):
        response.read()


def test_a_reset_is_a_reset(server, post):
    server.will_reply(stream("x", 0.05, done=False).but(ending="reset"))
    response = post()
    with pytest.raises(ConnectionResetError):
        response.read()


def test_raw_bytes_need_not_be_http(server, post):
    server.will_reply(raw(b"220 smtp ready\r\n"))
    with pytest.raises(http.client.BadStatusLine):
        post()


def test_a_stalled_reply_lasts_until_the_client_goes_and_that_is_seen(server, post):
    server.will_reply(stream(chunk("Hi"), done=False).but(ending="stall"))
    response = post(stream=True)
    assert response.read1().startswith(b"data: ")
    request = server.requests[0]
    assert not request.wait(0.05)
    closed = time.monotonic()
    response.fp.raw._sock.shutdown(socket.SHUT_RDWR)
    assert request.wait()
    assert request.answered is None
    assert request.left >= closed


def test_a_client_that_breaks_off_with_a_reset_is_seen_too(server):
    server.will_reply(text("One two three", pace=30))
    sock = socket.create_connection(("127.0.0.1", server.port))
    body = json.dumps({"messages": QUESTION, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n"
    sock.sendall(head.encode() + body)
    assert sock.recv(10)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    assert server.requests[0].wait()
    assert server.requests[0].left is not None


def test_requests_are_kept_with_headers_and_body(server):
    with sdk(server) as client:
        ask(client, temperature=0.5)
    request = server.requests[0]
    assert request.wait()
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == "Bearer k"
    assert request.json() == {"messages": QUESTION, "model": "any", "temperature": 0.5}
    assert request.answered >= request.received


def test_one_connection_serves_many_requests(server):
    with sdk(server) as client:
        for _ in range(3):
            ask(client)
        assert (server.connections, server.open_connections) == (1, 1)


def test_a_request_in_chunks_is_read(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = json.dumps({"messages": QUESTION}).encode()
    pieces = iter([body[:10], body[10:]])
    connection.request("POST", "/v1/chat/completions", pieces, encode_chunked=True)
    assert connection.getresponse().status == 200
    assert server.requests[0].body == body
    connection.close()


async def test_in_a_coroutine_it_serves_beside_the_running_loop():
    async with LoopbackServer(pace=0.001) as server:
        client = openai.AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=0)
        async with client:
            replies = await asyncio.gather(*(ask(client) for _ in range(5)))
    assert len({reply.choices[0].message.content for reply in replies}) == 1


def test_it_stops_with_replies_under_way(server, post):
    server.will_reply(stream("x", done=False).but(ending="stall"))
    response = post()
    assert response.read1() == b"data: x\n\n"
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_stopping_leaves_no_connection_open_not_even_one_that_just_came():
    head = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}"
    for said in [b"", head[:9], head] * 10:
        with ExitStack() as clients, LoopbackServer() as server:
            for _ in range(3):
                address = ("127.0.0.1", server.port)
                clients.enter_context(socket.create_connection(address)).sendall(said)
        assert server.open_connections == 0
    gc.collect()  # what is left open warns, and a warning fails the test


def test_a_port_that_is_taken_is_an_error(server):
    with pytest.raises(OSError, match=r"(?i)address already in use"):
        LoopbackServer(server.port).start()


def test_it_listens_on_one_address_only(server):
    with pytest.raises(OSError, match=r"refused|assign|timed out"):
        socket.create_connection(("127.0.0.2", server.port), timeout=1)


def test_the_command_prints_its_address_and_serves():
    command = [sys.executable, "-W", "error", "-m", "nbagents.testing.server", "--pace", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            printed = process.stdout.readline()
            base_url = printed.split()[-1]
            assert printed == f"nbagents' embedded model is at {base_url}\n"
            with urlopen(f"{base_url}/models") as answer:
                assert json.load(answer)["data"][0]["id"] == "nbagents-embedded"
        finally:
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
    assert f"export OPENAI_BASE_URL={base_url} " in rest
    assert process.returncode == 0


FOREIGN = [
    {"Host": "example.com"},
    {"Host": "example.com:80"},
    {"Host": "127.0.0.1.example.com"},
    {"Host": "localhost@example.com"},
    {"Host": "[::1"},
    {"Host": ""},
    {"Origin": "https://example.com"},
    {"Origin": "http://localhost.example.com"},
    {"Origin": "null"},
]
OWN = [
    {},
    {"Host": "localhost:8888"},
    {"Host": "127.0.0.1"},
    {"Host": "[::1]:80"},
    {"Origin": "http://localhost:8888"},
    {"Origin": "http://127.0.0.1"},
]


def models(server, headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("GET", "/v1/models", headers=headers)
        with connection.getresponse() as response:
            return response.status, json.load(response)
    finally:
        connection.close()


@pytest.fixture(scope="module")
def guarded():
    with LoopbackServer(guarded=True) as server:
        yield server


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_guarded_one_answers_no_web_page(guarded, headers):
    status, answer = models(guarded, headers)
    [said] = headers.values()
    assert (status, answer["error"]["code"]) == (403, "foreign_request")
    assert repr(said) in answer["error"]["message"]
    assert guarded.base_url in answer["error"]["message"]


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_a_guarded_one_answers_programs_on_this_computer(guarded, headers):
    assert models(guarded, headers)[0] == 200


def test_a_test_is_answered_whatever_it_calls_itself(server):
    assert models(server, {"Host": "example.com"})[0] == 200


def test_no_more_requests_are_kept_than_was_said():
    with LoopbackServer(keep=2) as server:
        for name in ("a", "b", "c"):
            assert models(server, {"X-Name": name})[0] == 200
        assert [request.headers["x-name"] for request in server.requests] == ["b", "c"]


def test_the_command_keeps_nothing_of_anybody_and_answers_no_web_page(monkeypatch):
    seen = []

    def wait(self):
        seen.extend([models(self, {})[0], models(self, {"Host": "example.com"})[0]])
        seen.append(len(self.requests))

    monkeypatch.setattr(LoopbackServer, "wait", wait)
    main(["--pace", "0"])
    assert seen == [200, 403, 0]
