"""What a request costs, and which names are understood."""

import json
import math
from datetime import date
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagents import prices
from nbagents.messages import RequestUsage

LIST = json.loads(files("nbagents").joinpath("prices.json").read_text(encoding="utf-8"))
tokens = st.integers(min_value=0, max_value=2_000_000)


@pytest.fixture(autouse=True)
def no_own_prices(monkeypatch):
    monkeypatch.setattr(prices, "_own", {})


def test_a_request_costs_its_tokens_at_the_models_rate():
    # 1,000 at $2.50 and 100 at $10 a million.
    assert prices.cost_usd("gpt-4o", 1_000, 100) == pytest.approx(0.0035)


def test_cached_tokens_cost_less():
    # 600 at $2.50, 400 at $1.25, 100 at $10 a million.
    assert prices.cost_usd("gpt-4o", 1_000, 100, cached_tokens=400) == pytest.approx(0.003)


def test_cached_tokens_without_a_price_of_their_own_cost_the_full_one():
    assert prices.cost_usd("gpt-4", 1_000, 0, 1_000) == prices.cost_usd("gpt-4", 1_000, 0)


def test_of_several_names_the_first_that_has_a_price_counts():
    usage = RequestUsage(1_000, 100)
    assert prices.cost_of(usage, "my-deployment", None, "gpt-4o") == pytest.approx(0.0035)
    assert prices.cost_of(usage, "my-deployment") is None


def test_a_long_prompt_costs_more_from_its_first_token():
    assert prices.cost_usd("gemini-2.5-pro", 200_000, 0) == pytest.approx(0.25)
    assert prices.cost_usd("gemini-2.5-pro", 200_001, 0) == pytest.approx(200_001 * 2.5e-6)


def test_an_unknown_model_costs_nobody_knows_what_and_not_nothing():
    assert prices.cost_usd("llama3.2", 1_000, 100) is None


def test_the_embedded_model_costs_nothing():
    assert prices.cost_usd("nbagents-embedded", 1_000, 100) == 0


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("gpt-4o", "gpt-4o"),
        ("GPT-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("openrouter/openai/gpt-4o-2024-11-20", "gpt-4o"),
        ("azure/gpt-4.1-2025-04-14", "gpt-4.1"),
        ("gpt-35-turbo", "gpt-3.5-turbo"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("anthropic/claude-opus-4.1", "claude-opus-4-1"),
        ("ft:gpt-4o-2024-08-06:acme::9x", "ft:gpt-4o"),
        ("ft:gpt-4o-mini-2024-07-18:acme:suffix:9x", "ft:gpt-4o-mini"),
    ],
)
def test_snapshots_prefixes_and_fine_tunes_lead_to_their_entry(name, entry):
    assert prices.known_as(name) == entry


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "ft:",
        "gpt",
        "gpt-4o-",
        "gpt-4o-audio-preview",
        "gpt-4o:extended",
        "gpt-4o-mini-tts",
        "my-proxy/gpt-4o",
        "ft:o3-2025-04-16:acme::9x",
        "mistral-large-latest",
        "deepseek-r1:8b",
    ],
)
def test_a_name_that_only_looks_like_a_model_has_no_price(name):
    assert prices.known_as(name) is None
    assert prices.cost_usd(name, 1, 1) is None
    assert prices.context_window(name) is None


def test_context_windows_are_known_where_the_source_says_them():
    assert prices.context_window("gpt-4o-2024-08-06") == 128_000
    assert prices.context_window("gpt-5-chat-latest") is None


def test_you_can_add_a_price():
    prices.set_price("my-deployment", input=1, cached_input=0.5, output=2, context_window=32_000)
    assert prices.cost_usd("my-deployment", 2_000_000, 1_000_000, 1_000_000) == pytest.approx(3.5)
    assert prices.context_window("My-Deployment") == 32_000


def test_you_can_override_a_price_and_the_snapshots_follow():
    prices.set_price("gpt-4o", input=1, output=1)
    assert prices.cost_usd("openai/gpt-4o-2024-08-06", 1_000_000, 0) == pytest.approx(1)
    assert prices.context_window("gpt-4o") == 128_000


def test_a_fine_tuned_model_of_yours_can_have_its_own_price():
    prices.set_price("ft:gpt-4o-2024-08-06:acme::9x", input=0, output=1)
    assert prices.cost_usd("ft:gpt-4o-2024-08-06:acme::9x", 5, 1_000_000) == pytest.approx(1)
    assert prices.known_as("ft:gpt-4o-2024-08-06:acme::other") == "ft:gpt-4o"


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf])
def test_a_price_is_a_finite_number_of_dollars(wrong):
    with pytest.raises(ValueError, match="output must be 0 or more USD per million tokens"):
        prices.set_price("mine", input=1, output=wrong)
    assert prices.known_as("mine") is None


@pytest.mark.parametrize("wrong", ["1", True, None])
def test_a_price_is_a_number(wrong):
    with pytest.raises(TypeError, match="input must be a number"):
        prices.set_price("mine", input=wrong, output=1)


def test_a_price_needs_a_name():
    with pytest.raises(ValueError, match="needs the model's name"):
        prices.set_price(" ", input=1, output=1)


@given(st.sampled_from(sorted(LIST["models"])), tokens, tokens, tokens)
def test_a_cost_is_never_negative_and_caching_never_adds_to_it(model, prompt, completion, cached):
    cost = prices.cost_usd(model, prompt, completion, cached)
    full = prices.cost_usd(model, prompt, completion)
    assert 0 <= cost <= full + 1e-9


def test_the_list_says_when_and_where_its_figures_were_read():
    assert date.fromisoformat(LIST["checked"])
    assert LIST["unit"] == "USD per million tokens"
    assert {model["source"] for model in LIST["models"].values()} == set(LIST["sources"])


def test_every_entry_and_alias_of_the_list_holds_together():
    assert set(LIST["aliases"].values()) <= set(LIST["models"])
    assert not set(LIST["aliases"]) & set(LIST["models"])
    for name, model in LIST["models"].items():
        assert name == name.lower()
        for rates in filter(None, [model, model.get("above")]):
            assert 0 <= (rates["cached_input"] or 0) <= rates["input"] <= rates["output"], name


def test_every_model_that_has_a_price_is_named_once():
    prices.set_price("llama-at-home", input=0, output=0)
    prices.set_price("gpt-4o", input=1, output=1)
    assert prices.priced_models() == (*LIST["models"], "llama-at-home")


@pytest.mark.parametrize(
    ("cost", "written"),
    [
        (0, "$0.00"),
        (1234.5, "$1,234.50"),
        (0.5, "$0.50"),
        (0.042, "$0.042"),
        (1.2e-05, "$0.000012"),
    ],
)
def test_a_sum_is_written_as_people_write_it(cost, written):
    assert prices.in_dollars(cost) == written
