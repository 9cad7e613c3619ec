"""The programs and figures on the documentation's pages are true."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from nbagents.models import ReplayChatCompletionClient
from nbagents.models._estimate import estimate_text_tokens
from tests.models.test_estimate import PUBLISHED

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def programs(page: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


async def run(page: str, **names: Any) -> dict[str, Any]:
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


async def test_the_programs_about_agents_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    client = ReplayChatCompletionClient(["What scatters light?", "A longer way?", "Air does."])
    names = await run("agents.md", client=client)
    assert names["result"].content == "What scatters light?"
    assert names["answer"].content == "Air does."
    assert len(client.calls[-1]["messages"]) == 6  # what was saved and loaded is remembered
    assert names["words"] == 5


async def test_the_readmes_agent_can_be_made() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(
        r"^```python\n(from nbagents import ChatAgent.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    names: dict[str, Any] = {}
    exec(program, names)
    assert [tool.name for tool in names["tutor"].tools] == ["square_root"]


def rows(page: str) -> list[list[str]]:
    """The cells of every row of every table, each as the code spans in it."""
    text = (DOCS / page).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:-1]] for line in lines]


IMPORTS = [
    (new[0], name)
    for old, new, names in (row for row in rows("coming_from_autogen.md") if len(row) == 3)
    for name in names
    if old and new
]


def test_each_trial_is_named_where_the_promises_are() -> None:
    text = (DOCS / "promises.md").read_text(encoding="utf-8")
    trials = (ROOT / "tests" / "torture" / "trials").glob("[a-z]*.py")
    assert {file.stem for file in trials} - set(re.findall(r"`(\w+)`", text)) == {"secrets"}
    assert "python -m tests.torture secrets" in text


@pytest.mark.parametrize("page", ["architecture.md", "promises.md"])
def test_the_files_that_a_page_names_are_there(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", text)
    homes = ROOT, ROOT / "nbagents"
    assert len(named) > 2
    assert [name for name in named if not any((home / name).exists() for home in homes)] == []


def test_the_port_guide_has_a_row_for_each_place_that_names_come_from() -> None:
    assert len(IMPORTS) > 70
    assert {home for home, _ in IMPORTS} == {
        "nbagents",
        "nbagents.errors",
        "nbagents.model_context",
        "nbagents.models",
        "nbagents.tools",
    }


@pytest.mark.parametrize(("home", "name"), IMPORTS)
def test_what_the_port_guide_imports_is_there(home: str, name: str) -> None:
    module = importlib.import_module(home)
    assert name in module.__all__
    assert hasattr(module, name)


def test_what_the_port_guide_calls_absent_is_absent() -> None:
    text = (DOCS / "coming_from_autogen.md").read_text(encoding="utf-8")
    table = text[text.index("## What is deliberately absent") :]
    absent = re.findall(
        r"`([A-Z]\w+)`", "".join(re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE))
    )
    assert len(absent) > 10
    places = [importlib.import_module(home) for home in dict(IMPORTS)]
    assert [name for name in absent if any(hasattr(place, name) for place in places)] == []
