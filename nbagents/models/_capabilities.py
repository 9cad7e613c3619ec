"""What models can do, and how much they read, by their names.

Windows are those in the makers' model pages (OpenAI, Google, Anthropic, Meta, Mistral,
DeepSeek, Alibaba), read in 2026. A server may be set to less: Ollama serves 4,096 tokens unless
told otherwise.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

from nbagents._warnings import warn
from nbagents.messages import ModelFamily, ModelInfo
from nbagents.prices import context_window

__all__ = ["DEFAULT_WINDOW", "info_for", "thinks_unseen", "window_of"]

DEFAULT_WINDOW = 32_768
"""Tokens that a model nobody here knows is taken to read: most of today's read as much."""


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    family: str
    window: int
    can: str = "vision tools json schema"
    system_anywhere: bool = True


def _rule(pattern: str, family: str, window: int, can: str = "", *, system: bool = True) -> _Rule:
    return _Rule(re.compile(pattern), family, window, can or _Rule.can, system)


_TEXT = "tools json schema"
_TEXT_LOOSE = "tools json"

# The first that matches the name's beginning decides.
_RULES: tuple[_Rule, ...] = (
    _rule(r"gpt-6", ModelFamily.GPT_6, 1_050_000),
    _rule(r"gpt-5[\d.]*-chat", ModelFamily.GPT_5, 128_000),
    _rule(r"gpt-5", ModelFamily.GPT_5, 400_000),
    _rule(r"gpt-4\.1|gpt-41", ModelFamily.GPT_41, 1_047_576),
    _rule(r"gpt-4\.5|gpt-45", ModelFamily.GPT_45, 128_000),
    _rule(r"gpt-4o|chatgpt-4o", ModelFamily.GPT_4O, 128_000),
    _rule(r"o1-(?:mini|preview)", ModelFamily.O1, 128_000, "json"),
    _rule(r"o1", ModelFamily.O1, 200_000),
    _rule(r"o3-mini", ModelFamily.O3, 200_000, _TEXT),
    _rule(r"o3", ModelFamily.O3, 200_000),
    _rule(r"o4", ModelFamily.O4, 200_000),
    _rule(r"gpt-4-turbo", ModelFamily.GPT_4, 128_000, "vision tools json"),
    _rule(r"gpt-4-(?:1106|0125)", ModelFamily.GPT_4, 128_000, _TEXT_LOOSE),
    _rule(r"gpt-4-32k", ModelFamily.GPT_4, 32_768, _TEXT_LOOSE),
    _rule(r"gpt-4(?:-0|$)", ModelFamily.GPT_4, 8_192, _TEXT_LOOSE),
    _rule(r"gpt-3\.?5-turbo-instruct", ModelFamily.GPT_35, 4_096, "none"),
    _rule(r"gpt-3\.?5", ModelFamily.GPT_35, 16_385, _TEXT_LOOSE),
    _rule(r"gpt-oss", ModelFamily.UNKNOWN, 131_072, _TEXT),
    _rule(r"gemini-1\.5-flash", ModelFamily.GEMINI_1_5_FLASH, 1_048_576, system=False),
    _rule(r"gemini-1\.5-pro", ModelFamily.GEMINI_1_5_PRO, 2_097_152, system=False),
    _rule(r"gemini-2\.0-flash", ModelFamily.GEMINI_2_0_FLASH, 1_048_576, system=False),
    _rule(r"gemini-2\.5-pro", ModelFamily.GEMINI_2_5_PRO, 1_048_576, system=False),
    _rule(r"gemini-2\.5-flash", ModelFamily.GEMINI_2_5_FLASH, 1_048_576, system=False),
    _rule(r"gemini-", ModelFamily.UNKNOWN, 1_048_576, system=False),
    _rule(r"claude-3-haiku", ModelFamily.CLAUDE_3_HAIKU, 200_000, "vision tools json"),
    _rule(r"claude-3-sonnet", ModelFamily.CLAUDE_3_SONNET, 200_000, "vision tools json"),
    _rule(r"claude-3-opus", ModelFamily.CLAUDE_3_OPUS, 200_000, "vision tools json"),
    _rule(r"claude-3[-.]5-haiku", ModelFamily.CLAUDE_3_5_HAIKU, 200_000, "vision tools json"),
    _rule(r"claude-3[-.]5-sonnet", ModelFamily.CLAUDE_3_5_SONNET, 200_000, "vision tools json"),
    _rule(r"claude-3[-.]7-sonnet", ModelFamily.CLAUDE_3_7_SONNET, 200_000, "vision tools json"),
    _rule(r"claude-opus-4|claude-4-opus", ModelFamily.CLAUDE_4_OPUS, 200_000),
    _rule(r"claude-sonnet-4|claude-4-sonnet", ModelFamily.CLAUDE_4_SONNET, 200_000),
    _rule(r"claude-", ModelFamily.UNKNOWN, 200_000),
    _rule(r"llama-?4-?scout", ModelFamily.LLAMA_4_SCOUT, 10_485_760),
    _rule(r"llama-?4-?maverick", ModelFamily.LLAMA_4_MAVERICK, 1_048_576),
    _rule(r"llama-?3\.3-?8b", ModelFamily.LLAMA_3_3_8B, 131_072, _TEXT),
    _rule(r"llama-?3\.3", ModelFamily.LLAMA_3_3_70B, 131_072, _TEXT),
    _rule(r"llama-?3\.2.*vision", ModelFamily.UNKNOWN, 131_072),
    _rule(r"llama-?3\.[12]", ModelFamily.UNKNOWN, 131_072, _TEXT),
    _rule(r"(?:open-)?codestral-mamba", ModelFamily.OPEN_CODESRAL_MAMBA, 262_144, _TEXT),
    _rule(r"codestral", ModelFamily.CODESRAL, 262_144, _TEXT),
    _rule(r"ministral", ModelFamily.MINISTRAL, 131_072, _TEXT),
    _rule(r"pixtral", ModelFamily.PIXTRAL, 131_072),
    _rule(r"mistral-(?:large|medium|small|nemo)", ModelFamily.MISTRAL, 131_072, _TEXT),
    _rule(r"mistral", ModelFamily.MISTRAL, 32_768, _TEXT),
    _rule(r"deepseek-(?:r1|reasoner)", ModelFamily.R1, 131_072, _TEXT),
    _rule(r"deepseek", ModelFamily.UNKNOWN, 131_072, _TEXT),
    _rule(r"qwen[\d.]*-?vl", ModelFamily.UNKNOWN, 32_768),
    _rule(r"qwen", ModelFamily.UNKNOWN, 32_768, _TEXT),
    _rule(r"gemma-?3", ModelFamily.UNKNOWN, 131_072, "vision json schema"),
    _rule(r"phi-?4", ModelFamily.UNKNOWN, 16_384, _TEXT),
    _rule(r"nbagents-embedded", ModelFamily.UNKNOWN, DEFAULT_WINDOW, "none"),
)

