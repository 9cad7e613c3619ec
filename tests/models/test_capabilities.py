"""What is believed of a model by its name."""

from __future__ import annotations

import warnings

import pytest

from nbagents.messages import ModelFamily
from nbagents.models._capabilities import DEFAULT_WINDOW, info_for, window_of


@pytest.mark.parametrize(
    ("model", "family", "window", "vision"),
    [
        ("gpt-4o", ModelFamily.GPT_4O, 128_000, True),
        ("gpt-4o-mini-2024-07-18", ModelFamily.GPT_4O, 128_000, True),
        ("openai/gpt-4.1-mini", ModelFamily.GPT_41, 1_047_576, True),
        ("gpt-5-nano", ModelFamily.GPT_5, 400_000, True),
        ("gpt-6.2-sol", ModelFamily.GPT_6, 1_050_000, True),
        ("ft:gpt-4o-2024-08-06:acme::id", ModelFamily.GPT_4O, 128_000, True),
        ("gpt-4", ModelFamily.GPT_4, 8_192, False),
        ("gpt-4-0613", ModelFamily.GPT_4, 8_192, False),
        ("gpt-4-turbo-2024-04-09", ModelFamily.GPT_4, 128_000, True),
        ("gpt-35-turbo", ModelFamily.GPT_35, 16_385, False),
        ("o3-mini", ModelFamily.O3, 200_000, False),
        ("o1-preview-2024-09-12", ModelFamily.O1, 128_000, False),
        ("gemini-2.5-flash", ModelFamily.GEMINI_2_5_FLASH, 1_048_576, True),
        ("claude-sonnet-4-20250514", ModelFamily.CLAUDE_4_SONNET, 200_000, True),
        ("deepseek-r1:7b", ModelFamily.R1, 131_072, False),
        ("llama3.1:8b", ModelFamily.UNKNOWN, 131_072, False),
    ],
)
def test_a_known_model(model: str, family: str, window: int, vision: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        info = info_for(model)
    assert (info["family"], window_of(model), info["vision"]) == (family, window, vision)


@pytest.mark.parametrize(
    ("model", "vision"), [("acme/brand-new-7b", False), ("brand-new-vl-7b", True), ("llava", True)]
)
def test_an_unknown_model_sees_only_when_its_name_says_so(model: str, vision: bool) -> None:
    with pytest.warns(UserWarning, match="Say otherwise with model_info"):
        info = info_for(model)
    assert info["vision"] is vision
    assert info["function_calling"]
    assert info["json_output"]
    assert window_of(model) == DEFAULT_WINDOW


def test_a_distilled_reasoner_is_of_the_family_that_thinks_in_tags() -> None:
    with pytest.warns(UserWarning, match="acme-r1-distill"):
        assert info_for("acme-r1-distill")["family"] == ModelFamily.R1
