"""How long a request may take, and how much may come back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Real

from nbagents.errors import ConfigurationError

__all__ = ["Limits"]

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Deadlines in seconds and caps in bytes; None switches a deadline off.

    Deadlines count only while the network is waited for, never while a stream's reader is busy.

    Attributes:
        connect: To reach the server, TLS included, at each attempt.
        first_byte: From the request to the response's headers, at each attempt.
        silence: Without any content; comments and empty deltas are not content.
        total: For the whole request, retries included.
        line_bytes: The longest line of a stream.
        reply_bytes: The longest reply: its text, reasoning and arguments together, in bytes of
            memory. A character takes one; two in a text with others than Latin ones, and four
            in a text with an emoji.
        error_bytes: How much of an error's body is read.

    Raises:
        ConfigurationError: One is no number.
    """

    connect: float | None = 5.0
    first_byte: float | None = 120.0
    silence: float | None = 60.0
    total: float | None = 600.0
    line_bytes: int = 16 * _MIB
    reply_bytes: int = 8 * _MIB
    error_bytes: int = 256 * 1024

    def __post_init__(self) -> None:
        for each in fields(self):
            given = getattr(self, each.name)
            if given is not None and not _is_number(given):
                raise ConfigurationError(f"{each.name} takes a number, not {type(given).__name__}.")

    def within(self, seconds: float | None) -> Limits:
        """The same limits, no deadline beyond ``seconds``; None switches every deadline off.

        Raises:
            ConfigurationError: ``seconds`` is not a number above 0.
        """
        if seconds is not None and not (_is_number(seconds) and seconds > 0):
            said = repr(seconds) if _is_number(seconds) else f"of type {type(seconds).__name__}"
            raise ConfigurationError(
                f"timeout is {said}; give seconds, or deadlines of several kinds with "
                "limits=Limits(connect=..., first_byte=..., silence=..., total=...)."
            )
        deadlines = (self.connect, self.first_byte, self.silence, self.total)
        connect, first_byte, silence, _ = (
            None if seconds is None else min(seconds, deadline if deadline is not None else seconds)
            for deadline in deadlines
        )
        caps = (self.line_bytes, self.reply_bytes, self.error_bytes)
        return Limits(connect, first_byte, silence, seconds, *caps)


def _is_number(given: object) -> bool:
    return isinstance(given, Real)
