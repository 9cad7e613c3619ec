"""Which client the cells get that name none: what is set now counts, and connections are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbagents.agents import ChatAgent
from nbagents.errors import ConfigurationError
from nbagents.loop import run
from nbagents.messages import UserMessage
from nbagents.models._cassette.switch import eject
from nbagents.notebook._clients import Clients
from nbagents.testing import LoopbackServer


def _ask(clients: Clients) -> None:
    client, _ = clients.get("")
    run(client.create([UserMessage(content="Hi", source="user")]))


def test_a_corrected_key_or_address_counts_from_the_next_cell_on(
    monkeypatch: pytest.MonkeyPatch, loopback_server: LoopbackServer
) -> None:
    clients = Clients()
    monkeypatch.setenv("OPENAI_MODEL", "gpt-4.1-mini")
    monkeypatch.setenv("OPENAI_BASE_URL", loopback_server.base_url)
    for key in ("wrong", "right"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        loopback_server.will_reply("ok")
        _ask(clients)
    sent = [request.headers["authorization"] for request in loopback_server.requests]
    assert sent == ["Bearer wrong", "Bearer right"]
    monkeypatch.setenv("OPENAI_BASE_URL", f"{loopback_server.address}/elsewhere/v1")
    loopback_server.will_reply("ok")
    _ask(clients)
    assert loopback_server.requests[-1].path == "/elsewhere/v1/chat/completions"
    _ask(clients)
    assert loopback_server.connections == 3  # one a client
    assert not any("right" in str(each) for each in vars(clients).values())


def test_an_agent_of_the_embedded_model_is_asked_for_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients = Clients()
    monkeypatch.setenv("NBAGENTS_PROBE", "0")
    tutor = ChatAgent(clients.get("")[0], name="tutor")
    clients.check("embedded", tutor)
    with pytest.raises(ConfigurationError, match="Only the embedded model is here, not 'gpt-4o'"):
        clients.check("gpt-4o", tutor)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(ConfigurationError, match="%%chat tutor --new -m gpt-4o"):
        clients.check("gpt-4o", tutor)
    clients.check("gpt-4o-mini", ChatAgent(clients.get("gpt-4o")[0]))


def test_a_cassette_that_is_put_in_anew_is_asked_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clients = Clients()
    monkeypatch.setenv("NBAGENTS_PROBE", "0")
    monkeypatch.setenv("NBAGENTS_CASSETTE", str(tmp_path / "tour.jsonl"))
    found = []
    for mode in ("replay", "auto", "replay"):
        monkeypatch.setenv("NBAGENTS_MODE", mode)
        eject()
        found.append(getattr(clients.get("")[0], "model", ""))
    assert found == ["gpt-4.1-mini", "nbagents-embedded", "nbagents-embedded"]
    monkeypatch.undo()
    eject()


def test_a_client_is_made_anew_for_what_it_reads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = Clients()
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    first, _ = clients.get("gpt-4o")
    monkeypatch.setenv("NBAGENTS_BUDGET", "3")
    monkeypatch.setenv("UNRELATED", "yes")
    assert clients.get("gpt-4o")[0] is first
    assert clients.get("gpt-4o-mini")[0] is not first
    assert clients.get("gpt-4o")[0] is first
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert clients.get("gpt-4o")[0] is not first
