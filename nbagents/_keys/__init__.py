"""Keys and passwords: what they look like, who holds them, and how they are kept out of texts.

One that nobody here was given is told by its looks (`looks`). One that a client was given is held
as a `Secret` (`held`), which knows how it may stand in a text (`forms`) and whether it can be told
from other words there (`lengths`); a `Mask` takes it out.
"""

from nbagents._keys.held import (
    EnvironmentSecret,
    Secret,
    StandIn,
    clean,
    known_mask,
    known_words,
    mask_of,
)
from nbagents._keys.lengths import in_conversations, in_errors, in_records
from nbagents._keys.looks import holds_key, mask_keys, masked, named_like_secret, resembles_key
from nbagents._keys.mask import SHARE, Mask
from nbagents._keys.shown import in_an_error, shown
from nbagents.errors import NbAgentsError

__all__ = [
    "SHARE",
    "EnvironmentSecret",
    "Mask",
    "Secret",
    "StandIn",
    "clean",
    "holds_key",
    "in_an_error",
    "in_conversations",
    "in_errors",
    "in_records",
    "known_mask",
    "known_words",
    "mask_keys",
    "mask_of",
    "masked",
    "named_like_secret",
    "resembles_key",
    "shown",
]

NbAgentsError._mask = staticmethod(in_an_error)  # no error shows a key, whoever has put it where
