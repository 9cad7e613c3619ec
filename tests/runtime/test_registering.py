"""Agents come and go: registered, registered again, redefined, removed, saved."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import Any

import pytest

from nbagents import (
    AgentId,
    AgentInstantiationContext,
    AgentType,
    BaseAgent,
    ClosureAgent,
    ClosureContext,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    message_handler,
    type_subscription,
)
from nbagents.errors import (
    AgentLookupError,
    AgentTypeError,
    ConfigurationError,
    NotAccessibleError,
    RuntimeStateError,
    UndeliverableException,
)
from tests.runtime.messages import (
    ECHO,
    SLOW,
    TOPIC,
    Echo,
    Failing,
    Passing,
    Slow,
    Text,
    runtime_with,
    settle,
)


class Remembering(Echo):
    async def save_state(self) -> dict[str, Any]:
        return {"heard": self.heard}

    async def load_state(self, state: Any) -> None:
        self.heard = list(state["heard"])


async def test_an_agent_is_made_when_its_first_message_comes_and_kept() -> None:
    made: list[str] = []

    def factory() -> Echo:
        made.append(AgentInstantiationContext.current_agent_id().key)
        assert AgentInstantiationContext.current_runtime() is runtime
        return Echo()

    runtime = SingleThreadedAgentRuntime()
    await Echo.register(runtime, "echo", factory)
    assert made == []
    for key in "aab":
        await runtime.send_message(Text("hi"), AgentId("echo", key))
    assert made == ["a", "b"]
    assert not AgentInstantiationContext.is_in_factory_call()
    with pytest.raises(RuntimeStateError, match="No runtime is making an agent"):
        AgentInstantiationContext.current_agent_id()


async def test_a_slow_factory_makes_one_agent_for_all_who_wait() -> None:
    made: list[Echo] = []

    async def factory() -> Echo:
        await asyncio.sleep(0.01)
        made.append(Echo())
        return made[-1]

    runtime = SingleThreadedAgentRuntime()
    await Echo.register(runtime, "echo", factory)
    async with asyncio.timeout(30):
        await asyncio.gather(
            runtime.send_message(Text("1"), ECHO),
            runtime.try_get_underlying_agent_instance(ECHO),
            runtime.send_message(Text("2"), ECHO),
        )
    assert len(made) == 1


async def test_whoever_waits_for_an_agent_whose_maker_was_cancelled_makes_it() -> None:
    async def factory() -> Echo:
        await asyncio.sleep(0.01)
        return Echo()

    runtime = SingleThreadedAgentRuntime()
    await Echo.register(runtime, "echo", factory)
    first = asyncio.create_task(runtime.get(ECHO, lazy=False))
    await settle()
    second = asyncio.create_task(runtime.send_message(Text("hi"), ECHO))
    await settle()
    first.cancel()
    assert await second == Text("echo/default: hi")


async def test_registering_a_type_again_replaces_it() -> None:
    class Loud(Echo):
        @message_handler
        async def on_text(self, message: Text, ctx: MessageContext) -> Text:
            return Text(message.words.upper())

    runtime = await runtime_with(echo=Echo)
    old = await runtime.try_get_underlying_agent_instance(ECHO, Echo)
    await runtime.send_message(Text("hi"), ECHO)
    await Loud.register(runtime, "echo", Loud)
    assert await runtime.send_message(Text("hi"), ECHO) == Text("HI")
    assert old.closed == 1
    vanished = weakref.ref(old)
    del old
    gc.collect()
    assert vanished() is None


async def test_what_the_replaced_agent_handles_comes_to_its_end() -> None:
    runtime = await runtime_with(slow=Slow)
    request = asyncio.create_task(runtime.send_message(Text("old"), SLOW))
    waiting = asyncio.create_task(runtime.send_message(Text("new"), SLOW))
    await settle()
    old = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    closed: list[str] = []

    async def close() -> None:
        closed.append("closed")

    old.close = close  # type: ignore[method-assign]
    await Echo.register(runtime, "slow", Echo)
    assert await waiting == Text("slow/default: new")
    assert closed == []
    old.let.set()
    assert await request == Text("old")
    await settle()
    assert closed == ["closed"]


async def test_stop_waits_until_the_replaced_agent_is_closed() -> None:
    class Closing(Slow):
        async def close(self) -> None:
            await settle()
            self.notes.append("closed")

    runtime = await runtime_with(slow=Closing)
    request = asyncio.create_task(runtime.send_message(Text("old"), SLOW))
    await settle()
    old = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    await Echo.register(runtime, "slow", Echo)
    old.let.set()
    runtime.start()
    await runtime.stop()
    await request
    assert old.notes == ["begin old", "end old", "closed"]


async def test_an_agent_whose_type_was_replaced_while_it_was_made_is_made_again() -> None:
    let = asyncio.Event()

    async def slow_factory() -> Failing:
        await let.wait()
        return Failing()

    runtime = SingleThreadedAgentRuntime()
    await Failing.register(runtime, "echo", slow_factory)
    request = asyncio.create_task(runtime.send_message(Text("hi"), ECHO))
    await settle()
    await Echo.register(runtime, "echo", Echo)
    let.set()
    assert await request == Text("echo/default: hi")


async def test_an_instance_does_not_hear_what_the_factory_before_it_did() -> None:
    runtime = await runtime_with(echo=Echo)
    await Echo().register_instance(runtime, AgentId("echo", "room"))
    assert runtime._topics.recipients(TOPIC) == ()


async def test_the_subscriptions_of_the_replaced_class_go_and_others_stay() -> None:
    @type_subscription("old")
    class Old(Echo):
        pass

    @type_subscription("new")
    class New(Echo):
        pass

    runtime = SingleThreadedAgentRuntime()
    await Old.register(runtime, "echo", Old)
    await runtime.add_subscription(TypeSubscription("mine", "echo"))
    await New.register(runtime, "echo", New)
    runtime.start()
    for topic in ("old", "new", "mine", "echo:"):
        await runtime.publish_message(Text(topic), TopicId(topic, "default"))
    await runtime.stop_when_idle()
    echo = await runtime.try_get_underlying_agent_instance(ECHO, Echo)
    assert echo.heard == ["new", "mine", "echo:"]


async def test_registering_an_instance_again_replaces_it() -> None:
    runtime = SingleThreadedAgentRuntime()
    first, second = Echo(), Echo()
    await first.register_instance(runtime, ECHO)
    await first.register_instance(runtime, ECHO)
    await runtime.send_message(Text("one"), ECHO)
    await second.register_instance(runtime, ECHO)
    await runtime.send_message(Text("two"), ECHO)
    assert (first.heard, second.heard) == (["one"], ["two"])
    assert first.closed == 0  # it is its owner's


async def test_an_instance_hears_the_topics_of_its_key() -> None:
    runtime = SingleThreadedAgentRuntime()
    echo = Echo()
    await echo.register_instance(runtime, AgentId("echo", "room"), skip_class_subscriptions=False)
    runtime.start()
    await runtime.publish_message(Text("a"), TopicId("room", "room"))
    await runtime.publish_message(Text("b"), DefaultTopicId(source="room"))
    await runtime.publish_message(Text("c"), TopicId("echo:x", "room"))
    await runtime.stop_when_idle()
    assert echo.heard == ["a", "b", "c"]


async def test_an_instance_takes_the_place_of_a_factory_and_the_reverse() -> None:
    runtime = await runtime_with(echo=Failing)
    await Echo().register_instance(runtime, ECHO)
    assert await runtime.send_message(Text("hi"), ECHO) == Text("echo/default: hi")
    with pytest.raises(UndeliverableException, match="no agent echo/other"):
        await runtime.send_message(Text("hi"), AgentId("echo", "other"))
    with pytest.raises(AgentLookupError, match="one by one"):
        await runtime.get(AgentId("echo", "other"), lazy=False)
    await Failing.register(runtime, "echo", Failing)
    with pytest.raises(ValueError, match="hi"):
        await runtime.send_message(Text("hi"), ECHO)


async def test_instances_of_one_type_are_of_one_class() -> None:
    runtime = SingleThreadedAgentRuntime()
    await Echo().register_instance(runtime, AgentId("echo", "a"))
    with pytest.raises(ConfigurationError, match="under another type"):
        await Failing().register_instance(runtime, AgentId("echo", "b"))


async def test_an_agent_has_one_id_and_one_runtime() -> None:
    runtime, other = SingleThreadedAgentRuntime(), SingleThreadedAgentRuntime()
    echo = Echo()
    with pytest.raises(NotAccessibleError, match="in no runtime yet"):
        echo.id  # noqa: B018
    await echo.register_instance(runtime, ECHO)
    assert (echo.id, echo.type, echo.runtime) == (ECHO, "echo", runtime)
    with pytest.raises(RuntimeStateError, match="is echo/default already"):
        await echo.register_instance(runtime, AgentId("echo", "b"))
    with pytest.raises(RuntimeStateError, match="in another runtime"):
        await echo.register_instance(other, ECHO)


async def test_a_closure_registered_again_is_replaced() -> None:
    runtime = SingleThreadedAgentRuntime()

    async def first(agent: ClosureContext, message: str, ctx: MessageContext) -> str:
        return "first"

    async def second(agent: ClosureContext, message: str, ctx: MessageContext) -> str:
        return "second"

    for closure in (first, second):
        await ClosureAgent.register_closure(runtime, "closure", closure)
    assert await runtime.send_message("hi", AgentId("closure", "x")) == "second"


async def test_a_removed_agent_is_let_go_and_made_anew() -> None:
    runtime = await runtime_with(echo=Echo)
    await runtime.send_message(Text("hi"), ECHO)
    old = weakref.ref(await runtime.try_get_underlying_agent_instance(ECHO, Echo))
    assert list(runtime.agents) == [ECHO]
    await runtime.remove_agent(ECHO)
    assert list(runtime.agents) == []
    await settle()
    gc.collect()
    assert old() is None
    assert await runtime.send_message(Text("hi"), ECHO) == Text("echo/default: hi")
    with pytest.raises(AgentLookupError, match="no agent echo/never"):
        await runtime.remove_agent(AgentId("echo", "never"))


async def test_a_removed_type_is_gone_with_its_subscriptions_and_waiting_messages(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = await runtime_with(slow=Slow)
    await runtime.add_subscription(TypeSubscription("mine", "slow"))
    first, second = (asyncio.create_task(runtime.send_message(Text(words), SLOW)) for words in "12")
    await settle()
    slow = await runtime.try_get_underlying_agent_instance(SLOW, Slow)
    await runtime.remove_agent("slow")
    with pytest.raises(UndeliverableException, match="'slow' were removed"):
        await second
    slow.let.set()
    assert await first == Text("1")
    assert runtime.agent_types == []
    runtime.start()
    for topic in (TOPIC, TopicId("mine", "x")):
        await runtime.publish_message(Text("lost"), topic)
    await runtime.stop_when_idle()
    assert caplog.records == []
    with pytest.raises(AgentLookupError, match="'slow' is registered"):
        await runtime.remove_agent(AgentType("slow"))


async def test_nothing_keeps_a_runtime_that_nobody_holds() -> None:
    runtime = await runtime_with(echo=Echo)
    runtime.start()
    await runtime.publish_message(Text("hi"), TOPIC)
    await runtime.send_message(Text("hi"), ECHO)
    agent = weakref.ref(await runtime.try_get_underlying_agent_instance(ECHO, Echo))
    gone = weakref.ref(runtime)
    del runtime
    await settle()
    gc.collect()
    assert (gone(), agent()) == (None, None)


async def test_a_factory_must_take_no_arguments_and_make_the_class() -> None:
    runtime = SingleThreadedAgentRuntime()
    with pytest.raises(ConfigurationError, match="must take no arguments"):
        await runtime.register_factory("echo", lambda runtime, agent: Echo())  # type: ignore
    await Echo.register(runtime, "echo", Failing)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="made a Failing, not a Echo"):
        await runtime.send_message(Text("hi"), ECHO)


async def test_an_agent_can_be_looked_at() -> None:
    runtime = await runtime_with(echo=Echo)
    assert await runtime.get("echo") == ECHO
    assert await runtime.get(AgentType("echo"), "b") == AgentId("echo", "b")
    assert list(runtime.agents) == []
    assert isinstance(await runtime.try_get_underlying_agent_instance(ECHO), Echo)
    with pytest.raises(AgentTypeError, match="is a Echo, not a Slow"):
        await runtime.try_get_underlying_agent_instance(ECHO, Slow)
    with pytest.raises(AgentLookupError, match=r"'who' is registered\. Registered: echo"):
        await runtime.try_get_underlying_agent_instance(AgentId("who", "x"))
    assert await runtime.agent_metadata(ECHO) == {
        "type": "echo",
        "key": "default",
        "description": "Returns what it is told.",
    }


async def test_the_state_of_a_runtime_goes_into_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = await runtime_with(echo=Remembering)
    await runtime.send_message(Text("hi"), ECHO)
    state = await runtime.save_state()
    assert state == {"echo/default": {"heard": ["hi"]}}
    other = await runtime_with(echo=Remembering)
    with caplog.at_level(logging.WARNING, logger="nbagents.runtime"):
        await other.load_state({**state, "gone/x": {}})
    assert await other.agent_save_state(ECHO) == {"heard": ["hi"]}
    assert "The state of gone/x is left out" in caplog.text


async def test_an_agent_without_state_says_so() -> None:
    runtime = await runtime_with(echo=Echo)
    with pytest.warns(UserWarning, match="Echo has no save_state of its own"):
        assert await runtime.agent_save_state(ECHO) == {}
    with pytest.warns(UserWarning, match="Echo has no load_state of its own"):
        await runtime.agent_load_state(ECHO, {})


CELL = """
@dataclass
class Note:
    text: str

