"""The one seam: wrappers that every request of the process goes through.

Metering, recording, replay and limits are clients that wrap a client. A wrapper put in place
with `use` sees the requests of every client, whoever makes them. Innermost is the cassette that
``NBAGENTS_CASSETTE`` names, so that all others see a replayed reply as they see a real one.
"""

from __future__ import annotations

from collections.abc import Callable

from nbagents.models._cassette.switch import with_cassette
from nbagents.models._client import ChatCompletionClient
from nbagents.models._metering import MeteredChatCompletionClient
from nbagents.models._scope import current_scope

__all__ = ["through", "use"]

Wrapper = Callable[[ChatCompletionClient], ChatCompletionClient]

_wrappers: tuple[Wrapper, ...] = ()


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
    """Return ``client`` behind the process's cassette, wrappers and meter.

    Inside a request that has come through here already, only the meter is put around it.
    """
    if current_scope() is None:
        client = with_cassette(client)
        for wrapper in _wrappers:
            client = wrapper(client)
    return MeteredChatCompletionClient(client)
