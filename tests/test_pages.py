"""The programs and figures on the documentation's pages are true."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import CodeType
from typing import Any

from nbagents.models._estimate import estimate_text_tokens
from tests.models.test_estimate import PUBLISHED

DOCS = Path(__file__).parents[1] / "docs"


def programs(page: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


async def run(page: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    code: CodeType = compile(programs(page), page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    awaited = eval(code, names)
    if awaited is not None:
        await awaited
    return names


async def test_the_programs_about_contexts_run() -> None:
    names = await run("contexts.md")
    shown = [message.content for message in await names["context"].get_messages()]
    assert shown == ["The Rhine.", "Another one?"]


async def test_the_programs_about_tools_run() -> None:
    names = await run("tools.md")
    assert names["convert"](3) == 1.5
    assert names["result"].is_error is True
    said = "The arguments are wrong: amount: Input should be a valid number, "
    assert names["result"].content.startswith(said)


def test_the_table_of_estimates_is_what_is_estimated() -> None:
    text = (DOCS / "contexts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [A-Z]\w+ \| (\d+) \| (\d+) \| ([+-]\d+) % \|$", text, re.MULTILINE)
    found = [(counted, estimate_text_tokens(sentence)) for counted, sentence in PUBLISHED]
    assert [(int(counted), int(estimate)) for counted, estimate, _ in rows] == found
    errors = [round(100 * (estimate - counted) / counted) for counted, estimate in found]
    assert [int(error) for *_, error in rows] == errors