@default_subscription
class Keeper(RoutedAgent):
    def __init__(self):
        super().__init__("Keeps notes.")

    @message_handler
    async def on_note(self, message: Note, ctx: MessageContext) -> Note:
        return Note(message.text + VERSION)
"""


def run_cell(namespace: dict[str, Any], version: str) -> None:
    cell = CELL.replace("VERSION", repr(version))
    # A cell does not postpone annotations, as this module does.
    exec(compile(cell, "cell", "exec", dont_inherit=True), namespace)


@pytest.fixture
def notebook() -> dict[str, Any]:
    """The names of a notebook in which the cell has been run once."""
    import dataclasses

    import nbagents

    namespace: dict[str, Any] = {"__name__": "notebook", "dataclass": dataclasses.dataclass}
    for name in ("RoutedAgent", "MessageContext", "message_handler", "default_subscription"):
        namespace[name] = getattr(nbagents, name)
    run_cell(namespace, " (1)")
    return namespace


async def test_a_message_class_defined_again_still_finds_its_handler(
    notebook: dict[str, Any],
) -> None:
    runtime = SingleThreadedAgentRuntime()
    keeper = notebook["Keeper"]
    await keeper.register(runtime, "keeper", lambda: keeper())
    agent = AgentId("keeper", "x")
    await runtime.get(agent, lazy=False)
    run_cell(notebook, " (2)")
    answer = await runtime.send_message(notebook["Note"]("hi"), agent)
    assert answer.text == "hi (1)"


async def test_a_factory_that_makes_the_class_defined_again_is_fine(
    notebook: dict[str, Any],
) -> None:
    runtime = SingleThreadedAgentRuntime()
    await notebook["Keeper"].register(runtime, "keeper", lambda: notebook["Keeper"]())
    run_cell(notebook, " (2)")
    answer = await runtime.send_message(notebook["Note"]("hi"), AgentId("keeper", "new"))
    assert answer.text == "hi (2)"
    agent = await runtime.try_get_underlying_agent_instance(
        AgentId("keeper", "new"), notebook["Keeper"]
    )
    assert type(agent).__name__ == "Keeper"


async def test_a_handler_replaced_in_its_class_is_used_at_once(notebook: dict[str, Any]) -> None:
    """What %autoreload does: it puts the new attributes into the old class."""
    runtime = SingleThreadedAgentRuntime()
    old = notebook["Keeper"]
    await old.register(runtime, "keeper", old)
    agent = AgentId("keeper", "x")
    assert (await runtime.send_message(notebook["Note"]("hi"), agent)).text == "hi (1)"
    run_cell(notebook, " (2)")
    old.on_note = notebook["Keeper"].on_note
    assert (await runtime.send_message(notebook["Note"]("hi"), agent)).text == "hi (2)"


def test_autoreload_takes_a_changed_handler(tmp_path: Any) -> None:
    """The real thing, in a shell of its own."""
    import subprocess
    import sys

    (tmp_path / "keeper.py").write_text(
        "from dataclasses import dataclass\n"
        "from nbagents import *\n" + CELL.replace("VERSION", "'(1)'")
    )
    script = f"""
