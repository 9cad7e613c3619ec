"""A client that records what another client answers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbagents.models._cassette.client import CassetteClient
from nbagents.models._cassette.deck import Deck, Mode
from nbagents.models._public import PublicClient

if TYPE_CHECKING:
    from nbagents.models._cassette.rules import Rule
    from nbagents.models._client import ChatCompletionClient

__all__ = ["RecordingChatCompletionClient"]


class RecordingChatCompletionClient(PublicClient):
    """A client that asks another one, and records its replies into a cassette.

    What is recorded is what the model sees and says, the time it took, and its failures; never a
    key, a header, or where the request went.

    Args:
        client: Whom to ask.
        cassette: The cassette's file.
        mode: ``"record"`` begins the file anew with the first reply; ``"auto"`` replays what is
            known and records what is new.
        rules: What varies from run to run, and is neither compared nor recorded: names of rules
            ("addresses", "times", "paths", "ids"), or ``{"replace": pattern, "with": text}``. By
            default those in the file's header; in a new file "addresses".

    Raises:
        ConfigurationError: The file is no cassette; or, when it is asked, a text holds what looks
            like a key, which is then not written.
    """

    def __init__(
        self,
        client: ChatCompletionClient,
        cassette: str | os.PathLike[str],
        *,
        mode: Mode = "record",
        rules: Sequence[Rule] | None = None,
    ) -> None:
        self._deck = Deck(cassette, mode, rules=rules)
        self._direct = CassetteClient(client, self._deck)

    @property
    def recorded(self) -> int:
        """How many replies have been recorded."""
        return len(self._deck.recorded)
