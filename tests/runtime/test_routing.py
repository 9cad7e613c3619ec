"""Which handler takes a message."""

from __future__ import annotations

import inspect
import logging
from typing import Any, Literal

import pytest

from nbagents import (
    AgentId,
    BaseAgent,
    CancellationToken,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    default_subscription,
    event,
    message_handler,
    rpc,
)
from nbagents.errors import CantHandleException, HandlerDefinitionError
from tests.runtime.messages import Echo, Text

AGENT = AgentId("agent", "x")
REQUEST = MessageContext(None, None, True, CancellationToken(), "1")
EVENT = MessageContext(None, DefaultTopicId(), False, CancellationToken(), "1")


class Special(Text):
    pass


@default_subscription
class Router(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("Routes.")
        self.events: list[str] = []

    @message_handler(match=lambda message, ctx: message > 9)
    async def a_large(self, message: int, ctx: MessageContext) -> str:
        return "large"

    @message_handler
    async def b_int_or_float(self, message: int | float, ctx: MessageContext) -> str:
        return "number"

    @message_handler
    async def c_too_late(self, message: int, ctx: MessageContext) -> str:
        raise AssertionError

    @rpc
    async def ask(self, message: Text, ctx: MessageContext) -> str:
        return "asked"

    @event
    async def tell(self, message: Text, ctx: MessageContext) -> None:
        self.events.append(message.words)

    @message_handler
    async def z_list(self, message: list[str], ctx: MessageContext) -> list[str]:
        return message


async def answer(agent: RoutedAgent, message: Any, ctx: MessageContext = REQUEST) -> Any:
    return await agent.on_message(message, ctx)


async def in_a_runtime(agent_class: type[RoutedAgent], *arguments: Any) -> Any:
    runtime = SingleThreadedAgentRuntime()
    await agent_class.register(runtime, "agent", lambda: agent_class(*arguments))
    return await runtime.try_get_underlying_agent_instance(AGENT)


async def test_the_type_of_the_message_chooses_the_handler() -> None:
    assert await answer(Router(), 1.5) == "number"
    assert await answer(Router(), ["a"]) == ["a"]


async def test_of_several_handlers_the_first_by_name_that_matches_is_called() -> None:
    assert await answer(Router(), 10) == "large"
    assert await answer(Router(), 9) == "number"


async def test_requests_and_events_have_handlers_of_their_own() -> None:
    router = Router()
    assert await answer(router, Text("hi")) == "asked"
    assert await answer(router, Text("hi"), EVENT) is None
    assert router.events == ["hi"]


async def test_a_subclass_of_a_message_is_another_type(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="nbagents.runtime"):
        router = await in_a_runtime(Router)
        assert await answer(router, Special("hi")) is None
        assert await answer(router, Special("hi"), EVENT) is None
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "agent/x has no handler for Special."),
        ("INFO", "agent/x has no handler for Special."),
    ]


async def test_any_takes_what_no_other_handler_does() -> None:
    class Catching(Router):
        @message_handler
        async def a_all(self, message: Any, ctx: MessageContext) -> str:
            return "caught"

    assert await answer(Catching(), Special("hi")) == "caught"
    assert await answer(Catching(), 9) == "number"


async def test_an_answer_of_another_type_is_an_error_or_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Wrong(RoutedAgent):
        @message_handler
        async def on_int(self, message: int, ctx: MessageContext) -> str:
            return message  # type: ignore[return-value]

        @message_handler(strict=False)
        async def on_str(self, message: str, ctx: MessageContext) -> int:
            return message  # type: ignore[return-value]

        @event
        async def on_bytes(self, message: bytes, ctx: MessageContext) -> bytes:  # type: ignore
            return message

    with pytest.raises(HandlerDefinitionError, match="on_int returned int, which"):
        await answer(Wrong(""), 7)
    with pytest.raises(ValueError, match="on_bytes returned bytes, which"):
        await answer(Wrong(""), b"", EVENT)
    with caplog.at_level(logging.WARNING, logger="nbagents.runtime"):
        assert await answer(Wrong(""), "x") == "x"
    assert "on_str returned str, which its annotation rules out." in caplog.text


async def test_a_handler_called_by_hand_looks_at_the_message() -> None:
    assert await Router().ask(Text("hi"), REQUEST) == "asked"  # type: ignore[arg-type, call-arg]
    with pytest.raises(CantHandleException, match="ask does not take int"):
        await Router().ask(7, REQUEST)  # type: ignore[arg-type, call-arg]


async def test_a_handler_can_be_replaced_in_a_subclass() -> None:
    class Child(Router):
        @rpc
        async def ask(self, message: Text, ctx: MessageContext) -> str:
            return "child"

    assert await answer(Child(), Text("hi")) == "child"
    assert await answer(Router(), Text("hi")) == "asked"


async def test_literals_and_optionals_are_annotations_too() -> None:
    class Picky(RoutedAgent):
        @message_handler
        async def on_word(
            self, message: Literal["yes", "no"] | None, ctx: MessageContext
        ) -> Literal["ok"]:
            return "ok"

    assert await answer(Picky(""), "yes") == "ok"
    assert await answer(Picky(""), None) == "ok"


def no_type(self: Any, message, ctx: MessageContext) -> None:  # type: ignore
    ...


async def no_message_type(self: Any, message, ctx: MessageContext) -> None: ...  # type: ignore
async def no_return_type(self: Any, message: int, ctx: MessageContext): ...  # type: ignore
async def no_class(self: Any, message: 7, ctx: MessageContext) -> None: ...  # type: ignore
async def not_enough(self: Any, message: int) -> None: ...
async def not_known(self: Any, message: Unknown, ctx: MessageContext) -> None: ...  # type: ignore # noqa: F821


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (no_type, "must be 'async def'"),
        (no_message_type, "annotate 'message' with their type"),
        (no_return_type, "with '-> None' for nothing"),
        (no_class, "use a class, several joined by"),
        (not_enough, "with self, message and ctx"),
        (not_known, "name 'Unknown' is not defined"),
    ],
)
def test_a_handler_that_cannot_work_is_refused_at_its_definition(
    function: Any, problem: str
) -> None:
    for decorator in (message_handler, event, rpc):
        with pytest.raises(HandlerDefinitionError, match=problem):
            decorator(function)
    with pytest.raises(AssertionError, match=problem):
        message_handler(function)


def test_a_decorator_takes_its_options_by_name() -> None:
    with pytest.raises(HandlerDefinitionError, match="write strict= and match= by name"):
        message_handler(True)  # type: ignore[call-overload]


def test_a_handler_looks_like_its_method() -> None:
    handler = vars(Echo)["on_text"]
    assert list(inspect.signature(handler).parameters) == ["self", "message", "ctx"]
    assert (handler.__name__, handler.target_types) == ("on_text", (Text,))
    assert repr(handler) == "<message handler Echo.on_text>"


async def test_base_agent_gets_every_message() -> None:
    class Counting(BaseAgent):
        count = 0

        async def on_message_impl(self, message: Any, ctx: MessageContext) -> int:
            self.count += 1
            return self.count

    runtime = SingleThreadedAgentRuntime()
    await Counting.register(runtime, "agent", lambda: Counting("Counts."))
    assert [await runtime.send_message(one, AGENT) for one in (1, "a")] == [1, 2]
