"""Counting tokens without the network."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagents.messages import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    Image,
    SystemMessage,
    UserMessage,
)
from nbagents.models import _estimate
from nbagents.models._estimate import estimate_text_tokens, estimate_tokens

ROWS = (Path(__file__).parent / "token_counts.tsv").read_text(encoding="utf-8").splitlines()[1:]
PUBLISHED = [(int(tokens), text) for tokens, text in (row.split("\t") for row in ROWS)]


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    _estimate._counter.cache_clear()
    yield
    _estimate._counter.cache_clear()


def test_the_error_is_what_the_module_says_in_twenty_languages() -> None:
    errors = [abs(estimate_text_tokens(text) - tokens) / tokens for tokens, text in PUBLISHED]
    assert max(errors) < 0.20
    assert sum(errors) / len(errors) < 0.10


@given(st.text())
def test_any_text_has_a_count_and_more_text_has_no_smaller_one(text: str) -> None:
    count = estimate_text_tokens(text)
    assert 0 <= count <= 3 * len(text)
    assert estimate_text_tokens(text + "\nword") > count - 1


def test_of_a_very_long_text_a_sample_is_counted() -> None:
    parts = ["The quick brown fox. ", "Съешь ещё этих булок. ", "x = [1234, 5678]\n", "漢字かな "]
    text = "".join(part * 20_000 for part in parts)
    whole = sum(estimate_text_tokens(part * 20_000) for part in parts)
    assert max(len(part) * 20_000 for part in parts) > 400_000
    assert abs(estimate_text_tokens(text) / whole - 1) < 0.02
    assert (
        abs(estimate_text_tokens(text[:400_001]) / estimate_text_tokens(text[:400_000]) - 1) < 0.01
    )


def test_nothing_takes_nothing() -> None:
    assert estimate_text_tokens("") == 0
    assert estimate_tokens([]) == 0


def test_every_part_of_a_conversation_counts() -> None:
    parts = [
        SystemMessage(content="Be brief."),
        UserMessage(content="What is 2 + 2?", source="ada"),
        AssistantMessage(content=[FunctionCall("c1", '{"a": 2, "b": 2}', "add")], source="bot"),
        FunctionExecutionResultMessage(
            content=[FunctionExecutionResult(content="4", name="add", call_id="c1")]
        ),
        AssistantMessage(content="Four.", source="bot"),
    ]
    counts = [estimate_tokens(parts[:end]) for end in range(1, len(parts) + 1)]
    assert counts == sorted(set(counts))
    tool = {"name": "add", "description": "Add two numbers.", "parameters": {"type": "object"}}
    assert estimate_tokens(parts, tools=[tool]) > counts[-1] + 8


@pytest.mark.parametrize(
    ("size", "tokens"),
    # OpenAI's own examples, in its guide to vision: 1024 x 1024 and 2048 x 4096.
    [((1024, 1024), 765), ((2048, 4096), 1105), ((512, 512), 255), ((1, 1), 255)],
)
def test_images_count_by_their_tiles(size: tuple[int, int], tokens: int) -> None:
    buffer = BytesIO()
    PIL.Image.new("1", size).save(buffer, format="PNG")
    image = Image.from_bytes(buffer.getvalue())
    with_it = UserMessage(content=["look", image], source="ada")
    without = UserMessage(content=["look"], source="ada")
    assert estimate_tokens([with_it]) - estimate_tokens([without]) == tokens


def test_an_image_that_cannot_be_measured_counts_as_a_common_one() -> None:
    image = Image.from_bytes(b"\x89PNG\r\n\x1a\n")
    with_it = UserMessage(content=[image], source="ada")
    assert estimate_tokens([with_it]) >= 765


class TestTiktoken:
    """The library's place is taken by a stand-in: its vocabulary cannot be had offline."""

    @pytest.fixture
    def loaded(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
        asked: list[str] = []

        def get_encoding(name: str) -> SimpleNamespace:
            asked.append(name)
            return SimpleNamespace(encode=lambda text, disallowed_special: text.split())

        stand_in = SimpleNamespace(get_encoding=get_encoding, __spec__=SimpleNamespace())
        monkeypatch.setitem(sys.modules, "tiktoken", stand_in)  # type: ignore[arg-type]
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
        return asked

    def put_vocabulary(self, folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
        address = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
        (folder / hashlib.sha1(address.encode()).hexdigest()).write_bytes(data)
        digest = hashlib.sha256(b"whole").hexdigest()
        monkeypatch.setitem(_estimate._VOCABULARIES, "o200k_base", digest)

    def test_it_counts_where_its_vocabulary_is_on_disk(
        self, loaded: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.put_vocabulary(tmp_path, monkeypatch, b"whole")
        assert estimate_text_tokens("extraordinarily long words", "gpt-4o") == 3
        assert loaded == ["o200k_base"]

    @pytest.mark.parametrize("data", [None, b"hal"])
    def test_it_is_left_alone_where_it_would_download(
        self,
        loaded: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        data: bytes | None,
    ) -> None:
        if data is not None:
            self.put_vocabulary(tmp_path, monkeypatch, data)
        assert estimate_text_tokens("Hello there", "gpt-4o") == 2
        assert loaded == []
