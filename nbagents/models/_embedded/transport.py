"""The embedded model below the real SDK client: an HTTP transport that makes no request.

The whole path of a real request runs (the SDK prepares it, the bytes of an event stream come
back and are decoded); only the network is left out.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2

from nbagents._mode import is_final
from nbagents.messages import ModelFamily, ModelInfo
from nbagents.models._embedded import service
from nbagents.models._requests import EMBEDDED_HOST
from nbagents.models._wire import fastjson

if TYPE_CHECKING:
    from nbagents.models._openai import OpenAIChatCompletionClient

__all__ = ["BASE_URL", "INFO", "EmbeddedTransport", "default_pace", "embedded_client"]

BASE_URL = f"http://{EMBEDDED_HOST}/v1"

INFO: ModelInfo = {
    "vision": False,
    "function_calling": False,
    "json_output": True,  # its own reply as a JSON object
    "structured_output": False,
    "family": ModelFamily.UNKNOWN,
}
"""What the embedded model can do."""

_PACE = 0.005


def embedded_client(*, pace: float | None = None, **settings: Any) -> OpenAIChatCompletionClient:
    """Make a client of the embedded model.

    Args:
        pace: Seconds between two words of a streamed reply; by default as `default_pace`.
        settings: Further arguments of `OpenAIChatCompletionClient`.
    """
    from nbagents.models._openai import OpenAIChatCompletionClient

    return OpenAIChatCompletionClient(
        model=service.MODEL,
        base_url=BASE_URL,
        model_info=INFO,
        _transport=partial(EmbeddedTransport, pace),
        **settings,
    )


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
        answer = service.answer(request.method, request.url.path, body)
        if answer.chunks is None:
            kind, pieces, pace = "application/json", [fastjson.dumps(answer.body)], 0.0
        else:
            events = [f"data: {fastjson.dumps(chunk)}\n\n" for chunk in answer.chunks]
            kind, pieces, pace = "text/event-stream", [*events, "data: [DONE]\n\n"], self._pace
        headers = {"content-type": kind}
        return httpx2.Response(answer.status, headers=headers, stream=_Body(pieces, pace))


def default_pace() -> float:
    """Seconds between two words: ``NBAGENTS_PACE``, else 0.005, and 0 where nobody watches."""
    given = os.environ.get("NBAGENTS_PACE", "")
    try:
        return max(0.0, float(given))
    except ValueError:
        return 0.0 if is_final() else _PACE


class _Body(httpx2.AsyncByteStream):
    """A body that comes piece by piece, as from the network."""

    def __init__(self, pieces: Sequence[str], pace: float) -> None:
        self._pieces = pieces
        self._pace = pace

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(self._pace)
            yield piece.encode("utf-8", "replace")
