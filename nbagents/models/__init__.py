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
from nbagents.models._azure import AzureOpenAIChatCompletionClient
from nbagents.models._cache import ChatCompletionCache
from nbagents.models._client import ChatCompletionClient
from nbagents.models._limits import Limits
from nbagents.models._metering import MeteredChatCompletionClient
from nbagents.models._openai import OpenAIChatCompletionClient
from nbagents.models._recording import RecordingChatCompletionClient
from nbagents.models._replay import ReplayChatCompletionClient
from nbagents.models._resolve import Resolution, default_client, resolve
from nbagents.models._stores import CacheStore, InMemoryStore, SQLiteStore
from nbagents.models._stream import ReplyStream
from nbagents.models._tracing import TracedChatCompletionClient
from nbagents.models._wrappers import through, use

__all__ = [
    "AssistantMessage",
    "AzureOpenAIChatCompletionClient",
    "CacheStore",
    "ChatCompletionCache",
    "ChatCompletionClient",
    "ChatCompletionTokenLogprob",
    "CreateResult",
    "FinishReasons",
    "FunctionCall",
    "FunctionExecutionResult",
    "FunctionExecutionResultMessage",
    "Image",
    "InMemoryStore",
    "LLMMessage",
    "Limits",
    "MeteredChatCompletionClient",
    "ModelCapabilities",
    "ModelFamily",
    "ModelInfo",
    "OpenAIChatCompletionClient",
    "RecordingChatCompletionClient",
    "ReplayChatCompletionClient",
    "ReplyStream",
    "RequestUsage",
    "Resolution",
    "SQLiteStore",
    "StreamChunk",
    "SystemMessage",
    "TopLogprob",
    "TracedChatCompletionClient",
    "UserMessage",
    "default_client",
    "resolve",
    "through",
    "use",
    "validate_model_info",
]
