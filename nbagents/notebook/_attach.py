"""Objects of the kernel as parts of a message: what ``--with`` sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbagents._keys import in_conversations, known_words, mask_keys
from nbagents.errors import ConfigurationError
from nbagents.notebook._describe import describe
from nbagents.notebook._description import fenced
from nbagents.notebook._pictures import picture_of
from nbagents.notebook._variables import NotThereError, find, refuse_secret

if TYPE_CHECKING:
    from nbagents.messages import Image

__all__ = ["LIMIT", "Attachments", "attach", "look_up"]

LIMIT = 10_000
"""Characters of one object that are sent at most, some 2,500 tokens."""


@dataclass(frozen=True)
class Attachments:
    """What goes along with a prompt.

    Attributes:
        parts: A text or an image for each object, in order.
        notes: For each object one line that tells the user what of it is sent.
    """

    parts: list[str | Image]
    notes: tuple[str, ...]


def attach(
    names: Sequence[str], namespace: Mapping[str, object], *, vision: bool, limit: int = LIMIT
) -> Attachments:
    """Turn kernel objects into parts of a message.

    A figure or picture becomes an image; all else a line that says what it is and a fenced block
    of at most about ``limit`` characters. Keys of a well-known form are masked.

    Args:
        names: Expressions of the form ``name``, ``name.attribute`` or ``name[...]``.
        namespace: The user's variables.
        vision: Whether the model reads images.
        limit: Characters of one object.

    Raises:
        ConfigurationError: A name is unknown, its object a password or key, or an image for a
            model that reads none.
    """
    parts: list[str | Image] = []
    notes = []
    for name in names:
        value = look_up(name, namespace)
        picture = picture_of(value)
        if picture is None:
            part, note = _text(name, value, limit)
            parts.append(part)
        elif vision:
            parts.append(picture.image)
            note = f"image, {picture.size}"
        else:
            raise ConfigurationError(
                f"--with {name} is a picture, and the model reads none, so nothing was sent; "
                "choose a model with vision by -m, or leave it out."
            )
        notes.append(f"{name}: {note}")
    return Attachments(parts, tuple(notes))


def look_up(name: str, namespace: Mapping[str, object]) -> object:
    """Return the object of that name.

    Raises:
        ConfigurationError: There is none, or it is a password or key.
    """
    try:
        value = find(name, namespace)
    except NotThereError as error:
        told = error.told(namespace, "; define it in a cell above.")
        raise ConfigurationError(f"--with: {told}") from None
    refuse_secret(name, value)
    return value


def _text(name: str, value: object, limit: int) -> tuple[str, str]:
    described = describe(value, limit)
    text = f"`{name}` ({described.kind}):\n{fenced(described)}"
    own = [secret for secret in known_words(in_conversations) if secret in text]
    for secret in own:
        text = text.replace(secret, "[key left out]")
    text, masked = mask_keys(text)
    masked += len(own)
    note = f"{described.part} sent" if described.part else described.kind
    if masked:
        note += f"; left out {masked} that looked like a key"
    return text, note
