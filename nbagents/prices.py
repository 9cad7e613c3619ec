"""What models cost, and how much they read: one dated list, and your own prices over it.

The list is ``prices.json`` beside this module, with the vendors' pages it goes back to. Prices
are in USD per million tokens, at the vendor's standard rate (no batch, flex or priority tiers).
A model that is not on it has no price: its cost is None, never 0.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

__all__ = [
    "TokenCounts",
    "context_window",
    "cost_of",
    "cost_usd",
    "in_dollars",
    "known_as",
    "priced_models",
    "set_price",
]

_PER_TOKEN = 1e-6
# Names that routers and SDKs put before a model's own.
_PREFIXES = frozenset(
    {
        "anthropic",
        "azure",
        "deepseek",
        "gemini",
        "google",
        "mistral",
        "mistralai",
        "models",
        "openai",
        "openrouter",
    }
)
_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")


@dataclass(frozen=True)
class _Rate:
    """USD per million tokens."""

    input: float
    output: float
    cached_input: float | None = None

    def cost(self, prompt: int, completion: int, cached: int) -> float:
        # Without a price of their own, cached tokens cost what the others do.
        cached_rate = self.input if self.cached_input is None else self.cached_input
        dollars = self.input * (prompt - cached) + cached_rate * cached + self.output * completion
        return dollars * _PER_TOKEN


@dataclass(frozen=True)
class _Entry:
    """A model on the list; prompts longer than ``long_from`` tokens have a rate of their own."""

    rate: _Rate
    context_window: int | None = None
    long_from: int | None = None
    long_rate: _Rate | None = None

    def rate_for(self, prompt: int) -> _Rate:
        if self.long_rate is not None and self.long_from is not None and prompt > self.long_from:
            return self.long_rate
        return self.rate


_own: dict[str, _Entry] = {}


class TokenCounts(Protocol):
    """What has numbers of tokens, such as a `nbagents.messages.RequestUsage`."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens read, those from the server's cache included."""

    @property
    def completion_tokens(self) -> int:
        """Tokens written, those of reasoning included."""

    @property
    def cached_tokens(self) -> int | None:
        """How many of the prompt's tokens the server had cached; None when it did not say."""


def cost_usd(
    model: str, prompt_tokens: int, completion_tokens: int, cached_tokens: int | None = None
) -> float | None:
    """What a request costs in USD, or None when the model's price is not known.

    Args:
        model: The model's name; `known_as` says which names are understood.
        prompt_tokens: Tokens read, those from the server's cache included.
        completion_tokens: Tokens written, those of reasoning included.
        cached_tokens: How many of the prompt's tokens the server had cached. None, when the
            server did not say, counts none, so that the cost is never too low.
    """
    entry = _entry(model)
    if entry is None:
        return None
    cached = min(cached_tokens or 0, prompt_tokens)
    return entry.rate_for(prompt_tokens).cost(prompt_tokens, completion_tokens, cached)


def cost_of(usage: TokenCounts, *models: str | None) -> float | None:
    """What a request cost in USD, by the first of these names that has a price; None without one.

    Args:
        usage: The tokens it took.
        models: The server's name for the model, then the one it was asked for by: an Azure
            deployment or a server of one's own may answer with a name that nobody knows.
    """
    name = next((name for name in models if name and known_as(name)), None)
    if name is None:
        return None
    return cost_usd(name, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)


def known_as(model: str) -> str | None:
    """The name under which a model has a price, or None when it has none.

    A dated snapshot (``gpt-4o-2024-08-06``), a router's or vendor's prefix
    (``openrouter/openai/gpt-4o``) and Azure's spelling (``gpt-35-turbo``) lead to the model. A
    longer name never does: ``gpt-4o-audio-preview`` is not ``gpt-4o``. A fine-tuned model
    (``ft:gpt-4o-2024-08-06:acme::id``) has the price of its kind (``ft:gpt-4o``) or none.
    """
    name = model.strip().lower()
    if found := _listed(name):
        return found
    if name.startswith("ft:"):
        base = known_as(name.split(":")[1])
        return _listed(f"ft:{base}") if base else None
    prefix, slash, rest = name.partition("/")
    if slash and prefix in _PREFIXES:
        return known_as(rest)
    return _listed(_SNAPSHOT.sub("", name))


def in_dollars(cost: float) -> str:
    """Write a sum as people do: ``$12.00``, ``$0.50``; below ten cents with two digits that count.

    Args:
        cost: USD.
    """
    digits = 2 if cost >= 0.1 or not cost else 1 - math.floor(math.log10(abs(cost)))
    return f"${cost:,.{max(digits, 2)}f}"


def context_window(model: str) -> int | None:
    """How many tokens of prompt and reply together the model takes; None when not known."""
    entry = _entry(model)
    return entry.context_window if entry else None


def priced_models() -> tuple[str, ...]:
    """The names of the models that have a price, in the list's order, then your own."""
    return tuple(dict.fromkeys((*_entries(), *_own)))


def set_price(
    model: str,
    *,
    input: float,  # noqa: A002  (the vendors' price lists call it so)
    output: float,
    cached_input: float | None = None,
    context_window: int | None = None,
) -> None:
    """Give a model a price in this process, or another one than the list's.

    Requests that are already in the ledger keep their cost.

    Args:
        model: The name as it is sent to the server; upper and lower case are the same.
        input: USD per million prompt tokens; 0 for a model that runs on your own machine.
        output: USD per million completion tokens.
        cached_input: USD per million prompt tokens the server had cached; None for no discount.
        context_window: Tokens of prompt and reply together; None keeps the list's.

    Raises:
        ValueError: A price is negative or not finite, or the name is empty.
        TypeError: A price is not a number.
    """
    name = model.strip().lower()
    if not name:
        raise ValueError("A price needs the model's name. Give the one you send to the server.")
    rate = _Rate(
        _price("input", input),
        _price("output", output),
        None if cached_input is None else _price("cached_input", cached_input),
    )
    _own[name] = _Entry(rate, context_window or _window_on_the_list(name))


def _price(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of USD per million tokens, not {value!r}.")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be 0 or more USD per million tokens, not {value!r}.")
    return float(value)


def _window_on_the_list(name: str) -> int | None:
    listed = _entries().get(known_as(name) or "")
    return listed.context_window if listed else None


def _entry(model: str) -> _Entry | None:
    name = known_as(model)
    if name is None:
        return None
    return _own.get(name) or _entries()[name]


def _listed(name: str) -> str | None:
    if name in _own or name in _entries():
        return name
    alias: str | None = _data()["aliases"].get(name)
    return alias


@cache
def _data() -> dict[str, Any]:
    text = files("nbagents").joinpath("prices.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


@cache
def _entries() -> dict[str, _Entry]:
    return {name: _read(model) for name, model in _data()["models"].items()}


def _read(model: dict[str, Any]) -> _Entry:
    above = model.get("above")
    return _Entry(
        _read_rate(model),
        model.get("context_window"),
        above["prompt_tokens"] if above else None,
        _read_rate(above) if above else None,
    )


def _read_rate(prices: dict[str, Any]) -> _Rate:
    return _Rate(prices["input"], prices["output"], prices["cached_input"])
