"""What the libraries below write to their logs, without our credentials.

``logging.basicConfig(level=logging.DEBUG)`` is how a puzzled person begins. httpx2 then writes
every address with its query, httpcore2 every header of an answer, and an error its traceback.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from nbagents._keys import in_records, known_mask, masked

__all__ = ["our_request", "redact_logs"]

_LIBRARIES = ("httpx2", "httpcore2", "openai", "azure", "msal")
# Those whose names are known before anything was written with them.
_LOGGERS = (
    "httpx2", "httpcore2.connection", "httpcore2.http11", "httpcore2.http2", "httpcore2.proxy",
    "httpcore2.socks", "openai", "openai._base_client", "openai._response",
    "openai._legacy_response",
)  # fmt: skip

# A header in the representation of a list of pairs, or of a mapping.
_HEADER = re.compile(
    r"""(b?(['"])(?=[\w-]*?(?:auth|key|token|secret|cookie))[\w-]*+\2\s*[,:]\s*)"""
    r"""b?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""",
    re.IGNORECASE,
)

_ours: ContextVar[bool] = ContextVar("nbagents_our_request", default=False)


@contextmanager
def our_request() -> Iterator[None]:
    """Mark what is done inside as done for us: of its headers the log shows no credential."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


class _Redaction(logging.Filter):
    """Masks the credentials that this process's clients hold; other users' lines stay as they are.

    Of a traceback the text is kept, and not the frames: a handler may print their variables.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        clean = _clean_for_us if _ours.get() else _clean
        said = record.getMessage()
        shown = clean(said)
        if shown != said:
            record.msg, record.args = shown, ()
        if record.exc_info:
            said = record.exc_text or _FORMATTER.formatException(record.exc_info)
            shown = clean(said)
            if _ours.get() or shown != said:
                record.exc_text, record.exc_info = shown, None
        return True


def _clean(text: str) -> str:
    return known_mask(in_records).hide(text)


def _clean_for_us(text: str) -> str:
    """The text without anything that looks like a credential: it is about a request of ours."""
    return masked(_HEADER.sub(r"\1'***'", _clean(text)))


_FORMATTER = logging.Formatter()
_REDACTION = _Redaction()


def redact_logs() -> None:
    """Have the loggers of the libraries below write no credential of ours. Once is enough."""
    present = [
        name for name in [*logging.root.manager.loggerDict] if name.partition(".")[0] in _LIBRARIES
    ]
    for name in {*_LOGGERS, *present}:
        logging.getLogger(name).addFilter(_REDACTION)
