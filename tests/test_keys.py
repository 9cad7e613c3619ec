"""Secrets are held out of sight, looked for where they can be told, and let go of."""

from __future__ import annotations

import base64
import copy
import gc
import html
import json
import pickle
import subprocess
import sys
import time
import weakref
from urllib.parse import quote

import pytest

from nbagents._keys import (
    EnvironmentSecret,
    Secret,
    StandIn,
    holds_key,
    in_conversations,
    in_errors,
    in_records,
    known_mask,
    known_words,
    mask_of,
)
from nbagents.errors import ConfigurationError

VARIABLE, SERVER = "KEY_OF_A_TEST", "SERVER_OF_A_TEST"


@pytest.mark.parametrize(
    "key", ["pass/word:canary 3Lp7@Yb1Xe5", "a<b>c&d'e-12345678", "ab/cd+ef=gh%ij12"]
)
def test_no_form_of_a_key_leaves_a_part_of_another(key: str) -> None:
    forms = [key, quote(key), quote(key, safe=""), html.escape(key), json.dumps(key)[1:-1]]
    mask = mask_of([Secret(key)], in_errors)
    for form in (*forms, key[:-3]):
        assert mask.hide(f"It is {form}, then.") == "It is ***, then."
    basic = base64.b64encode(f"ada:{key}".encode()).decode()
    both = mask_of([Secret(basic), Secret(f"Basic {basic}")], in_errors)
    assert both.hide(f"It is Basic {basic}.") == "It is ***."


@pytest.mark.parametrize(
    ("word", "looked_for"),
    [
        ("abc", []),
        ("none", [in_errors]),
        ("lm-studio", [in_errors, in_records]),
        ("sk-no-key-required", [in_errors, in_records]),
        ("token-abc123", [in_errors, in_records, in_conversations]),
        ("correct-horse-battery-staple", [in_errors, in_records, in_conversations]),
    ],
)
def test_a_word_is_looked_for_where_it_is_no_chance(word: str, looked_for: list[object]) -> None:
    places = (in_errors, in_records, in_conversations)
    assert [place for place in places if place(word)] == looked_for


class Watched(str):
    """A text that tells when it is gone."""


def test_nothing_keeps_a_secret_that_nobody_holds() -> None:
    value = Watched("sk-held-by-this-test-alone-1234")
    gone = weakref.ref(value)
    secret = Secret[str](value)
    said = f"It is {value}."
    assert known_mask(in_records).hide(said) == "It is ***."
    assert value in known_words(in_conversations)
    del secret, value
    gc.collect()
    assert gone() is None
    assert known_mask(in_records).hide(said) == said


def test_what_stands_in_for_a_key_is_hidden_nowhere_and_pickled_as_none() -> None:
    stand_in = StandIn("none-needed-of-all-the-24-characters")
    assert mask_of([stand_in], in_errors).hide(stand_in.reveal()) == stand_in.reveal()
    assert stand_in.reveal() not in known_words(in_errors)
    assert pickle.loads(pickle.dumps(stand_in)) is None


def test_no_secret_is_pickled_or_shown() -> None:
    secret = Secret("sk-canary-1234-abcdefgh")
    assert repr(secret) == "Secret(...)"
    assert copy.deepcopy(secret) is secret
    with pytest.raises(ConfigurationError, match="is not pickled"):
        pickle.dumps(secret)


class TestOfAVariable:
    @pytest.fixture(autouse=True)
    def _set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, " first-key-1234\n")

    def test_what_is_set_anew_is_current(self, monkeypatch: pytest.MonkeyPatch) -> None:
        secret = EnvironmentSecret(VARIABLE)
        assert secret.current() == "first-key-1234"
        monkeypatch.setenv(VARIABLE, "second-key-5678")
        assert secret.current() == "second-key-5678"
        assert secret.reveal() == "second-key-5678"

    def test_requests_under_way_with_the_former_one_are_masked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        secret = EnvironmentSecret(VARIABLE)
        monkeypatch.setenv(VARIABLE, "second-key-5678")
        secret.current()
        for mask in (mask_of([secret], in_errors), known_mask(in_records)):
            assert mask.hide("first-key-1234 second-key-5678") == "*** ***"

    @pytest.mark.parametrize("value", [None, "", "  "])
    def test_the_last_one_stays_when_none_is_set(
        self, value: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        secret = EnvironmentSecret(VARIABLE)
        if value is None:
            monkeypatch.delenv(VARIABLE)
        else:
            monkeypatch.setenv(VARIABLE, value)
        assert secret.current() == "first-key-1234"

    def test_the_key_of_another_server_is_not_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(SERVER, "https://one.example/v1")
        secret = EnvironmentSecret(VARIABLE, SERVER)
        monkeypatch.setenv(SERVER, "https://two.example/v1")
        monkeypatch.setenv(VARIABLE, "second-key-5678")
        assert secret.current() == "first-key-1234"
        monkeypatch.setenv(SERVER, "https://one.example/v1")
        assert secret.current() == "second-key-5678"

    def test_what_cannot_be_sent_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        secret = EnvironmentSecret(VARIABLE)
        monkeypatch.setenv(VARIABLE, "two words")
        with pytest.raises(ConfigurationError, match=f"The key from {VARIABLE} holds white space"):
            secret.current()

    def test_it_is_pickled_as_the_variables_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        saved = pickle.dumps(EnvironmentSecret(VARIABLE))
        assert b"first-key" not in saved
        monkeypatch.setenv(VARIABLE, "second-key-5678")
        assert pickle.loads(saved).reveal() == "second-key-5678"
        monkeypatch.delenv(VARIABLE)
        with pytest.raises(ConfigurationError, match=f"{VARIABLE}, which is not set here"):
            pickle.loads(saved)


def test_an_error_may_be_raised_wherever_garbage_is_collected_and_however_deep() -> None:
    raises = (
        "import gc\n"
        "from nbagents._keys import Secret, in_errors, known_mask\n"
        "from nbagents.errors import ConfigurationError\n"
        "class Garbage:\n"
        "    def __init__(self):\n"
        "        self.cycle = self\n"
        "    def __del__(self):\n"
        "        ConfigurationError('closed before')\n"
        "held = [Secret(f'a key of {number:020}') for number in range(200)]\n"
        "gc.set_threshold(50)\n"
        "for _ in range(500):\n"
        "    Garbage()\n"
        "    known_mask(in_errors)\n"
        "def deeper():\n"
        "    known_mask(in_errors)\n"
        "    deeper()\n"
        "try:\n"
        "    deeper()\n"
        "except RecursionError:\n"
        "    pass\n"
    )
    assert subprocess.run([sys.executable, "-c", raises], timeout=120).returncode == 0


@pytest.mark.parametrize("beginning", ["sk-", "eyJ-", "eyJ-aaaaaaaaaaa.", "AIza-", "xoxb-", "hf_"])
def test_a_text_that_repeats_a_keys_beginning_is_soon_searched(beginning: str) -> None:
    started = time.process_time()
    holds_key(beginning * (100_000 // len(beginning)))
    assert time.process_time() - started < 5  # it took half a minute


@pytest.mark.parametrize(
    "key",
    [
        "sk-" + "a" * 100 + "1",
        "sk-proj-Abc_def-0123456789",
        f"eyJ{'a' * 400}.{'b' * 5000}.c",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln",
    ],
)
def test_a_key_is_found_wherever_its_beginning_stands(key: str) -> None:
    for text in (key, f"x-{key}", f"sk-sk-{key}", f"eyJ-eyJ-{key} and on"):
        assert holds_key(text)
