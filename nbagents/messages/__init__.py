"""Messages to a model, and what comes back: pydantic models and small value types."""

from nbagents.messages._image import Image
from nbagents.messages._messages import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from nbagents.messages._model_info import (
    ModelCapabilities,
    ModelFamily,
    ModelInfo,
    validate_model_info,
)
from nbagents.messages._results import (
    ChatCompletionTokenLogprob,
    CreateResult,
    FinishReasons,
    RequestUsage,
    StreamChunk,
    TopLogprob,
)

__all__ = [
    "AssistantMessage",
    "ChatCompletionTokenLogprob",
    "CreateResult",
    "FinishReasons",
    "FunctionCall",
    "FunctionExecutionResult",
    "FunctionExecutionResultMessage",
    "Image",
    "LLMMessage",
    "ModelCapabilities",
    "ModelFamily",
    "ModelInfo",
    "RequestUsage",
    "StreamChunk",
    "SystemMessage",
    "TopLogprob",
    "UserMessage",
    "validate_model_info",
]
