"""The one seam: wrappers that every request of the process goes through.

Metering, recording, replay and limits are clients that wrap a client. A wrapper put in place
with `use` sees the requests of every client, whoever makes them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbagents.models._client import ChatCompletionClient

__all__ = ["RequestScope", "current_scope", "entered", "through", "use"]

Wrapper = Callable[["ChatCompletionClient"], "ChatCompletionClient"]

_wrappers: tuple[Wrapper, ...] = ()


class RequestScope:
    """One request on its way through wrapped clients.

    Attributes:
        source: Who asked, for the ledger.
        cell: In which cell.
        counted: Whether a client further in has written it into the ledger already.
    """

    __slots__ = ("cell", "counted", "source")

    def __init__(self, source: str | None, cell: int | None) -> None:
        self.source = source
        self.cell = cell
        self.counted = False


_scope: ContextVar[RequestScope | None] = ContextVar("nbagents_request_scope", default=None)


def current_scope() -> RequestScope | None:
    """The request that the running code works for, if any."""
    return _scope.get()


@contextmanager
def entered(scope: RequestScope) -> Iterator[None]:
    """Let what runs inside know that it works for ``scope``."""
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


def use(wrapper: Wrapper) -> Callable[[], None]:
    """Send every request of the process through ``wrapper(client)``; the newest is outermost.

    Returns:
        A function that takes the wrapper away again.
    """
    global _wrappers
    _wrappers = (*_wrappers, wrapper)

    def remove() -> None:
        global _wrappers
        kept = list(_wrappers)
        if wrapper in kept:
            kept.remove(wrapper)
        _wrappers = tuple(kept)

    return remove


def through(client: ChatCompletionClient) -> ChatCompletionClient:
    """Return ``client`` behind the process's wrappers and the meter.

    Inside a request that has come through here already, only the meter is put around it.
    """
    from nbagents.models._metering import MeteredChatCompletionClient

    if _scope.get() is None:
        for wrapper in _wrappers:
            client = wrapper(client)
    return MeteredChatCompletionClient(client)
