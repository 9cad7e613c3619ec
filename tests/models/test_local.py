import socket
import threading
import time
from contextlib import suppress

import pytest

from nbagents.models._local import Found, LocalServer, find_servers, is_chat_model, models_at
from nbagents.testing import LoopbackServer


def local(port, key="ollama"):
    return LocalServer(key, key.title(), port)


@pytest.fixture
def probing(monkeypatch):
    """Requests are not restricted, as outside of suites."""
    monkeypatch.delenv("NBAGENTS_REQUESTS")


@pytest.fixture
def patient(monkeypatch):
    """Servers may take their time: this machine may be busy with something else."""
    for seconds in ("_SECONDS", "_SECONDS_FOR_ALL"):
        monkeypatch.setattr(f"nbagents.models._local.{seconds}", 30)


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def says():
    """Start a server that answers every request with these bytes, once or until nobody listens."""
    servers = []

    def start(answer, *, for_ever=False):
        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(ConnectionError):
                    connection.recv(65536)
                    connection.sendall(answer)
                    while for_ever:
                        time.sleep(0.05)
                        connection.sendall(answer)

        server = socket.create_server(("127.0.0.1", 0))
        servers.append((server, threading.Thread(target=serve)))
        servers[-1][1].start()
        return server.getsockname()[1]

    yield start
    for server, thread in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.parametrize("piece", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_server_that_never_comes_to_an_end_is_left(says, piece):
    port = says(piece, for_ever=True)
    assert models_at(f"http://127.0.0.1:{port}/v1") == []


def listing(body):
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.usefixtures("probing", "patient")
def test_a_server_at_its_port_is_found_with_its_models(loopback_server):
    server = local(loopback_server.port)
    assert find_servers([server]) == [Found(server, ("nbagents-embedded",))]


@pytest.mark.usefixtures("probing", "patient")
def test_several_are_found_in_the_order_they_were_named(free_port):
    with LoopbackServer() as one, LoopbackServer() as two:
        servers = [local(two.port, "vllm"), local(free_port), local(one.port, "lmstudio")]
        assert [found.server for found in find_servers(servers)] == [servers[0], servers[2]]


@pytest.mark.usefixtures("probing", "patient")
def test_models_that_do_not_chat_are_passed_over(says):
    body = b'{"data": [{"id": "nomic-embed-text"}, {"id": "llama3.2:1b"}, {"id": "phi4"}]}'
    assert find_servers([local(says(listing(body)))])[0].models == ("llama3.2:1b", "phi4")


@pytest.mark.usefixtures("probing", "patient")
def test_names_that_cannot_be_shown_are_none(says):
    names = [r"\u001b[2Jx", r"a\nb", r"\u202ex", "x" * 10_000, "phi4"]
    body = ", ".join(f'{{"id": "{name}"}}' for name in names)
    found = find_servers([local(says(listing(f'{{"data": [{body}]}}'.encode())))])
    assert found[0].models == ("phi4",)


@pytest.mark.usefixtures("probing", "patient")
@pytest.mark.parametrize(
    "answer",
    [
        listing(b"<html>Welcome</html>"),
        listing(b'{"data": "none"}'),
        listing(b'{"data": [{"id": 7}, 8]}'),
        listing(b'{"data": [{"id": "nomic-embed-text"}]}'),
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        b"220 not HTTP\r\n",
        b"",
    ],
)
def test_what_does_not_list_models_that_chat_is_no_server(says, answer):
    assert find_servers([local(says(answer))]) == []


@pytest.mark.usefixtures("probing")
def test_a_port_that_accepts_and_says_nothing_costs_half_a_second():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert find_servers([local(silent.getsockname()[1])] * 3) == []
        assert time.monotonic() - began < 10  # on a busy machine


def test_nothing_is_asked_where_the_switch_or_the_variable_forbids_it(loopback_server, monkeypatch):
    servers = [local(loopback_server.port)]
    assert find_servers(servers) == []  # the suite restricts requests
    monkeypatch.delenv("NBAGENTS_REQUESTS")
    monkeypatch.setenv("NBAGENTS_PROBE", "0")
    assert find_servers(servers) == []
    assert loopback_server.connections == 0


def test_a_model_is_known_with_and_without_its_tag():
    found = Found(local(1), ("llama3.2:latest", "phi4"))
    assert found.named("llama3.2") == "llama3.2:latest"
    assert found.named("llama3.2:latest") == "llama3.2:latest"
    assert found.named("phi") is None


@pytest.mark.usefixtures("patient")
def test_a_server_elsewhere_on_this_machine_can_be_asked(loopback_server):
    assert models_at(loopback_server.base_url) == ["nbagents-embedded"]
    assert models_at("https://127.0.0.1/v1") == []
    assert models_at("http://192.0.2.1/v1") == []


@pytest.mark.parametrize(
    "name", ["text-embedding-3-small", "bge-m3", "jina-reranker-v2", "whisper-1", "tts-1"]
)
def test_embeddings_and_speech_do_not_chat(name):
    assert not is_chat_model(name)


@pytest.mark.parametrize("name", ["gpt-4.1", "llama3.2:1b", "Qwen/Qwen3-8B", "nbagents-embedded"])
def test_all_else_may_chat(name):
    assert is_chat_model(name)
