"""Every error nbagents raises on purpose, and its warnings of its own.

The tree::

    NbAgentsError
    ├── ConfigurationError            a setting is missing or wrong (also a ValueError)
    │   └── HandlerDefinitionError    a handler's annotations are missing or not kept to
    ├── CassetteMissError             a request that was never recorded, where none may be sent
    ├── BudgetExceededError           the request would cost more than was allowed
    ├── TurnLimitError                a turn took more rounds, calls or seconds than allowed
    ├── AgentLookupError              no such agent or subscription (also a LookupError)
    ├── AgentTypeError                the agent is one of another class (also a TypeError)
    ├── CantHandleException           the agent does not take such messages
    ├── MessageDroppedException       an intervention handler dropped the message
    ├── NotAccessibleError            not to be had here, or not yet (also an AttributeError)
    ├── RuntimeStateError             not while the runtime is like this (also a RuntimeError)
    ├── UndeliverableException        the message does not reach an agent
    └── RequestError                  a request was sent, or should have been
        ├── AuthenticationError       the server does not know this key, or may not serve it
        ├── RateLimitError            too many requests; ``retry_after`` seconds
        │   └── QuotaExceededError    nothing left to spend; waiting does not help
        ├── ContextLengthError        more tokens than the model reads
        ├── ContentFilterError        the server's filter stopped the prompt or the reply
        ├── ModelNotFoundError        no such model, deployment or path
        ├── BadRequestError           the server refuses the request as it stands
        ├── ServerError               the server failed
        ├── APIConnectionError        the server cannot be reached (also a ConnectionError)
        ├── RequestTimeoutError       a deadline passed (also a TimeoutError)
        ├── ProtocolError             the server's answer is not what the API promises
        │   └── IncompleteReplyError  the reply broke off
        └── RequestCancelledError     a CancellationToken was used (also a CancelledError)

    UserWarning                       told, and the work goes on
    ├── DamagedFileWarning            a file was damaged; what is left of it is used
    └── NotKeptWarning                a reply could not be written down; it is given

A message says what happened in one line, then what to do next. The error of the library
below, where there is one, is the ``__cause__``.
"""

from __future__ import annotations

import traceback
from asyncio import CancelledError
from typing import Any, ClassVar

__all__ = [
    "APIConnectionError",
    "AgentLookupError",
    "AgentTypeError",
    "AuthenticationError",
    "BadRequestError",
    "BudgetExceededError",
    "CantHandleException",
    "CassetteMissError",
    "ConfigurationError",
    "ContentFilterError",
    "ContextLengthError",
    "DamagedFileWarning",
    "HandlerDefinitionError",
    "IncompleteReplyError",
    "MessageDroppedException",
    "ModelNotFoundError",
    "NbAgentsError",
    "NotAccessibleError",
    "NotKeptWarning",
    "ProtocolError",
    "QuotaExceededError",
    "RateLimitError",
    "RequestCancelledError",
    "RequestError",
    "RequestTimeoutError",
    "RuntimeStateError",
    "ServerError",
    "TurnLimitError",
    "UndeliverableException",
]


class NbAgentsError(Exception):
    """The root: catch it to catch whatever nbagents raises on purpose."""

    _mask: ClassVar[Any] = str  # `_keys` puts in its place what knows the keys
    _shown = False

    def __init__(self, *args: object) -> None:
        super().__init__(*(self._mask(each) if isinstance(each, str) else each for each in args))

    def _render_traceback_(self) -> list[str]:
        """Show one line; asked again, as ``%tb`` does, the frames and the cause (for IPython)."""
        text = f"{type(self).__name__}: {self}"
        if self._shown:
            text = "".join(traceback.format_exception(self)).rstrip()
        self._shown = True
        return ["".join(sign for sign in text if sign.isprintable() or sign in "\n\t")]


class ConfigurationError(NbAgentsError, ValueError):
    """A setting is missing, unknown or contradicts another."""


class HandlerDefinitionError(ConfigurationError, AssertionError):
    """A message handler is not annotated, or returns what its annotation rules out."""


class BudgetExceededError(NbAgentsError):
    """The request would cost more than the budget leaves."""


class CassetteMissError(NbAgentsError):
    """The request is not among those recorded in the cassette, and none may be sent."""


class TurnLimitError(NbAgentsError):
    """An agent's turn took more rounds, calls or seconds than its limits allow."""


class AgentLookupError(NbAgentsError, LookupError, ValueError):
    """There is no agent, type of agent or subscription of that name."""


class AgentTypeError(NbAgentsError, TypeError):
    """The agent is one of another class than was asked for."""


class CantHandleException(NbAgentsError):  # noqa: N818 - AutoGen's name
    """The agent or subscription does not take such messages or topics."""


class MessageDroppedException(NbAgentsError):  # noqa: N818 - AutoGen's name
    """An intervention handler dropped the message, or the answer to it."""


class NotAccessibleError(NbAgentsError, AttributeError):
    """The value is not to be had here, or not yet."""


class RuntimeStateError(NbAgentsError, RuntimeError):
    """What was asked for cannot be done while the runtime is as it is."""


class UndeliverableException(NbAgentsError):  # noqa: N818 - AutoGen's name
    """The message does not reach an agent, or the agent's answer not the sender."""


class RequestError(NbAgentsError):
    """A request failed.

    Attributes:
        partial: The text that had come before the failure; empty when none had.
        request_id: The server's name for the request, to quote to its operator.
        status: The HTTP status, or None when there was no answer.
        retryable: Whether the same request may succeed later.
        usage: The tokens it took (a `RequestUsage`); None when nobody knows.
    """

    usage: Any = None

    def __init__(
        self,
        message: str,
        *,
        partial: str = "",
        request_id: str | None = None,
        status: int | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.partial = partial
        self.request_id = request_id
        self.status = status
        self.retryable = retryable


class AuthenticationError(RequestError):
    """The server does not accept the credential, or it may not use this model."""


class RateLimitError(RequestError):
    """Too many requests or tokens in too little time.

    Attributes:
        retry_after: Seconds to wait, as the server said; None when it did not.
    """

    retry_after: float | None = None


class QuotaExceededError(RateLimitError):
    """The account has nothing left to spend; waiting does not help."""


class ContextLengthError(RequestError):
    """The messages hold more tokens than the model reads."""


class ContentFilterError(RequestError):
    """The server's content filter stopped the prompt or the reply."""


class ModelNotFoundError(RequestError):
    """The server has no such model, deployment or path."""


class BadRequestError(RequestError):
    """The server refuses the request as it stands."""


class ServerError(RequestError):
    """The server failed."""


class APIConnectionError(RequestError, ConnectionError):
    """The server cannot be reached, or the connection broke."""


class RequestTimeoutError(RequestError, TimeoutError):
    """A deadline passed: connecting, the first byte, the next content, or the whole."""


class ProtocolError(RequestError):
    """The server's answer is not what the API promises."""


class IncompleteReplyError(ProtocolError):
    """The reply broke off: the stream ended before a finish reason or ``[DONE]``."""


class RequestCancelledError(RequestError, CancelledError):
    """The request's cancellation token was used."""


class DamagedFileWarning(UserWarning):
    """A file was damaged: what can be read of it is used."""


class NotKeptWarning(UserWarning):
    """What came could not be written down; it is not lost."""
