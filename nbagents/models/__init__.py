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
from nbagents.models._openai import OpenAIChatCompletionClient
from nbagents.models._resolve import Resolution, default_client, resolve
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
    "OpenAIChatCompletionClient",
    "ReplyStream",
    "RequestUsage",
    "Resolution",
    "StreamChunk",
    "SystemMessage",
    "TopLogprob",
    "UserMessage",
    "default_client",
    "resolve",
    "through",
    "use",
    "validate_model_info",
]