_SEES = re.compile(r"vision|[-_]vl\b|llava|moondream|minicpm-v|multimodal|omni")
_REASONS_ALOUD = re.compile(r"(?:^|[-_/])r1(?:[-_:.]|$)")

_warned: set[str] = set()
_lock = threading.Lock()


def info_for(model: str) -> ModelInfo:
    """What ``model`` can do. Of an unknown one too much is believed rather than too little.

    Such a model is taken to call functions and to write JSON, and to read images only when its
    name says so; a warning says this once per name.

    Args:
        model: The name as it is sent; a provider before a slash and a tag after it are skipped.
    """
    rule = _rule_for(model)
    if rule is not None:
        return ModelInfo(
            vision="vision" in rule.can,
            function_calling="tools" in rule.can,
            json_output="json" in rule.can,
            family=rule.family,
            structured_output="schema" in rule.can,
            multiple_system_messages=rule.system_anywhere,
        )
    name = model.lower()
    info = ModelInfo(
        vision=bool(_SEES.search(name)),
        function_calling=True,
        json_output=True,
        family=ModelFamily.R1 if _REASONS_ALOUD.search(name) else ModelFamily.UNKNOWN,
        structured_output=True,
        multiple_system_messages=True,
    )
    _warn_once(model, info)
    return info


def window_of(model: str) -> int:
    """How many tokens ``model`` reads; `DEFAULT_WINDOW` when it is not known."""
    listed = context_window(model)
    if listed is not None:
        return listed
    rule = _rule_for(model)
    return DEFAULT_WINDOW if rule is None else rule.window


def thinks_unseen(info: ModelInfo) -> bool:
    """Whether a model may reason for minutes of which its stream shows nothing."""
    hidden = (
        ModelFamily.O1,
        ModelFamily.O3,
        ModelFamily.O4,
        ModelFamily.GPT_5,
        ModelFamily.GPT_6,
    )
    return info["family"] in hidden


def _rule_for(model: str) -> _Rule | None:
    name = model.lower().rpartition("/")[2].removeprefix("ft:")
    return next((rule for rule in _RULES if rule.pattern.match(name)), None)


def _warn_once(model: str, info: ModelInfo) -> None:
    with _lock:
        if model in _warned:
            return
        _warned.add(model)
    warn(
        f"{model!r} is not a model known here; it is taken to call functions and write JSON, "
        f"{'and' if info['vision'] else 'not'} to read images, and to read {DEFAULT_WINDOW:,} "
        "tokens. Say otherwise with model_info=...",
        UserWarning,
    )
