"""The model clients of the cells that name none."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbagents.models import ChatCompletionClient, Resolution

__all__ = ["Clients"]

_PREFIXES = ("OPENAI_", "AZURE_", "NBAGENTS_")


class Clients:
    """Makes the client that the environment asks for, and keeps it while that stays the same."""

    def __init__(self) -> None:
        self._made: list[tuple[Resolution, ChatCompletionClient]] = []
        self._resolved: dict[object, Resolution] = {}
        self._told: Resolution | None = None

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

    def _resolve(self, model: str) -> Resolution:
        from nbagents.models import resolve

        key = (model, _state_of_environment())
        known = self._resolved.get(key)
        # A local server may have been started since the embedded model had to step in.
        if known is None or (known.provider == "embedded" and not model):
            known = self._resolved[key] = resolve(model or None)
        return known

    def _client(self, resolution: Resolution) -> ChatCompletionClient:
        for known, client in self._made:
            if known == resolution:
                return client
        client = resolution.client()
        self._made.append((resolution, client))
        return client


def _state_of_environment() -> int:
    """A number for what is set: keys are among it, and shall not be kept here."""
    return hash(frozenset(item for item in os.environ.items() if item[0].startswith(_PREFIXES)))
