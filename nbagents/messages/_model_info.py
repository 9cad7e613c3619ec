"""What a model can do, and which family it is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Required, Self, TypedDict

from nbagents._warnings import warn
from nbagents.errors import ConfigurationError

__all__ = ["ModelCapabilities", "ModelFamily", "ModelInfo", "validate_model_info"]


class ModelFamily:
    """Names of model families: a namespace of strings; any other string may stand for a family."""

    GPT_6 = "gpt-6"
    GPT_5 = "gpt-5"
    GPT_41 = "gpt-41"
    GPT_45 = "gpt-45"
    GPT_4O = "gpt-4o"
    O1 = "o1"
    O3 = "o3"
    O4 = "o4"
    GPT_4 = "gpt-4"
    GPT_35 = "gpt-35"
    R1 = "r1"
    GEMINI_1_5_FLASH = "gemini-1.5-flash"
    GEMINI_1_5_PRO = "gemini-1.5-pro"
    GEMINI_2_0_FLASH = "gemini-2.0-flash"
    GEMINI_2_5_PRO = "gemini-2.5-pro"
    GEMINI_2_5_FLASH = "gemini-2.5-flash"
    CLAUDE_3_HAIKU = "claude-3-haiku"
    CLAUDE_3_SONNET = "claude-3-sonnet"
    CLAUDE_3_OPUS = "claude-3-opus"
    CLAUDE_3_5_HAIKU = "claude-3-5-haiku"
    CLAUDE_3_5_SONNET = "claude-3-5-sonnet"
    CLAUDE_3_7_SONNET = "claude-3-7-sonnet"
    CLAUDE_4_OPUS = "claude-4-opus"
    CLAUDE_4_SONNET = "claude-4-sonnet"
    LLAMA_3_3_8B = "llama-3.3-8b"
    LLAMA_3_3_70B = "llama-3.3-70b"
    LLAMA_4_SCOUT = "llama-4-scout"
    LLAMA_4_MAVERICK = "llama-4-maverick"
    CODESRAL = "codestral"
    OPEN_CODESRAL_MAMBA = "open-codestral-mamba"
    MISTRAL = "mistral"
    MINISTRAL = "ministral"
    PIXTRAL = "pixtral"
    UNKNOWN = "unknown"

    ANY = str

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Refuse: the names are used as they stand.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{cls.__name__} is a namespace of names; use them as they stand.")

    @staticmethod
    def is_openai(family: str) -> bool:
        """Whether the family is one of OpenAI's."""
        return family.startswith(("gpt-", "o1", "o3", "o4"))

    @staticmethod
    def is_claude(family: str) -> bool:
        """Whether the family is one of Anthropic's."""
        return family.startswith("claude-")

    @staticmethod
    def is_gemini(family: str) -> bool:
        """Whether the family is one of Google's."""
        return family.startswith("gemini-")

    @staticmethod
    def is_llama(family: str) -> bool:
        """Whether the family is one of Meta's."""
        return family.startswith("llama-")

    @staticmethod
    def is_mistral(family: str) -> bool:
        """Whether the family is one of Mistral's."""
        return family.startswith(
            ("mistral", "ministral", "pixtral", "codestral", "open-codestral-mamba")
        )


class ModelInfo(TypedDict, total=False):
    """What a model can do.

    Keys:
        vision: It reads images.
        function_calling: It calls functions.
        json_output: It can be held to JSON.
        family: One of `ModelFamily`, or any other string.
        structured_output: It can be held to a JSON schema.
        multiple_system_messages: It takes system messages anywhere.
    """

    vision: Required[bool]
    function_calling: Required[bool]
    json_output: Required[bool]
    family: Required[str]
    structured_output: Required[bool]
    multiple_system_messages: bool | None


class ModelCapabilities(TypedDict, total=False):
    """The older, smaller form of `ModelInfo`."""

    vision: Required[bool]
    function_calling: Required[bool]
    json_output: Required[bool]


def validate_model_info(model_info: Mapping[str, object]) -> None:
    """Check that a ``ModelInfo`` says what is needed.

    Raises:
        ConfigurationError: A required key is missing.
    """
    for key in ("vision", "function_calling", "json_output", "family"):
        if key not in model_info:
            raise ConfigurationError(
                f"model_info lacks '{key}'; add it (see nbagents.models.ModelInfo)."
            )
    if "structured_output" not in model_info:
        warn(
            "model_info lacks 'structured_output'; False is assumed. Add it to be sure.",
            UserWarning,
        )
