"""Tools that are more than a function, and AutoGen's signatures."""

from __future__ import annotations

import datetime as dt
import inspect
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from nbagents import CancellationToken
from nbagents.errors import ConfigurationError, NbAgentsError
from nbagents.tools import (
    BaseTool,
    FunctionTool,
    InvalidToolArgumentsException,
    Tool,
    ToolException,
    ToolExecutionException,
    ToolNotFoundException,
    ToolOverride,
    tool,
    tools_from,
)

# autogen-core 0.7.5, read with inspect.signature; annotations left out, [] as ().
AUTOGEN = {
    BaseTool: "(args_type, return_type, name, description, strict=False)",
    BaseTool.args_type: "(self)",
    BaseTool.return_type: "(self)",
    BaseTool.state_type: "(self)",
    BaseTool.return_value_as_string: "(self, value)",
    BaseTool.run: "(self, args, cancellation_token)",
    BaseTool.run_json: "(self, args, cancellation_token, call_id=None)",
    BaseTool.save_state_json: "(self)",
    BaseTool.load_state_json: "(self, state)",
    Tool.run_json: "(self, args, cancellation_token, call_id=None)",
    FunctionTool: "(func, description, name=None, global_imports=(), strict=False)",
    FunctionTool.run: "(self, args, cancellation_token)",
    ToolException: "(call_id, content, name)",
    ToolOverride: "(*, name=None, description=None)",
}
OURS = {"side_effects", "approve"}


@pytest.mark.parametrize("function", AUTOGEN, ids=lambda function: function.__qualname__)
def test_signatures_are_those_of_autogen(function: Any) -> None:
    """Beside AutoGen's parameters there may be ours, by keyword and with a default."""
    signature = inspect.signature(function)
    ours = [each for each in signature.parameters.values() if each.name in OURS]
    assert all(each.kind is each.KEYWORD_ONLY and each.default is not each.empty for each in ours)
    theirs = [
        each.replace(annotation=each.empty)
        for each in signature.parameters.values()
        if each not in ours
    ]
    bare = signature.replace(parameters=theirs, return_annotation=signature.empty)
    assert str(bare) == AUTOGEN[function]


class Asked(BaseModel):
    query: str
    limit: int = 10


class Found(BaseModel):
    lines: list[str]
    when: dt.date


class Search(BaseTool[Asked, Found]):
    def __init__(self, args_type: type[BaseModel] = Asked, **settings: Any) -> None:
        super().__init__(args_type, Annotated[Found, "x"], "search", "Search.", **settings)  # type: ignore[arg-type]
        self.asked: list[BaseModel] = []

    async def run(self, args: Asked, cancellation_token: CancellationToken) -> Found:
        self.asked.append(args)
        return Found(lines=[args.query, "für"], when=dt.date(2026, 11, 1))


def test_it_is_a_tool_with_its_types() -> None:
    search = Search()
    assert isinstance(search, Tool)
    assert (search.args_type(), search.return_type(), search.state_type()) == (Asked, Found, None)
    assert search.schema["parameters"]["required"] == ["query"]
    assert repr(search) == "Search('search')"


async def test_it_validates_and_returns_a_model_as_json() -> None:
    search = Search()
    found = await search.run_json({"query": "tea"}, CancellationToken(), call_id="1")
    assert search.asked == [Asked(query="tea", limit=10)]
    assert search.return_value_as_string(found) == '{"lines": ["tea", "für"], "when": "2026-11-01"}'
    assert search.return_value_as_string([1, "a"]) == "[1, 'a']"


async def test_an_argument_that_the_schema_does_not_have_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        await Search().run_json({"query": "tea", "page": 2}, CancellationToken())


async def test_unless_the_model_says_what_becomes_of_it() -> None:
    class Loose(Asked):
        model_config = ConfigDict(extra="ignore")

    search = Search(Loose)
    await search.run_json({"query": "tea", "page": 2}, CancellationToken())
    assert search.asked == [Loose(query="tea")]


async def test_it_keeps_no_state() -> None:
    await Search().load_state_json({})
    assert await Search().save_state_json() == {}


def test_a_strict_one_takes_no_defaults() -> None:
    with pytest.raises(ConfigurationError, match=r"'search' is strict, .* 'limit' has a default"):
        Search(strict=True)


@pytest.mark.parametrize("name", ["", "a b", "ü", "x" * 65])
def test_names_that_the_api_refuses_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="A tool cannot be named"):
        Search().overridden(ToolOverride(name=name or " "))


def test_a_tool_can_go_by_another_name() -> None:
    search = Search()
    other = search.overridden(ToolOverride(name="find", description="Find."))
    assert (other.name, other.description, search.name) == ("find", "Find.", "search")
    assert search.overridden(ToolOverride()).schema == search.schema


def test_exceptions_are_errors_that_say_what_happened() -> None:
    for kind in (ToolNotFoundException, InvalidToolArgumentsException, ToolExecutionException):
        error = kind(call_id="1", content="No.", name="f")
        assert isinstance(error, ToolException)
        assert isinstance(error, NbAgentsError)
        assert (error.call_id, error.content, error.name, str(error)) == ("1", "No.", "f", "No.")
        assert {error: 1}[error] == 1


def test_functions_and_tools_can_be_offered_together() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    search = Search()
    offered = tools_from([search, add, tool(name="plus")(add)])
    assert [each.name for each in offered] == ["search", "add", "plus"]
    assert offered[0] is search
    with pytest.raises(ConfigurationError, match="Two tools are named 'add'"):
        tools_from([add, add])
    with pytest.raises(ConfigurationError, match="'add' is no tool"):
        tools_from(["add"])  # type: ignore[list-item]
