"""A model server on this machine, for tests and for pointing other programs at.

``python -m nbagents.testing.server`` serves nbagents' embedded model under OpenAI's API and
prints its address. In tests, a :class:`LoopbackServer` answers with what was scripted, good or
bad, and with the embedded model when nothing was. It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Self

from nbagents.models._embedded import service
from nbagents.testing import _script
from nbagents.testing._guard import foreign
from nbagents.testing._http import Connection, Gone, RecordedRequest, connect, read_request
from nbagents.testing._listener import Listener
from nbagents.testing._script import ScriptedReply
from nbagents.testing.faults import Fault, fault_named
from nbagents.testing.faults._parts import ELSEWHERE

__all__ = ["LoopbackServer", "main"]


class LoopbackServer:
    """An HTTP server in a thread of its own, on a loop of its own.

    Use it as a context manager, ``with`` or ``async with``::

        with LoopbackServer() as server:
            server.will_reply("Hello", error(429, headers={"retry-after": "0"}))
            client = OpenAIChatCompletionClient(model="any", base_url=server.base_url, api_key="x")

    Args:
        port: The port; 0 chooses a free one.
        pace: Seconds between two words of the embedded model's streamed replies.
        keep: How many requests are kept; None for all, as a test wants them.
        guarded: Whether requests of web pages are refused, with 403.

    Attributes:
        requests: What came in, oldest first; the last ``keep`` of them.
        connections: How many connections were opened.
        open_connections: How many are open.
    """

    def __init__(
        self, port: int = 0, *, pace: float = 0.0, keep: int | None = None, guarded: bool = False
    ) -> None:
        self.requests: list[RecordedRequest] = []
        self.connections = 0
        self.open_connections = 0
        self._port = port
        self._pace = pace
        self._keep = keep
        self._guarded = guarded
        self._script: deque[ScriptedReply] = deque()
        self._always: ScriptedReply | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event
        self._failure: OSError | None = None

    @property
    def port(self) -> int:
        """The port; known once the server runs."""
        return self._port

    @property
    def address(self) -> str:
        """``http://127.0.0.1:PORT``: what an Azure client takes as its endpoint."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:PORT/v1``: what an OpenAI client takes as its base URL."""
        return f"{self.address}/v1"

    def will_reply(self, *replies: ScriptedReply | str) -> None:
        """Answer the next requests to a chat completion with these, one each, in order."""
        self._script.extend(
            _script.text(each) if isinstance(each, str) else each for each in replies
        )

    def will_misbehave(self, name: str, *, elsewhere: str | None = None) -> Fault:
        """Answer the next requests in one of the ways of `nbagents.testing.faults`.

        Args:
            name: The way, a key of `FAULTS`.
            elsewhere: The other host that redirects lead to, such as ``localhost:1234``; this
                server under its other name when left out.

        Returns:
            The way: it says how a request has to end.

        Raises:
            ConfigurationError: There is no such way.
        """
        fault = fault_named(name)
        self._script.extend(
            _with_host(reply, elsewhere or f"localhost:{self._port}") for reply in fault.replies
        )
        return fault

    def will_always_reply(self, reply: ScriptedReply | str | None) -> None:
        """Answer all requests for which nothing else was scripted with this; None ends that."""
        self._always = _script.text(reply) if isinstance(reply, str) else reply

    def forget(self) -> None:
        """Forget the requests that came and the replies that were scripted for later ones."""
        self.requests.clear()
        self._script.clear()
        self._always = None

    def start(self) -> Self:
        """Start to serve.

        Raises:
            OSError: The port is taken.
        """
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="LoopbackServer", daemon=True
        )
        self._thread.start()
        started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        """Close every connection, and stop."""
        if self._loop is not None and self._thread is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def wait(self) -> None:
        """Wait until the server is stopped."""
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def _run(self, started: threading.Event) -> None:
        # This kind of loop, everywhere: the listener needs it.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve(started))

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        try:
            listener = Listener(self._converse, self._port)
            self._port = listener.port
        except OSError as error:
            self._failure = error
            return
        finally:
            started.set()
        await self._stopping.wait()
        await listener.close()

    async def _converse(self, accepted: socket.socket) -> None:
        connection = await connect(accepted)
        self.connections += 1
        self.open_connections += 1
        try:
            while request := await read_request(connection.reader):
                self._record(request)
                if not await self._answer(request, connection):
                    break
            await connection.finish()
        finally:
            self.open_connections -= 1
            connection.writer.transport.abort()

    def _record(self, request: RecordedRequest) -> None:
        self.requests.append(request)
        if self._keep is not None:
            del self.requests[: max(0, len(self.requests) - self._keep)]

    async def _answer(self, request: RecordedRequest, connection: Connection) -> bool:
        try:
            go_on = await connection.send(self._reply_to(request))
            request.answered = time.monotonic()
        except Gone:
            request.left = time.monotonic()
            return False
        finally:
            request.over.set()
        return go_on

    def _reply_to(self, request: RecordedRequest) -> ScriptedReply:
        if self._guarded and (why := foreign(request.headers)):
            said = f"This request was {why}; only programs on this computer are answered, at "
            return _script.error(403, f"{said}{self.base_url}.", code="foreign_request")
        scripted = None
        if request.method == "POST" and "/chat/completions" in request.path:
            scripted = self._script.popleft() if self._script else self._always
        if scripted is not None and scripted.words is None:
            return _with_key(scripted, request) if scripted.echoes else scripted
        words = scripted.words if scripted is not None else None
        answer = service.answer(request.method, request.path, request.body, text=words)
        if scripted is None:
            return _as_reply(answer, self._pace)
        reply = _as_reply(answer, scripted.pace)
        return replace(scripted, steps=reply.steps, headers={**reply.headers, **scripted.headers})


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the embedded model until interrupted; the command line is ``--help``'s."""
    parser = argparse.ArgumentParser(
        prog="python -m nbagents.testing.server",
        description="Serve nbagents' embedded model under OpenAI's API, on this computer only.",
    )
    parser.add_argument("--port", type=int, default=0, help="the port; by default a free one")
    parser.add_argument(
        "--pace", type=float, default=0.005, help="seconds between two words (default: 0.005)"
    )
    given = parser.parse_args(arguments)
    serving = LoopbackServer(given.port, pace=given.pace, keep=0, guarded=True)
    with serving as server, suppress(KeyboardInterrupt):
        sys.stdout.write(_HOW_TO.format(server=server, model=service.MODEL))
        sys.stdout.flush()
        server.wait()


