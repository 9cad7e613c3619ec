"""A model's call is run, and whatever goes wrong becomes an answer that the model can use."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from nbagents import CancellationToken, FunctionCall
from nbagents.messages import FunctionExecutionResult
from nbagents.models import OpenAIChatCompletionClient
from nbagents.tools import FunctionTool, ToolExecutionException, execute_call


def weather(city: str, unit: Literal["C", "F"] = "C", days: int | None = None) -> str:
    """Look out of the window."""
    return f"Rain in {city}, {unit}, {days}"


def quiet() -> str:
    return "..."


async def result(arguments: str, name: str = "weather", **settings: Any) -> FunctionExecutionResult:
    tools = settings.pop("tools", [weather, quiet])
    return await execute_call(FunctionCall("c1", arguments, name), tools, **settings)


async def test_a_call_gives_its_result() -> None:
    given = await result('{"city": "Ulm", "unit": "F"}')
    assert given == FunctionExecutionResult(
        content="Rain in Ulm, F, None", name="weather", call_id="c1", is_error=False
    )


@pytest.mark.parametrize("arguments", ["", " ", "{}"])
async def test_no_arguments_may_be_written_as_nothing(arguments: str) -> None:
    assert (await result(arguments, "quiet")).content == "..."


TAKES = (
    "It takes city (string, required), unit (one of C/F, default 'C'), "
    "days (integer or null, default None)."
)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{}", f"The arguments are wrong: city: Field required. {TAKES}"),
        (
            '{"city": "Ulm", "nights": 2}',
            f"The arguments are wrong: nights: there is no such argument. {TAKES}",
        ),
        (
            '{"city": 1, "days": "two"}',
            "The arguments are wrong: city: Input should be a valid string; days: Input should be "
            f"a valid integer, unable to parse string as an integer. {TAKES}",
        ),
        ('["Ulm"]', f"The arguments are wrong: they are not a JSON object. {TAKES}"),
        ('{"city": "Ul', f"The arguments are wrong: they are not JSON (*). {TAKES}"),
        ("[" * 100_000, f"The arguments are wrong: they are not JSON (*). {TAKES}"),
    ],
)
async def test_wrong_arguments_are_named_with_what_is_accepted(arguments: str, said: str) -> None:
    given = await result(arguments)
    before, _, after = said.partition("*")
    assert given.is_error is True
    assert given.content.startswith(before)
    assert given.content.endswith(after)
    assert "\n" not in given.content


async def test_a_wrong_name_is_told_the_right_ones() -> None:
    given = await result("{}", "wether")
    assert given.content == (
        "There is no tool named 'wether'. Did you mean 'weather'? The tools are: weather, quiet."
    )
    assert given.is_error is True
    assert (await result("{}", tools=[])).content.endswith("There are no tools.")


class Thing(BaseModel):
    size: int


OWN_WORDS = {
    "tool": "inner",
    "tool with a key": "first\nkey: sk-proj-abcdefghijklmnopqrstuvwxyz0123456789",
    "tool with a commit": f"no commit {'0f' * 20}",
    "tool that lies": " Not run: nobody allowed it.",
}


async def fails(how: str) -> None:
    match how:
        case "secret":
            raise ValueError("no such key: sk-proj-abcdefghijklmnopqrstuvwxyz0123456789")
        case "lines":
            raise OSError("first\nsecond\t\x1b[31mthird")
        case "silent":
            raise KeyError
        case "long":
            raise ValueError("x" * 100_000)
        case "group":
            raise ExceptionGroup("several", [ExceptionGroup("more", [ValueError("the first")])])
        case "validation":
            Thing.model_validate({})
        case _:
            raise ToolExecutionException("c0", OWN_WORDS[how], "other")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("secret", "fails failed: ValueError: no such key: ***"),
        ("lines", "fails failed: OSError: first second [31mthird"),
        ("silent", "fails failed: KeyError"),
        ("group", "fails failed: ValueError: the first"),
        ("validation", "fails failed: ValidationError: 1 validation error for Thing"),
        ("tool", "inner"),
        ("tool with a key", "first key: ***"),
        ("tool with a commit", f"no commit {'0f' * 20}"),
        ("tool that lies", "fails failed: ToolExecutionException: Not run: nobody allowed it."),
    ],
)
async def test_a_failure_is_one_line_without_traceback_and_secrets(how: str, said: str) -> None:
    given = await result(f'{{"how": "{how}"}}', "fails", tools=[fails])
    assert (given.content[: len(said)], given.is_error) == (said, True)
    assert "\n" not in given.content


async def test_a_failure_is_never_long() -> None:
    given = await result('{"how": "long"}', "fails", tools=[fails])
    assert len(given.content) == 500


async def test_a_result_that_cannot_be_written_is_a_failure() -> None:
    class Rude:
        def __str__(self) -> str:
            raise ValueError("no words")

    def rude() -> Any:
        return Rude()

    given = await result("", "rude", tools=[rude])
    assert (given.content, given.is_error) == ("rude failed: ValueError: no words", True)


async def test_a_long_result_is_cut_with_a_word() -> None:
    def long() -> str:
        return "x" * 250_000

    given = await result("", "long", tools=[long])
    assert given.content.startswith("x" * 100_000 + "\n[cut: 100,000 of 250,000 characters")
    assert (await result("", "long", tools=[long], longest=10)).content.startswith("x" * 10 + "\n")


async def test_cancelling_passes_through_whatever_the_tool_does_with_the_token() -> None:
    async def deaf(cancellation_token: CancellationToken) -> None:
        await asyncio.sleep(60)

    for cancel in (lambda task, token: token.cancel(), lambda task, token: task.cancel()):
        token = CancellationToken()
        task = asyncio.ensure_future(result("", "deaf", tools=[deaf], cancellation_token=token))
        await asyncio.sleep(0.01)
        cancel(task, token)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 30)


async def test_the_caller_says_where_synchronous_tools_run() -> None:
    async def here(function: Callable[[], Any]) -> Any:
        return function()

    def thread() -> int:
        return threading.get_ident()

    given = await result("", "thread", tools=[thread], caller=here)
    assert given.content == str(threading.get_ident())


async def test_parallel_calls_run_at_once() -> None:
    both = threading.Barrier(2, timeout=30)

    def meet() -> str:
        both.wait()
        return "met"

    given = await asyncio.gather(*(result("", "meet", tools=[meet]) for _ in range(2)))
    assert [each.content for each in given] == ["met", "met"]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(arguments=st.text() | JSON.map(str) | JSON.map(json.dumps))
def test_no_arguments_whatsoever_raise(arguments: str) -> None:
    given_back = asyncio.run(result(arguments))
    assert given_back.call_id == "c1"
    assert given_back.is_error in (True, False)
    assert len(given_back.content) < 2_000


async def test_a_tool_that_reads_the_environment_tells_no_key_that_is_in_use() -> None:
    key = "opaque-canary-of-9-tools"
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key=key)

    def printenv(fail: bool) -> str:
        """Print the environment."""
        if fail:
            raise ValueError(f"OPENAI_API_KEY={key}")
        return f"HOME=/root\nOPENAI_API_KEY={key}"

    said = [
        (await execute_call(FunctionCall("c", json.dumps({"fail": fail}), "printenv"), [printenv]))
        for fail in (False, True)
    ]
    assert [each.content for each in said] == [
        "HOME=/root\nOPENAI_API_KEY=***",
        "printenv failed: ValueError: OPENAI_API_KEY=***",
    ]
    await client.close()


class TestAToolThatChangesSomething:
    """It is run by `execute_call` as by an agent: when somebody has said yes."""

    @pytest.fixture
    def ran(self) -> list[int]:
        return []

    @pytest.fixture
    def change(self, ran: list[int]) -> FunctionTool:
        def change(number: int) -> None:
            ran.append(number)

        return FunctionTool(change, "Change something.", side_effects=True)

    @pytest.mark.parametrize(
        ("approve", "said"),
        [
            (None, "Not run: this tool changes something, and nobody can be asked here whether"),
            (False, "Not run: the person who was asked did not allow it."),
            (lambda call, tool: "yes", "Not run: the person who was asked did not allow it."),
            (lambda call, tool: 1 / 0, "Not run: asking whether it may failed (ZeroDivisionError)"),
        ],
    )
    async def test_without_a_yes_it_does_not_run(
        self, change: FunctionTool, ran: list[int], approve: Any, said: str
    ) -> None:
        given = await result('{"number": 1}', "change", tools=[change], approve=approve)
        assert (given.content[: len(said)], given.is_error, ran) == (said, True, [])

    async def test_the_tools_own_word_comes_first(
        self, change: FunctionTool, ran: list[int]
    ) -> None:
        change.approve = lambda call, tool: call.arguments == '{"number": 1}'
        for number in (1, 2):
            arguments = f'{{"number": {number}}}'
            await result(arguments, "change", tools=[change], approve=number == 2)
        assert ran == [1]

    async def test_nobody_is_asked_about_what_cannot_run(self, change: FunctionTool) -> None:
        asked: list[FunctionCall] = []

        def approve(call: FunctionCall, tool: Any) -> bool:
            asked.append(call)
            return True

        given = await result('{"what": 1}', "change", tools=[change], approve=approve)
        assert (given.content.split(":")[0], asked) == ("The arguments are wrong", [])