import asyncio, pathlib, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
sys.path.insert(0, {str(tmp_path)!r})
shell.run_line_magic("load_ext", "autoreload")
shell.run_line_magic("autoreload", "2")
shell.run_cell('''
import asyncio, keeper
from nbagents import AgentId, SingleThreadedAgentRuntime
runtime = SingleThreadedAgentRuntime()
async def start():
    await keeper.Keeper.register(runtime, "keeper", lambda: keeper.Keeper())
async def ask():
    return (await runtime.send_message(keeper.Note("hi "), AgentId("keeper", "x"))).text
asyncio.run(start())
first = asyncio.run(ask())
''')
path = pathlib.Path({str(tmp_path / "keeper.py")!r})
path.write_text(path.read_text().replace("(1)", "(number 2)"))
shell.run_cell("second = asyncio.run(ask())")
print(shell.user_ns["first"], shell.user_ns["second"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split("\n")[-2] == "hi (1) hi (number 2)", done.stderr


async def test_a_subclass_has_subscriptions_of_its_own() -> None:
    @type_subscription("topic")
    class Parent(Echo):
        pass

    class Child(Parent):
        pass

    runtime = SingleThreadedAgentRuntime()
    await Child.register(runtime, "child", Child)
    runtime.start()
    await runtime.publish_message(Text("hi"), TopicId("topic", "x"))
    await runtime.stop_when_idle()
    assert list(runtime.agents) == []


async def test_any_object_with_the_methods_is_an_agent() -> None:
    class Bare:
        id = ECHO
        metadata = {"type": "echo", "key": "default", "description": ""}  # noqa: RUF012

        async def bind_id_and_runtime(self, id: AgentId, runtime: Any) -> None: ...  # noqa: A002

        async def on_message(self, message: Any, ctx: MessageContext) -> Any:
            return message

        async def save_state(self) -> dict[str, Any]:
            return {}

        async def load_state(self, state: Any) -> None: ...

        async def close(self) -> None: ...

    runtime = SingleThreadedAgentRuntime()
    await runtime.register_factory("echo", Bare)
    assert await runtime.send_message("hi", ECHO) == "hi"
    await runtime.close()


def test_a_description_is_a_string() -> None:
    with pytest.raises(ConfigurationError, match="must be a string, not 7"):
        Passing.__base__.__init__(Passing.__new__(Passing), 7)  # type: ignore[misc]


def test_base_agent_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        BaseAgent("")  # type: ignore[abstract]


class Plain:
    pass


async def test_messages_of_a_plain_class_need_no_serializer() -> None:
    class Taking(RoutedAgent):
        @message_handler
        async def on_plain(self, message: Plain, ctx: MessageContext) -> None: ...

    runtime = SingleThreadedAgentRuntime()
    runtime.add_message_serializer([])
    await Taking.register(runtime, "taking", lambda: Taking("Takes."))
    assert await runtime.send_message(Plain(), AgentId("taking", "x")) is None
