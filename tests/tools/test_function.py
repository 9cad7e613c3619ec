"""Functions as tools: what a model is told of them, and how they are run."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Annotated, Any, Literal

import pandas as pd
import pytest
from pydantic import BaseModel, Field, ValidationError

from nbagents import CancellationToken
from nbagents.errors import ConfigurationError
from nbagents.tools import FunctionTool, Tool, synchronous_calls, tool


class Order(BaseModel):
    item: str
    count: int = 1


class Branch(BaseModel):
    name: str
    within: Branch | None = None


def price(ticker: str, date: Annotated[str, "As YYYY-MM-DD"] = "today") -> float:
    """Look up a price."""
    return 4.2 if (ticker, date) == ("ACME", "today") else 0.0


async def ordered(order: Order, unit: Literal["kg", "t"] = "kg") -> str:
    return f"{order.count} {unit} of {order.item}"


DOCSTRINGS = (
    """Fly.

    Far away.

    Args:
        origin: Where from,
            three letters.
        n: How many.

    Returns:
        A flight.
    """,
    """Fly.

    Far away.

    Parameters
    ----------
    origin : str
        Where from,
        three letters.
    n : int
        How many.
    """,
    """Fly.

    Far away.

    :param origin: Where from,
        three letters.
    :param int n: How many.
    :return: A flight.
    """,
)


def parameters(function: Callable[..., Any]) -> Any:
    return tool(function).schema["parameters"]


class TestSchema:
    def test_it_is_what_the_api_takes(self) -> None:
        assert FunctionTool(price, "Price of a share.").schema == {
            "name": "price",
            "description": "Price of a share.",
            "parameters": {
                "type": "object",
                "properties": {
                    "ticker": {"type": "string"},
                    "date": {"type": "string", "description": "As YYYY-MM-DD", "default": "today"},
                },
                "required": ["ticker"],
                "additionalProperties": False,
            },
            "strict": False,
        }

    def test_it_is_a_copy(self) -> None:
        made = tool(price)
        made.schema["parameters"]["properties"].clear()
        assert set(made.schema["parameters"]["properties"]) == {"ticker", "date"}

    def test_pydantic_models_are_written_out(self) -> None:
        order = parameters(ordered)["properties"]["order"]
        assert order["properties"]["count"] == {"default": 1, "type": "integer"}
        assert "$defs" not in parameters(ordered)

    def test_a_model_within_itself_stays_a_reference(self) -> None:
        def grow(branch: Branch) -> None: ...

        schema = parameters(grow)
        within = schema["properties"]["branch"]["properties"]["within"]
        assert within["anyOf"][0] == {"$ref": "#/$defs/Branch"}
        assert set(schema["$defs"]) == {"Branch"}

    def test_constraints_reach_the_model(self) -> None:
        def roll(sides: Annotated[int, "How many sides", Field(ge=2)]) -> int:
            return sides

        sides = parameters(roll)["properties"]["sides"]
        assert sides == {"type": "integer", "minimum": 2, "description": "How many sides"}

    @pytest.mark.parametrize("docstring", DOCSTRINGS, ids=["google", "numpy", "sphinx"])
    def test_the_docstring_describes_the_parameters(self, docstring: str) -> None:
        def fly(origin: str, n: int) -> None: ...

        fly.__doc__ = docstring
        made = tool(fly)
        assert made.description == "Fly.\n\nFar away."
        described = {
            name: schema["description"]
            for name, schema in made.schema["parameters"]["properties"].items()
        }
        assert described == {"origin": "Where from, three letters.", "n": "How many."}

    def test_a_text_beside_the_annotation_comes_before_the_docstring(self) -> None:
        def fly(origin: Annotated[str, "From here."]) -> None:
            """Fly.

            Args:
                origin: From there.
            """

        assert parameters(fly)["properties"]["origin"]["description"] == "From here."

    def test_names_that_pydantic_has_taken_are_free(self) -> None:
        def odd(schema: int, model_config: int, _hidden: int, copy: int = 4) -> str:
            return f"{schema}{model_config}{_hidden}{copy}"

        assert list(parameters(odd)["properties"]) == ["schema", "model_config", "_hidden", "copy"]
        given = {"schema": 1, "model_config": 2, "_hidden": 3}
        assert asyncio.run(tool(odd).run_json(given, CancellationToken())) == "1234"

    def test_a_default_that_is_not_json_is_left_out(self) -> None:
        nothing = object()

        def find(text: str = nothing) -> bool:  # type: ignore[assignment]
            return text is nothing

        assert parameters(find)["properties"] == {"text": {"type": "string"}}
        assert asyncio.run(tool(find).run_json({}, CancellationToken())) is True

    def test_a_strict_one_is_closed_all_the_way_down(self) -> None:
        schema = FunctionTool(_strictly, "x", strict=True).schema
        order = schema["parameters"]["properties"]["order"]
        assert (schema["strict"], order["additionalProperties"]) == (True, False)
        assert order["required"] == ["item", "count"]


def _strictly(order: Order) -> None: ...


def missing(x) -> None: ...  # type: ignore[no-untyped-def]
def many(*args: int) -> None: ...
def named(**rest: int) -> None: ...
def framed(df: pd.DataFrame) -> None: ...
def undefined(x: Nowhere) -> None: ...  # type: ignore[name-defined] # noqa: F821
def method(self, x: int) -> None: ...  # type: ignore[no-untyped-def]
def opened(rest: dict[str, int]) -> None: ...


def steps(n: int) -> Iterator[int]:
    yield n


async def async_steps(n: int) -> AsyncIterator[int]:
    yield n


class TestMistakesOfTheAuthor:
    @pytest.mark.parametrize(
        ("function", "said"),
        [
            (missing, "The parameter 'x' of the tool 'missing' has no annotation"),
            (many, r"takes \*args, and a model must know"),
            (named, r"takes \*\*rest, and a model must know"),
            (
                framed,
                "'df' of the tool 'framed' is a DataFrame, which a model cannot write as JSON",
            ),
            (undefined, "'undefined' has an annotation that is not defined .*'Nowhere'"),
            (method, "'self' .* tool\\(thing.method\\)"),
            (steps, "yields its results"),
            (async_steps, "yields its results"),
            (lambda: 1, "cannot be named '<lambda>'"),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_are_said_at_the_definition(self, function: Callable[..., Any], said: str) -> None:
        with pytest.raises(ConfigurationError, match=said):
            tool(function)

    @pytest.mark.parametrize(
        ("function", "said"),
        [
            (price, r"'price' is strict, so .* but 'date' has a default"),
            (opened, "an object whose keys are not known"),
        ],
    )
    def test_what_a_server_cannot_hold_a_model_to(
        self, function: Callable[..., Any], said: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=said):
            tool(strict=True)(function)


class TestDecorator:
    def test_a_function_is_a_tool_and_still_a_function(self) -> None:
        made = tool(price)
        assert isinstance(made, Tool)
        assert (made.name, made.description, made.__name__) == (
            "price",
            "Look up a price.",
            "price",
        )
        assert made("ACME") == 4.2
        assert inspect.signature(made) == inspect.signature(price)

    def test_it_says_what_the_function_does_not(self) -> None:
        @tool(name="erase", description="Erase all.", side_effects=True, approve=print)
        def rm_rf(path: str) -> None: ...

        assert (rm_rf.name, rm_rf.description) == ("erase", "Erase all.")
        assert (rm_rf.side_effects, rm_rf.approve) == (True, print)
        assert (tool(price).side_effects, tool(price).approve) == (False, None)

    def test_without_a_docstring_the_name_describes_it(self) -> None:
        assert tool(ordered).description == "ordered"

    def test_bound_methods_partials_and_objects_are_functions_too(self) -> None:
        class Shop:
            def sell(self, item: str, count: int) -> str:
                """Sell."""
                return f"{count} {item}"

            def __call__(self, item: str) -> str:
                """Call."""
                return item

        shop = Shop()
        made = [tool(shop.sell), tool(functools.partial(shop.sell, "tea")), tool(shop)]
        assert [(each.name, each.description) for each in made] == [
            ("sell", "Sell."),
            ("sell", "Sell."),
            ("Shop", "Call."),
        ]
        assert list(parameters(functools.partial(shop.sell, "tea"))["properties"]) == ["count"]
        assert asyncio.run(made[1].run_json({"count": 2}, CancellationToken())) == "2 tea"


class TestRunning:
    async def test_arguments_become_what_the_annotations_say(self) -> None:
        given = {"order": {"item": "tea", "count": "3"}, "unit": "t"}
        assert await tool(ordered).run_json(given, CancellationToken()) == "3 t of tea"

    @pytest.mark.parametrize("given", [{}, {"ticker": []}, {"ticker": "A", "when": "now"}])
    async def test_other_arguments_are_refused(self, given: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            await tool(price).run_json(given, CancellationToken())

    async def test_a_synchronous_function_does_not_stop_the_loop(self) -> None:
        def slow() -> int:
            time.sleep(0.1)
            return threading.get_ident()

        running = asyncio.ensure_future(tool(slow).run_json({}, CancellationToken()))
        await asyncio.sleep(0.01)
        assert not running.done()
        assert await running != threading.get_ident()

    async def test_the_caller_says_where_a_synchronous_function_runs(self) -> None:
        async def here(function: Callable[[], Any]) -> Any:
            return function()

        made = tool(_thread)
        with synchronous_calls(here):
            task = asyncio.ensure_future(made.run_json({}, CancellationToken()))
            assert await task == threading.get_ident()
        assert await made.run_json({}, CancellationToken()) != threading.get_ident()

    async def test_a_function_sees_the_callers_context(self) -> None:
        who.set("ada")
        assert await tool(_who).run_json({}, CancellationToken()) == "ada"

    async def test_what_a_function_returns_to_be_awaited_is_awaited(self) -> None:
        def later(order: Order) -> Any:
            return ordered(order)

        result = await tool(later).run_json({"order": {"item": "tea"}}, CancellationToken())
        assert result == "1 kg of tea"

    @pytest.mark.parametrize("error", [StopIteration, SystemExit])
    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_no_error_stops_the_loop_or_is_waited_for_for_ever(
        self, error: type[BaseException], asynchronous: bool
    ) -> None:
        def fails() -> None:
            raise error

        async def fails_too() -> None:
            raise error

        made = tool(fails_too if asynchronous else fails)
        with pytest.raises(RuntimeError, match=error.__name__):
            await asyncio.wait_for(made.run_json({}, CancellationToken()), 30)


who: ContextVar[str] = ContextVar("who")


def _who() -> str:
    return who.get()


def _thread() -> int:
    return threading.get_ident()


class TestCancelling:
    async def test_it_ends_an_asynchronous_function(self) -> None:
        ended = asyncio.Event()

        async def wait() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        for cancel in (lambda task, token: token.cancel(), lambda task, token: task.cancel()):
            ended.clear()
            token = CancellationToken()
            task = asyncio.ensure_future(tool(wait).run_json({}, token))
            await asyncio.sleep(0.01)
            cancel(task, token)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ended.is_set()

    async def test_it_ends_the_waiting_for_a_synchronous_one(self) -> None:
        release = threading.Event()

        def wait() -> None:
            release.wait(60)

        token = CancellationToken()
        task = asyncio.ensure_future(tool(wait).run_json({}, token))
        await asyncio.sleep(0.01)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 30)
        release.set()

    async def test_a_function_that_takes_the_token_is_asked_and_may_answer(self) -> None:
        def wait(n: int, cancellation_token: CancellationToken) -> str:
            while not cancellation_token.is_cancelled():
                time.sleep(0.001)
            return f"{n} so far"

        assert list(parameters(wait)["properties"]) == ["n"]
        token = CancellationToken()
        task = asyncio.ensure_future(tool(wait).run_json({"n": 3}, token))
        await asyncio.sleep(0.01)
        token.cancel()
        assert await task == "3 so far"

    async def test_a_used_token_starts_nothing(self) -> None:
        token = CancellationToken()
        token.cancel()
        started = []

        def start() -> None:
            started.append(1)

        with pytest.raises(asyncio.CancelledError):
            await tool(start).run_json({}, token)
        assert started == []
