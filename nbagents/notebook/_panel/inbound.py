"""What a panel's front end says: checked before anything else sees it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nbagents.errors import ConfigurationError

__all__ = [
    "Approve",
    "Clear",
    "Complete",
    "Edit",
    "Inbound",
    "Restore",
    "Retry",
    "Send",
    "Stop",
    "Whole",
    "check",
    "read",
]

MAX_TEXT = 1_000_000
"""Characters of a prompt."""
MAX_IMAGES = 20_000_000
"""Bytes of a prompt's images together."""
MAX_NAMES = 100
"""Objects that a prompt attaches."""

_Short = Annotated[str, Field(max_length=200)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    request: _Short | None = None


class Send(_Message):
    """Ask the agent."""

    kind: Literal["send"] = "send"
    text: str
    images: list[str] = []
    attach: list[_Short] = []


class Edit(_Message):
    """Go back to a message of the user, and ask this instead."""

    kind: Literal["edit"] = "edit"
    id: _Short
    text: str


class Retry(_Message):
    """Ask once more what a message says, or that to which it is the reply."""

    kind: Literal["retry"] = "retry"
    id: _Short


class Stop(_Message):
    """End what is under way."""

    kind: Literal["stop"] = "stop"


class Clear(_Message):
    """Forget the conversation."""

    kind: Literal["clear"] = "clear"


class Restore(_Message):
    """Bring back what was cleared last."""

    kind: Literal["restore"] = "restore"


class Complete(_Message):
    """Offer the variables that a word may become."""

    kind: Literal["complete"] = "complete"
    prefix: _Short


class Approve(_Message):
    """Say whether a call may run: that of the message, for servers use their ids again."""

    kind: Literal["approve"] = "approve"
    call: str
    message: _Short
    allowed: bool


class Whole(_Message):
    """Send everything: a page has opened the panel (``fresh``), or a message was lost."""

    kind: Literal["whole"] = "whole"
    fresh: bool = False


Inbound: TypeAlias = Send | Edit | Retry | Stop | Clear | Restore | Complete | Approve | Whole

_ANY: TypeAdapter[Inbound] = TypeAdapter(Annotated[Inbound, Field(discriminator="kind")])


def read(content: object) -> Inbound | None:
    """The message, or None where it is none that we know."""
    try:
        return _ANY.validate_python(content)
    except ValidationError:
        return None


def check(message: Send | Edit) -> None:
    """Raise where there is more than a panel takes, or nothing.

    Raises:
        ConfigurationError: It says what and how much.
    """
    images = message.images if isinstance(message, Send) else []
    attached = message.attach if isinstance(message, Send) else []
    size = sum(map(len, images)) * 3 // 4
    if len(message.text) > MAX_TEXT:
        raise ConfigurationError(
            f"The text has {len(message.text):,} characters, and a panel takes {MAX_TEXT:,}; "
            "attach a variable with @ instead."
        )
    if size > MAX_IMAGES:
        raise ConfigurationError(
            f"The images have {size / 1e6:,.0f} MB, and a panel takes {MAX_IMAGES / 1e6:,.0f} MB; "
            "make them smaller."
        )
    if len(attached) > MAX_NAMES:
        raise ConfigurationError(f"At most {MAX_NAMES} variables can be attached.")
    if not (message.text.strip() or images or attached):
        raise ConfigurationError("There is nothing to send: write something first.")
