"""The settings of the chat cells: traitlets, with defaults from the environment."""

from __future__ import annotations

import os
from typing import Any

from traitlets import Float, Int, TraitError, TraitType, Unicode
from traitlets.config import Configurable

from nbagents.errors import ConfigurationError

__all__ = ["ChatSettings"]


class ChatSettings(Configurable):
    """What ``%config ChatMagics`` lists.

    When the extension is loaded, an environment variable of the same name (``NBAGENTS_MODEL``
    for ``model``) stands over ``ipython_config.py``; ``%config`` stands over both.
    """

    model = Unicode(
        help="The model that answers; empty for the provider's default. NBAGENTS_MODEL.",
    ).tag(config=True)
    system = Unicode(
        help="Instructions for the notebook's own conversation. NBAGENTS_SYSTEM.",
    ).tag(config=True)
    temperature = Float(
        None,
        allow_none=True,
        min=0.0,
        max=2.0,
        help="The sampling temperature, 0 to 2; None for the model's own. NBAGENTS_TEMPERATURE.",
    ).tag(config=True)
    max_tokens = Int(
        None,
        allow_none=True,
        help="The longest reply, in tokens; None for the model's own. NBAGENTS_MAX_TOKENS.",
    ).tag(config=True)
    buffer_size = Int(
        40,
        min=1,
        help="How many messages of the notebook's own conversation the model sees."
        " NBAGENTS_BUFFER_SIZE.",
    ).tag(config=True)
    budget = Float(
        None,
        allow_none=True,
        min=0.0,
        help="What this notebook's requests may cost together, in USD. NBAGENTS_BUDGET.",
    ).tag(config=True)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, trait in self.traits(config=True).items():
            variable = f"NBAGENTS_{name.upper()}"
            text = os.environ.get(variable, "").strip()
            if text:
                self._set_from_text(name, trait, variable, text)

    def _set_from_text(
        self, name: str, trait: TraitType[Any, Any], variable: str, text: str
    ) -> None:
        try:
            setattr(self, name, trait.from_string(text))
        except (TraitError, ValueError) as error:
            raise ConfigurationError(
                f"{variable} cannot be {text!r}: {error}. Correct it or unset it."
            ) from error
