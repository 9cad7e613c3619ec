"""The model clients of the cells that name none."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbagents.agents import ChatAgent
    from nbagents.models import ChatCompletionClient, Resolution

__all__ = ["Clients"]

_PREFIXES = ("OPENAI_", "AZURE_", "NBAGENTS_")

# What a client reads as it is made: keys, addresses, headers, proxies and certificates.
_READ = (
    *("OPENAI_", "AZURE_", "GEMINI_", "ANTHROPIC_", "LLAMA_"),
    *("HTTP_", "HTTPS_", "ALL_PROXY", "NO_PROXY", "SSL_CERT_"),
)


class Clients:
    """Makes the client that the environment asks for, and keeps it while that stays the same."""

    def __init__(self) -> None:
        self._made: list[tuple[Resolution, int, ChatCompletionClient]] = []
        self._resolved: dict[object, Resolution] = {}
        self._told: Resolution | None = None
        self._deck: object = None

    def get(self, model: str) -> tuple[ChatCompletionClient, tuple[str, ...]]:
        """Return the client for ``model`` (empty: the default), and what to say of it.

        It is said which model was found where nobody chose one, once and when it changes.

        Raises:
            ConfigurationError: What is asked for is not set up.
        """
        # A warning would show as a path and a line of source; it is a line below the reply.
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            resolution = self._resolve(model)
            client = self._client(resolution)
        news = resolution != self._told and resolution.provider not in ("openai", "azure")
        self._told = resolution
        said = [str(warning.message) for warning in warned]
        return client, (*([resolution.reason] if news else []), *said)

    def check(self, model: str, agent: ChatAgent) -> None:
        """See that an agent's client may be asked for ``model``: the embedded one has no other.

        Raises:
            ConfigurationError: It may not.
        """
        from nbagents.errors import ConfigurationError
        from nbagents.models._embedded.service import MODEL

        if agent.model != MODEL or self._resolve(model).provider == "embedded":
            return
        raise ConfigurationError(
            f"{agent.name} speaks through the embedded model, which has no {model!r}. Make the "
            f"agent anew: %%chat {agent.name} --new -m {model}."
        )

    def _resolve(self, model: str) -> Resolution:
        from nbagents.models import resolve
        from nbagents.models._cassette.switch import current_deck

        # A cassette that was put in anew may know by now which model it was.
        deck = current_deck()
        if deck is not self._deck:
            self._deck = deck
            self._resolved.clear()
        key = (model, _state_of_environment(_PREFIXES))
        known = self._resolved.get(key)
        # A local server may have been started since the embedded model had to step in.
        if known is None or (known.provider == "embedded" and not model):
            known = self._resolved[key] = resolve(model or None)
        return known

    def _client(self, resolution: Resolution) -> ChatCompletionClient:
        state = _state_of_environment(_READ) if resolution.provider in ("openai", "azure") else 0
        for known, made_in, client in self._made:
            if known == resolution and made_in == state:
                return client
        client = resolution.client()
        # One with a key or an address that is set no more goes, with its connections.
        self._made = [each for each in self._made if each[0] != resolution]
        self._made.append((resolution, state, client))
        return client


def _state_of_environment(prefixes: tuple[str, ...]) -> int:
    """A number for what is set: keys are among it, and shall not be kept here."""
    items = ((name.upper(), value) for name, value in os.environ.items())
    return hash(frozenset(item for item in items if item[0].startswith(prefixes)))
