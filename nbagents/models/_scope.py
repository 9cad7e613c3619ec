"""Which request the running code works for, so that nothing is counted or wrapped twice."""

from __future__ import annotations

from contextvars import ContextVar, Token

__all__ = ["RequestScope", "current_scope", "entered"]


class RequestScope:
    """One request on its way through wrapped clients.

    Attributes:
        source: Who asked, for the ledger.
        cell: In which cell.
        counted: Whether a client further in has written it into the ledger already.
        unsent: Whether it ended before the server had any of it, so that it took nothing.
    """

    __slots__ = ("cell", "counted", "source", "unsent")

    def __init__(self, source: str | None, cell: int | None) -> None:
        self.source = source
        self.cell = cell
        self.counted = False
        self.unsent = False


_scope: ContextVar[RequestScope | None] = ContextVar("nbagents_request_scope", default=None)


def current_scope() -> RequestScope | None:
    """The request that the running code works for, if any."""
    return _scope.get()


class entered:  # noqa: N801 - reads as what it does: ``with entered(scope)``
    """Let what runs inside know that it works for ``scope``; may be entered again and again.

    A class, because a stream enters it for every chunk.
    """

    __slots__ = ("_scope", "_token")
    _token: Token[RequestScope | None]

    def __init__(self, scope: RequestScope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._token = _scope.set(self._scope)

    def __exit__(self, *_: object) -> None:
        _scope.reset(self._token)
