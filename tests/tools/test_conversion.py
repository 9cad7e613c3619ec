"""A call about which somebody is asked is taken as it stands: nothing is converted or left out."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import InitVar, dataclass, field
from datetime import date
from typing import Annotated, Any, NamedTuple

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from nbagents.messages import FunctionCall
from nbagents.tools import FunctionTool, execute_call
from nbagents.tools._calls import fault_in


class Options(BaseModel):
    path: str = ""
    force: bool = False


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Renamed(BaseModel):
    path: str = Field("", alias="to")


class Either(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    path: str = Field("", validation_alias=AliasChoices("to", "into"))


class Deep(BaseModel):
    path: str = Field("", validation_alias=AliasPath("to", 0))


class Flag(RootModel[bool]):
    pass


@dataclass
class Plain:
    path: str = ""
    force: bool = False
    hint: InitVar[str] = ""


@pydantic_dataclass
class Checked:
    path: str = field(default="")
    force: bool = False
    hint: InitVar[str] = ""


class Pair(NamedTuple):
    path: str
    force: bool = False


class Known(TypedDict, total=False):
    path: str
    force: bool


def taken(given: Any, kind: Any, *, asks: bool = True) -> str:
    """What is said against a call with that argument; empty when it may run."""

    def change(what: Any) -> None:
        """Change something."""

    change.__annotations__["what"] = kind
    tool = FunctionTool(change, "Change something.", side_effects=asks)
    call = FunctionCall(id="1", name="change", arguments=json.dumps({"what": given}))
    fault = fault_in(call, [tool])
    return "" if fault is None else fault.content


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"path": "/", "dry_run": True}, Options),
        ([{"path": "/", "dry_run": True}], list[Options]),
        ({"a": {"path": "/", "dry_run": True}}, dict[str, Options]),
        ({"path": "/", "dry_run": True}, Plain),
        ({"path": "/", "dry_run": True}, Checked),
        ({"path": "/", "dry_run": True}, Pair),
        ({"path": "/", "dry_run": True}, Known),
    ],
)
def test_what_would_be_left_out_is_told_and_not_shown(given: Any, kind: Any) -> None:
    assert "dry_run: " in taken(given, kind)


@pytest.mark.parametrize(
    ("given", "kind", "name"),
    [
        ({"path": "/home", "to": "/"}, Renamed, "path"),
        ({"into": "/home", "to": "/"}, Either, "into"),
        ({"path": "/home", "to": "/"}, Either, "path"),
        ({"5": True, "05": False}, dict[int, bool], "05"),
    ],
)
def test_of_two_names_for_one_thing_neither_hides_the_other(
    given: Any, kind: Any, name: str
) -> None:
    assert f"what.{name}: it would be left out" in taken(given, kind)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("off", Flag),
        ({"force": "off"}, Plain),
        ({"force": "off"}, Checked),
        ({"path": "/", "force": "off"}, Pair),
        (["/", "off"], Pair),
        ({"force": "off"}, Known),
        (["off"], set[bool]),
        (["off"], frozenset[bool]),
        (["off"], deque[bool]),
        (["off"], tuple[bool, ...]),
        (["off"], Iterable[bool]),
        ({"5": "off"}, dict[int, bool]),
        ({"force": ["off"]}, dict[str, set[bool]]),
    ],
)
def test_what_would_be_converted_is_told_wherever_it_stands(given: Any, kind: Any) -> None:
    assert "'off' would become False" in taken(given, kind)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"path": "/", "force": True}, Options),
        ({"anything": {"path": 1}}, Open),
        ({"to": "/"}, Renamed),
        ({"to": "/"}, Either),
        ({"into": "/"}, Either),
        ({"path": "/"}, Either),
        ({"to": ["/"]}, Deep),
        (True, Flag),
        ({"path": "/", "force": True, "hint": "x"}, Plain),
        ({"path": "/", "force": True, "hint": "x"}, Checked),
        (["/", True], Pair),
        ({"path": "/", "force": True}, Pair),
        ({"force": True}, Known),
        ([2, 1, 2], set[int]),
        ([1, 2.0], set[float]),
        (["2026-01-02"], set[date]),
        ([True], Iterable[bool]),
        ({"5": True, "6": False}, dict[int, bool]),
        ({"a": [{"b": None}]}, Any),
        ("2026-01-02", date),
        (" x ", Annotated[str, Field(max_length=3)]),
    ],
)
def test_what_stays_as_it_is_may_run(given: Any, kind: Any) -> None:
    assert taken(given, kind) == ""


@pytest.mark.parametrize("depth", [90, 98, 99, 100, 500])
def test_what_nobody_can_read_is_not_asked_about(depth: int) -> None:
    value: Any = "off"
    for _ in range(depth):
        value = [value]
    fault = taken({"deep": value, "force": "off"}, dict[str, Any])
    # Two levels more: the arguments and the dictionary.
    assert (fault == "") == (depth <= 98)
    assert not fault or "nested more than 100 deep" in fault


@pytest.mark.parametrize("asks", [True, False])
def test_what_others_cannot_read_is_not_asked_about(asks: bool) -> None:
    def change(path: str) -> None:
        """Change something."""

    tool = FunctionTool(change, "Change something.", side_effects=asks)
    call = FunctionCall(id="1", name="change", arguments='\ufeff{"path":\n\n\n"/"}')
    fault = fault_in(call, [tool])
    said = "The arguments are wrong: they are not JSON as most programs read it"
    assert (fault.content[: len(said)] if fault else "") == (said if asks else "")


def test_of_a_tool_that_asks_nobody_as_much_is_taken_as_pydantic_takes() -> None:
    assert taken({"force": "off", "more": 1}, Options, asks=False) == ""
    assert taken(["off"], set[bool], asks=False) == ""


class Anything(BaseModel):
    pass


class Foreign:
    """Takes what it is given, as tools of other libraries may."""

    name, description, side_effects = "foreign", "Takes anything.", True

    @property
    def schema(self) -> Any:
        return {"name": self.name, "parameters": {"type": "object", "properties": {}}}

    def args_type(self) -> type[BaseModel]:
        return Anything

    def return_type(self) -> type[Any]:
        return dict

    def state_type(self) -> None:
        return None

    def return_value_as_string(self, value: Any) -> str:
        return json.dumps(value)

    async def run_json(self, args: Any, cancellation_token: Any, call_id: Any = None) -> Any:
        return args

    async def save_state_json(self) -> Any:
        return {}

    async def load_state_json(self, state: Any) -> None:
        pass


async def test_a_tool_of_another_kind_that_names_no_arguments_gets_them_as_they_are_shown() -> None:
    call = FunctionCall(id="1", name="foreign", arguments='{"path": "/"}')
    assert fault_in(call, [Foreign()]) is None
    given = await execute_call(call, [Foreign()], approve=True)
    assert given.content == '{"path": "/"}'
