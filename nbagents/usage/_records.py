"""One request, as the ledger keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

__all__ = ["Status", "UsageRecord"]

Status = Literal["complete", "incomplete", "refused", "filtered", "failed", "cancelled"]
"""How a request ended."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class UsageRecord:
    """What one request took. Unknown is None, never 0.

    Attributes:
        time: When the request was sent, in UTC; a time in another zone is converted.
        cell: The number of the notebook cell it was made for.
        source: Who made it: an agent's name; ``chat`` for the notebook's own conversation.
        model: The model's name, as the server gave it.
        prompt_tokens: Tokens read, those from the server's cache included.
        cached_tokens: Prompt tokens the server had cached.
        completion_tokens: Tokens written, those of reasoning included.
        reasoning_tokens: Completion tokens spent on reasoning.
        cost: USD.
        seconds: From sending the request to the end of the reply.
        time_to_first_token: Seconds from sending the request to the first content.
        finish_reason: Why the model ended, as it said.
        status: How the request ended.
        estimated: Whether tokens were counted here because the server reported none.

    Raises:
        ValueError: The time has no zone.
    """

    time: datetime = field(default_factory=_now)
    cell: int | None = None
    source: str | None = None
    model: str
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None
    time_to_first_token: float | None = None
    finish_reason: str | None = None
    status: Status = "complete"
    estimated: bool = False

    def __post_init__(self) -> None:
        if self.time.tzinfo is None:
            raise ValueError("A record's time needs a zone. Use datetime.now(UTC).")
        object.__setattr__(self, "time", self.time.astimezone(UTC))
