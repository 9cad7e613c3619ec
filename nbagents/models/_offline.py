"""The embedded model below the real SDK client: an HTTP transport that makes no request.

The whole path of a real request runs (the SDK prepares it, the bytes of an event stream come
back and are decoded); only the network is left out.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import httpx2

from nbagents.models import _embedded, _json

__all__ = ["BASE_URL", "EmbeddedTransport", "default_pace"]

BASE_URL = "http://nbagents-embedded.localhost/v1"
"""Where the embedded model seems to be; nothing is ever sent there."""

_PACE = 0.005


class EmbeddedTransport(httpx2.AsyncBaseTransport):
    """Answers requests from the embedded model.

    Args:
        pace: Seconds between two words of a streamed reply; by default as `default_pace`.
    """

    def __init__(self, pace: float | None = None) -> None:
        self._pace = default_pace() if pace is None else pace

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        body = await request.aread()
        answer = _embedded.answer(request.method, request.url.path, body)
        if answer.chunks is None:
            content = _json.dumps(answer.body).encode("utf-8", "replace")
            headers = {"content-type": "application/json"}
            return httpx2.Response(answer.status, headers=headers, content=content)
        return httpx2.Response(
            answer.status,
            headers={"content-type": "text/event-stream"},
            stream=_Events(answer.chunks, self._pace),
        )


def default_pace() -> float:
    """Seconds between two words: ``NBAGENTS_PACE``, else 0.005, and 0 where nobody watches.

    Nobody watches below pytest (kernels inherit its ``PYTEST_CURRENT_TEST``) and under
    ``NBAGENTS_RENDER=final``.
    """
    given = os.environ.get("NBAGENTS_PACE", "")
    try:
        return max(0.0, float(given))
    except ValueError:
        watched = "PYTEST_CURRENT_TEST" not in os.environ
        return _PACE if watched and os.environ.get("NBAGENTS_RENDER") != "final" else 0.0


class _Events(httpx2.AsyncByteStream):
    def __init__(self, chunks: tuple[_embedded.Chunk, ...], pace: float) -> None:
        self._chunks = chunks
        self._pace = pace

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            await asyncio.sleep(self._pace)
            yield b"data: %b\n\n" % _json.dumps(chunk).encode("utf-8", "replace")
        yield b"data: [DONE]\n\n"
