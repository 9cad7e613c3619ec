"""The cassette that all requests of the process go through, by the environment.

``NBAGENTS_CASSETTE`` is the file, ``NBAGENTS_MODE`` what to do with it: ``live``, ``record``,
``replay`` or ``auto`` (when it is not set). ``NBAGENTS_REAL_TIME=1`` replays as slowly as it was
recorded. They are read at every request, so kernels and subprocesses inherit them.
``NBAGENTS_CASSETTE_IF_THERE=1`` says that nobody named the file: pytest looked for one beside a
notebook that may never have had any.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nbagents.models._cassette.deck import Deck, Mode

if TYPE_CHECKING:
    from nbagents.models._client import ChatCompletionClient

__all__ = [
    "CASSETTE",
    "IF_THERE",
    "MODE",
    "REAL_TIME",
    "current_deck",
    "eject",
    "is_expected",
    "may_replay",
    "replaying",
    "with_cassette",
]

CASSETTE = "NBAGENTS_CASSETTE"
IF_THERE = "NBAGENTS_CASSETTE_IF_THERE"
MODE = "NBAGENTS_MODE"
REAL_TIME = "NBAGENTS_REAL_TIME"

_lock = threading.Lock()
_inserted: tuple[tuple[str, ...], Deck] | None = None


def current_deck() -> Deck | None:
    """The cassette that the environment names; None where it names none.

    It is read once, and stays in while the variables stay the same.

    Raises:
        ConfigurationError: The file is no cassette, or the mode is none.
    """
    global _inserted
    path = os.environ.get(CASSETTE, "").strip()
    if not path:
        return None
    mode = os.environ.get(MODE, "").strip().lower() or "auto"
    slow = os.environ.get(REAL_TIME, "").strip() not in ("", "0")
    wanted = (str(Path(path).absolute()), mode, str(slow))
    with _lock:
        if _inserted is None or _inserted[0] != wanted:
            _inserted = wanted, Deck(wanted[0], cast("Mode", mode), real_time=slow)
        return _inserted[1]


def eject() -> None:
    """Forget the cassette that was read, so that the next request reads it anew."""
    global _inserted
    with _lock:
        _inserted = None


def is_expected(deck: Deck) -> bool:
    """Whether the cassette holds, or is to hold, what this process asks: one that is gone too."""
    return deck.path.exists() or os.environ.get(IF_THERE, "") in ("", "0")


def may_replay() -> bool:
    """Whether a request may be answered without being sent, so that no key is needed yet."""
    deck = current_deck()
    return deck is not None and deck.replays


def replaying() -> bool:
    """Whether nothing may be sent at all."""
    deck = current_deck()
    return deck is not None and deck.mode == "replay"


def with_cassette(client: ChatCompletionClient) -> ChatCompletionClient:
    """Put the process's cassette around ``client``, if there is one.

    A client of prepared replies is left as it is, and so is one that has a cassette of its own.
    """
    deck = current_deck()
    plain: Any = getattr(client, "_direct", client)
    if deck is None or deck.mode == "live" or getattr(plain, "skips_cassette", False):
        return client
    from nbagents.models._cassette.client import CassetteClient

    return CassetteClient(client, deck)