_HOW_TO = """\
nbagents' embedded model is at {server.base_url}
It is no language model: it answers from nbagents' documentation. To point a client at it:

    export OPENAI_BASE_URL={server.base_url} OPENAI_API_KEY=none OPENAI_MODEL={model}

or, for a client of Azure OpenAI:

    export AZURE_OPENAI_ENDPOINT={server.address} AZURE_OPENAI_API_KEY=none

Ctrl+C stops it.
"""


def _with_host(reply: ScriptedReply, host: str) -> ScriptedReply:
    """The reply with its redirects leading to ``host``."""
    headers = {name: value.replace(ELSEWHERE, host) for name, value in reply.headers.items()}
    return reply.but(headers=headers)


def _with_key(reply: ScriptedReply, request: RecordedRequest) -> ScriptedReply:
    """The reply with the credential that the request brought."""
    key = request.headers.get("api-key") or request.headers.get("authorization", "")
    echoed = key.removeprefix("Bearer ").encode("latin-1")
    steps = (s.replace(b"{key}", echoed) if isinstance(s, bytes) else s for s in reply.steps)
    return reply.but(steps=[*steps])


def _as_reply(answer: service.Answer, pace: float) -> ScriptedReply:
    if answer.chunks is None:
        body = json.dumps(answer.body).encode()
        headers = {"content-type": "application/json"}
        return ScriptedReply([body], answer.status, headers)
    reply = _script.stream(*answer.chunks)
    if pace:
        reply = replace(reply, steps=[step for each in reply.steps for step in (pace, each)])
    return reply


if __name__ == "__main__":
    main()
