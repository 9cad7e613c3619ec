"""A listening socket that leaves no connection behind when it stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Listener"]


class Listener:
    """Accepts connections on 127.0.0.1 and has each served by a task of its own.

    asyncio's server loses a connection that arrives while it is closed, and before Python 3.12
    those it has accepted too: their sockets stay open until the garbage collector comes by,
    whose ``ResourceWarning`` then fails some later test. It needs a loop with ``add_reader``.

    Args:
        serve: Serves a connection and closes it, also when it is cancelled. It gets the accepted
            socket, for ``loop.connect_accepted_socket``.
        port: The port; 0 chooses a free one.

    Raises:
        OSError: The port is taken.
    """

    def __init__(
        self, serve: Callable[[socket.socket], Coroutine[Any, Any, None]], port: int = 0
    ) -> None:
        self._serve = serve
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._socket = socket.create_server(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._accept)

    @property
    def port(self) -> int:
        """The port on which it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    async def close(self) -> None:
        """Accept no more, end what is being served, and return once its sockets are closed."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for _ in range(2):  # a task that has not begun would be cancelled with nothing closed
            await asyncio.sleep(0)
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await asyncio.sleep(0)  # a transport closes its socket in the loop's next round

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._socket.accept()
            except OSError:  # that was the last one
                return
            accepted.setblocking(False)
            task = self._loop.create_task(self._serve(accepted))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
