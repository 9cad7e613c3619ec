"""Tokens, counted without the network.

With tiktoken installed and its vocabulary in tiktoken's cache on this machine, texts are counted
exactly for OpenAI's models. Otherwise they are estimated by their words and scripts: against the
counts that OpenAI published for one sentence in 20 languages ("Hello GPT-4o", May 2024) the
estimate is off by less than 20 %, and by 9 % on average. Strings of random characters take up
to half as much again as is estimated. Of a very long text a sample is counted.

What stands around the texts is OpenAI's: three tokens for each message and for the reply's
beginning, one for a role and for a name; an image by its tiles.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbagents.messages import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    Image,
    LLMMessage,
    UserMessage,
)

if TYPE_CHECKING:
    from nbagents.models._client import ToolLike

__all__ = ["estimate_text_tokens", "estimate_tokens"]

# Script, letters that one token holds, letters that each further token holds. The first match
# decides. Fitted to OpenAI's published counts for o200k_base.
_SCRIPTS: tuple[tuple[str, str, float, float], ...] = (
    ("contraction", r"'(?:s|t|re|ve|m|ll|d)\b", 9, 1),
    ("english", r"[A-Za-z]+(?![\u00c0-\u024f\u1e00-\u1eff])", 6, 6),
    ("latin", r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+", 4, 2.7),
    ("digits", r"\d{1,3}", 3, 1),
    ("greek", r"[\u0370-\u03ff]+", 3, 3),
    ("cyrillic", r"[\u0400-\u04ff]+", 5, 7),
    ("semitic", r"[\u0590-\u06ff]+", 3, 2.5),
    ("indic", r"[\u0900-\u0dff]+", 3, 2),
    ("thai", r"[\u0e00-\u0fff\u1780-\u17ff]+", 1.8, 1.8),
    ("kana", r"[\u3040-\u30ff]+", 1.7, 1.7),
    ("han", r"[\u3400-\u9fff\uf900-\ufaff]+", 1.33, 1.33),
    ("hangul", r"[\uac00-\ud7a3]+", 1.7, 1.7),
    ("emoji", r"[\U0001f000-\U0001faff]", 0.5, 0.5),
    ("newlines", r"\s*\n\s*", 99, 99),
    ("indent", r"[^\S\n]{2,}", 99, 99),
    ("signs", r"[^\w\s]{1,2}", 2, 1),
    ("other", r"\S", 1, 1),
)
_WORD = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern, _, _ in _SCRIPTS))
_SIZES = {name: (first, further) for name, _, first, further in _SCRIPTS}

_PER_MESSAGE = 3
_ROLE = _NAME = 1
_REPLY = 3
_PER_TOOL = 8
_UNMEASURED_IMAGE = 765  # of 1024 by 1024 pixels
_COUNTED = 400_000
"""Characters that are counted; of a longer text so many, in pieces from all over it."""
_PIECES = 100

# tiktoken's vocabularies and what their files hash to (SHA-256), so that none is downloaded.
_VOCABULARIES = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
_OLDER = re.compile(r"gpt-4(?:-|$)|gpt-3\.?5")
_HOME = "https://openaipublic.blob.core.windows.net/encodings/"


def estimate_text_tokens(text: str, model: str = "") -> int:
    """How many tokens ``text`` takes; exact only as the module says.

    Args:
        text: Any text.
        model: Whose tokens; it decides between tiktoken's vocabularies.
    """
    count = _counter("cl100k_base" if _OLDER.match(model) else "o200k_base") or _estimated
    if len(text) <= _COUNTED:
        return count(text)
    # Counting a reply of megabytes takes seconds, in which no other reply goes on.
    starts = [len(text) * piece // _PIECES for piece in range(_PIECES)]
    sample = [text[start : start + _COUNTED // _PIECES] for start in starts]
    return math.ceil(sum(map(count, sample)) * len(text) / sum(map(len, sample)))


def estimate_tokens(
    messages: Sequence[LLMMessage], *, tools: Sequence[ToolLike] = (), model: str = ""
) -> int:
    """How many tokens the messages and tools take in a request."""
    total = _REPLY if messages else 0
    for message in messages:
        total += _PER_MESSAGE + _ROLE + _message_tokens(message, model)
    for tool in tools:
        schema: Mapping[str, Any] = tool if isinstance(tool, Mapping) else tool.schema
        said = json.dumps(schema, ensure_ascii=False, default=str)
        total += _PER_TOOL + estimate_text_tokens(said, model)
    return total


def _message_tokens(message: LLMMessage, model: str) -> int:
    parts: list[str | Image] = []
    extra = 0
    if isinstance(message, FunctionExecutionResultMessage):
        for result in message.content:
            parts += [result.content, result.call_id]
            extra += _PER_MESSAGE
    elif isinstance(message.content, str):
        parts.append(message.content)
    else:
        for part in message.content:
            parts += [part] if isinstance(part, str | Image) else [part.name, part.arguments]
    if isinstance(message, UserMessage):
        parts.append(message.source)
        extra += _NAME
    elif isinstance(message, AssistantMessage) and not isinstance(message.content, str):
        parts.append(message.thought or "")
    return extra + sum(
        _image_tokens(part) if isinstance(part, Image) else estimate_text_tokens(part, model)
        for part in parts
    )


def _estimated(text: str) -> int:
    total = 0.0
    for match in _WORD.finditer(text):
        first, further = _SIZES[str(match.lastgroup)]
        rest = match.end() - match.start() - first
        total += 1 + rest / further if rest > 0 else 1
    return math.ceil(total)


def _image_tokens(image: Image) -> int:
    """An image at high detail, by OpenAI's rule for GPT-4o: 85, and 170 for each tile of 512.

    Before that it is shrunk to fit into 2048 by 2048, and its shorter side to 768.
    """
    try:
        width, height = image.image.size
    except (ImportError, OSError):  # no Pillow to measure it with, or no image
        return _UNMEASURED_IMAGE
    scale = min(1.0, 2048 / max(width, height), 768 / min(width, height))
    tiles = math.ceil(width * scale / 512) * math.ceil(height * scale / 512)
    return 85 + 170 * tiles


@cache
def _counter(vocabulary: str) -> Callable[[str], int] | None:
    """Tiktoken's own count, where it can be had without the network."""
    if find_spec("tiktoken") is None or not _on_disk(vocabulary):
        return None
    encoding = import_module("tiktoken").get_encoding(vocabulary)
    return lambda text: len(encoding.encode(text, disallowed_special=()))


def _on_disk(vocabulary: str) -> bool:
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        folder = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    if not folder:  # tiktoken takes an empty name for: keep nothing
        return False
    name = hashlib.sha1(f"{_HOME}{vocabulary}.tiktoken".encode(), usedforsecurity=False)
    try:
        data = (Path(folder) / name.hexdigest()).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == _VOCABULARIES[vocabulary]
