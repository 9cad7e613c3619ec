"""A cassette's model, without a client to ask: what is known of it is what was recorded."""

from __future__ import annotations

import threading
import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbagents.messages import (
    CreateResult,
    LLMMessage,
    ModelCapabilities,
    ModelInfo,
    RequestUsage,
)
from nbagents.models._capabilities import info_for, window_of
from nbagents.models._cassette.deck import Deck
from nbagents.models._estimate import estimate_tokens
from nbagents.models._request import Asked, Defaults, unchecked_arguments_for

if TYPE_CHECKING:
    from nbagents.models._client import ToolLike

__all__ = ["RecordedModel"]


class RecordedModel:
    """Stands for the client that a cassette was recorded with.

    It is taken to have been made with the arguments that all recorded requests share.

    Args:
        deck: The cassette, which is only replayed.
        info: What the model can do, where its name does not tell.
    """

    def __init__(self, deck: Deck, info: ModelInfo | None = None) -> None:
        self._defaults = _shared_by([record.request for record in deck.records])
        self.model = str(self._defaults.pop("model", "recorded"))
        self._info = _info_of(self.model) if info is None else info
        self._usage = RequestUsage(0, 0)
        self._lock = threading.Lock()

    def request_for(self, asked: Asked) -> dict[str, Any]:
        """What the call would send."""
        return unchecked_arguments_for(asked, Defaults(self.model, self._info, self._defaults))

    def count_replayed(self, asked: Asked, usage: RequestUsage | None) -> None:
        """Count a reply."""
        if usage is not None:
            with self._lock:
                self._usage += usage

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        """Never called: what is only replayed is not sent."""
        raise AssertionError("a cassette that is replayed sends no request")

    def create_stream(
        self, messages: Sequence[LLMMessage], **arguments: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Never called: what is only replayed is not sent."""
        raise AssertionError("a cassette that is replayed sends no request")

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    def actual_usage(self) -> RequestUsage:
        """The tokens of all replies, as they were recorded."""
        return self._usage

    total_usage = actual_usage

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens they take, estimated."""
        return estimate_tokens(messages, tools=tools, model=self.model)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = ()
    ) -> int:
        """How many tokens the model's window leaves."""
        return window_of(self.model) - self.count_tokens(messages, tools=tools)

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return self._info

    @property
    def capabilities(self) -> ModelCapabilities:
        """The older form of `model_info`."""
        return ModelCapabilities(
            vision=self._info["vision"],
            function_calling=self._info["function_calling"],
            json_output=self._info["json_output"],
        )


def _shared_by(requests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The arguments that all requests have, with equal values."""
    first = dict(requests[0]) if requests else {}
    return {
        name: value
        for name, value in first.items()
        if name not in ("messages", "tools", "tool_choice", "response_format")
        and all(request.get(name) == value for request in requests)
    }


def _info_of(model: str) -> ModelInfo:
    with warnings.catch_warnings():
        # Nothing is asked of it: that it is unknown makes no difference.
        warnings.simplefilter("ignore")
        return info_for(model)
