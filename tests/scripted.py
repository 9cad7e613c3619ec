"""A client that a user might write: it inherits nothing, and says what it was told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from nbagents.messages import CreateResult, LLMMessage, RequestUsage, StreamChunk


class ScriptedClient:
    """Answers each request with the next reply: a text, a result, or an exception to raise."""

    model = "scripted"

    def __init__(self, *replies: str | CreateResult | BaseException, pause: float = 0.0) -> None:
        self.replies = list(replies)
        self.pause = pause
        self.requests: list[list[LLMMessage]] = []
        self.closed_streams = 0
        self.usage = RequestUsage(0, 0)

    async def create(self, messages: Sequence[LLMMessage], **_: Any) -> CreateResult:
        self.requests.append(list(messages))
        await asyncio.sleep(self.pause)
        reply = self.replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return self._result(reply)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **_: Any
    ) -> AsyncGenerator[StreamChunk | CreateResult, None]:
        self.requests.append(list(messages))
        reply = self.replies.pop(0)
        try:
            for word in _words(reply):
                await asyncio.sleep(self.pause)
                yield StreamChunk(word)
            if isinstance(reply, BaseException):
                raise reply
            yield self._result(reply)
        finally:
            self.closed_streams += 1

    def _result(self, reply: str | CreateResult) -> CreateResult:
        if isinstance(reply, CreateResult):
            return reply
        usage = RequestUsage(10, len(reply.split()))
        self.usage += usage
        return CreateResult(
            finish_reason="stop", content=reply, usage=usage, cached=False, model=self.model
        )

    async def close(self) -> None: ...

    def actual_usage(self) -> RequestUsage:
        return self.usage

    def total_usage(self) -> RequestUsage:
        return self.usage

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = ()) -> int:
        return sum(len(str(message.content).split()) for message in messages)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = ()) -> int:
        return 1000 - self.count_tokens(messages)

    @property
    def model_info(self) -> dict[str, Any]:
        return {
            "vision": False,
            "function_calling": False,
            "json_output": False,
            "family": "unknown",
            "structured_output": False,
        }

    capabilities = model_info


def _words(reply: str | CreateResult | BaseException) -> list[str]:
    if isinstance(reply, CreateResult):
        return []
    return reply.split(" ") if isinstance(reply, str) else ["so", "far"]
