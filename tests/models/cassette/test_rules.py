"""Rules in a cassette's header are a stranger's, where the cassette is."""

from __future__ import annotations

import pytest

from nbagents.errors import ConfigurationError
from nbagents.models._cassette.rules import normaliser


def test_a_rule_replaces_what_varies_wherever_it_stands() -> None:
    normalised = normaliser([{"replace": r"run \d+", "with": "run <n>"}])
    assert normalised({"a": ["run 7", {"b": "in run 12."}], "c": 7}) == {
        "a": ["run <n>", {"b": "in run <n>."}],
        "c": 7,
    }


def test_rules_that_double_a_text_are_stopped_before_it_fills_the_memory() -> None:
    normalised = normaliser([{"replace": "(?s).+", "with": r"\g<0>\g<0>"}] * 60)
    with pytest.raises(ConfigurationError, match="ever longer"):
        normalised("a text")
