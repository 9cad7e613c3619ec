"""Clients of language models, and what they take and give."""

from nbagents.messages import (
    AssistantMessage,
    ChatCompletionTokenLogprob,
    CreateResult,
    FinishReasons,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    Image,
    LLMMessage,
    ModelCapabilities,
    ModelFamily,
    ModelInfo,
    RequestUsage,
    StreamChunk,
    SystemMessage,
    TopLogprob,
    UserMessage,
    validate_model_info,
)
from nbagents.models._client import ChatCompletionClient
from nbagents.models._metering import MeteredChatCompletionClient
from nbagents.models._stream import ReplyStream
from nbagents.models._wrappers import through, use

__all__ = [
    "AssistantMessage",
    "ChatCompletionClient",
    "ChatCompletionTokenLogprob",
    "CreateResult",
    "FinishReasons",
    "FunctionCall",
    "FunctionExecutionResult",
    "FunctionExecutionResultMessage",
    "Image",
    "LLMMessage",
    "MeteredChatCompletionClient",
    "ModelCapabilities",
    "ModelFamily",
    "ModelInfo",
    "ReplyStream",
    "RequestUsage",
    "StreamChunk",
    "SystemMessage",
    "TopLogprob",
    "UserMessage",
    "through",
    "use",
    "validate_model_info",
]
