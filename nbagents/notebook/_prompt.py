"""What a chat cell says to the model: its body with variables filled in, and what it attaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbagents._keys import in_conversations, known_words
from nbagents.errors import ConfigurationError
from nbagents.messages import Image, ModelInfo
from nbagents.notebook._arguments import ChatArguments
from nbagents.notebook._attach import attach
from nbagents.notebook._template import Expansion, expand

__all__ = ["Prompt", "compose"]


@dataclass(frozen=True)
class Prompt:
    """What a cell says to the model.

    Attributes:
        content: Text, or texts and images.
        notices: What the person should know of how it came about, a line each.
    """

    content: str | Sequence[str | Image]
    notices: tuple[str, ...] = ()

    def with_notices(self, notices: Sequence[str]) -> Prompt:
        """The same prompt, with more to know of it."""
        return Prompt(self.content, (*notices, *self.notices))


def compose(
    body: str, arguments: ChatArguments, namespace: Mapping[str, Any], info: ModelInfo
) -> Prompt:
    """Fill in the body's variables and attach what ``--with`` names.

    Raises:
        ConfigurationError: The prompt is empty, holds a key that is in use, or a named variable is
            not there.
    """
    text, notices = body.rstrip("\n"), []  # IPython ends every body with one
    if not arguments.raw:
        expansion = expand(text, namespace)
        text = expansion.text
        notices = _notices(expansion)
    if not text.strip():
        raise ConfigurationError(
            "The prompt is empty; write it on the lines below %%chat, or behind %chat."
        )
    _refuse_own_keys(text)
    if not arguments.attach:
        return Prompt(text, tuple(notices))
    attached = attach(arguments.attach, namespace, vision=bool(info["vision"]))
    return Prompt([text, *attached.parts], (*notices, *attached.notes))


def _refuse_own_keys(text: str) -> None:
    if any(secret in text for secret in known_words(in_conversations)):
        raise ConfigurationError(
            "The prompt holds a key that is in use here, so nothing was sent. Take it out; a key "
            "that others may have seen in the notebook must be revoked."
        )


def _notices(expansion: Expansion) -> list[str]:
    notices = []
    if expansion.sent:
        notices.append(f"filled in: {', '.join(expansion.sent)}")
    left: dict[str, list[str]] = {}
    for word, reason in zip(expansion.lookalikes, expansion.missing, strict=True):
        left.setdefault(reason, []).append(f"{{{word}}}")
    if expansion.computed:
        left["nothing is computed in a prompt"] = [*expansion.computed]
    if expansion.unknown:
        left["a prompt knows no such form"] = [*expansion.unknown]
    for reason, fields in left.items():
        notices.append(f"left as written, for {reason}: {', '.join(fields)}")
    return notices
