"""What a model is shown of a conversation: contexts that hold messages and give a view of them.

A view is always one that the API accepts. Function calls and their results are one unit and
never parted; a result whose call is not there is left out; a call that was never answered is
shown with a result that says so, unless it is the newest message and its result is still to
come. The system messages at the beginning and the newest unit are in every view. A view is a
new list, so what is done to it does not reach the context.
"""

from nbagents.model_context._base import (
    ChatCompletionContext,
    ChatCompletionContextState,
    UnboundedChatCompletionContext,
)
from nbagents.model_context._buffered import BufferedChatCompletionContext
from nbagents.model_context._head_and_tail import HeadAndTailChatCompletionContext
from nbagents.model_context._summarising import (
    SummarisingChatCompletionContext,
    SummarisingChatCompletionContextState,
)
from nbagents.model_context._token_limited import TokenLimitedChatCompletionContext

__all__ = [
    "BufferedChatCompletionContext",
    "ChatCompletionContext",
    "ChatCompletionContextState",
    "HeadAndTailChatCompletionContext",
    "SummarisingChatCompletionContext",
    "SummarisingChatCompletionContextState",
    "TokenLimitedChatCompletionContext",
    "UnboundedChatCompletionContext",
]
