import pytest

from nbagents.errors import ConfigurationError
from nbagents.messages import UserMessage
from nbagents.models import OpenAIChatCompletionClient
from nbagents.models._requests import allowed, check_allowed, is_loopback, restricted
from nbagents.testing import error


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:11434/v1",
        "http://LOCALHOST./v1",
        "http://127.0.0.1:8000",
        "http://127.8.9.10",
        "http://[::1]:8080/v1",
        "http://nbagents-embedded.localhost/v1",
    ],
)
def test_this_machine_is_known_by_its_names_and_numbers(url):
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://localhost@example.org/v1",
        "http://0.0.0.0:8000",
        "http://10.0.0.1",
        "",
    ],
)
def test_what_only_looks_like_this_machine_is_not_it(url):
    assert not is_loopback(url)


@pytest.mark.parametrize(
    ("mode", "loopback", "outside"),
    [("", True, True), ("on", True, True), ("loopback", True, False), ("OFF ", False, False)],
)
def test_the_switch_has_three_positions(monkeypatch, mode, loopback, outside):
    monkeypatch.setenv("NBAGENTS_REQUESTS", mode)
    assert allowed("http://127.0.0.1:1234/v1") is loopback
    assert allowed("https://api.openai.com/v1") is outside
    assert restricted() is not (loopback and outside)


def test_a_forbidden_request_is_refused_with_the_host_and_the_way_out(monkeypatch):
    monkeypatch.setenv("NBAGENTS_REQUESTS", "loopback")
    with pytest.raises(ConfigurationError) as caught:
        check_allowed("https://api.openai.com/v1")
    assert str(caught.value) == (
        "NBAGENTS_REQUESTS=loopback forbids requests to api.openai.com. Answer from the embedded "
        "model, a loopback server or a scripted client, or unset the variable."
    )


def test_a_position_that_does_not_exist_is_an_error(monkeypatch):
    monkeypatch.setenv("NBAGENTS_REQUESTS", "maybe")
    with pytest.raises(ConfigurationError, match="on, loopback, off"):
        check_allowed("http://localhost")


async def test_a_client_sends_nothing_that_is_forbidden():
    async with OpenAIChatCompletionClient(model="gpt-4.1", api_key="sk-canary") as client:
        with pytest.raises(ConfigurationError, match=r"forbids requests to api\.openai\.com"):
            await client.create([UserMessage(content="Hello", source="user")])


async def test_a_redirect_leads_nowhere_that_is_forbidden(loopback_server):
    away = {"location": "http://example.org/v1/chat/completions"}
    loopback_server.will_always_reply(error(307, headers=away))
    settings = {"api_key": "sk-canary", "base_url": loopback_server.base_url}
    async with OpenAIChatCompletionClient(model="gpt-4.1", **settings) as client:
        with pytest.raises(ConfigurationError, match=r"forbids requests to example\.org"):
            await client.create([UserMessage(content="Hello", source="user")])
