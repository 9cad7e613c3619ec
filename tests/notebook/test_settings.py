"""The settings of chat cells: the environment stands over the defaults."""

from __future__ import annotations

import pytest
from traitlets.config import Config

from nbagents.errors import ConfigurationError
from nbagents.notebook._settings import ChatSettings


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("NBAGENTS_MODEL", "gpt-4o", "model", "gpt-4o"),
        ("NBAGENTS_SYSTEM", "Be brief.", "system", "Be brief."),
        ("NBAGENTS_TEMPERATURE", "0.5", "temperature", 0.5),
        ("NBAGENTS_MAX_TOKENS", "500", "max_tokens", 500),
        ("NBAGENTS_BUFFER_SIZE", "10", "buffer_size", 10),
        ("NBAGENTS_BUDGET", "0.50", "budget", 0.5),
    ],
)
def test_each_has_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object
) -> None:
    config = Config({"ChatSettings": {name: type(value)(1)}})
    assert getattr(ChatSettings(config=config), name) == type(value)(1)
    monkeypatch.setenv(variable, text)
    assert getattr(ChatSettings(config=config), name) == value


@pytest.mark.parametrize("temperature", ["9", "-1"])
def test_a_temperature_beyond_what_models_take_is_refused(
    monkeypatch: pytest.MonkeyPatch, temperature: str
) -> None:
    monkeypatch.setenv("NBAGENTS_TEMPERATURE", temperature)
    with pytest.raises(ConfigurationError, match=f"NBAGENTS_TEMPERATURE cannot be '{temperature}'"):
        ChatSettings()


def test_a_variable_that_means_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBAGENTS_BUDGET", "much")
    with pytest.raises(ConfigurationError, match="NBAGENTS_BUDGET cannot be 'much'"):
        ChatSettings()
