"""What each context shows a model of a conversation, and what all of them have in common."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any

import pytest

from nbagents.errors import ConfigurationError
from nbagents.messages import AssistantMessage, Image, LLMMessage, UserMessage
from nbagents.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    ChatCompletionContextState,
    HeadAndTailChatCompletionContext,
    SummarisingChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)
from nbagents.models import OpenAIChatCompletionClient
from tests.model_context.api import calls, faults, replies, results, rule, says
from tests.scripted import ScriptedClient

# autogen-core 0.7.5, read with inspect.signature; annotations left out.
AUTOGEN = {
    ChatCompletionContext: "(initial_messages=None)",
    UnboundedChatCompletionContext: "(initial_messages=None)",
    BufferedChatCompletionContext: "(buffer_size, initial_messages=None)",
    HeadAndTailChatCompletionContext: "(head_size, tail_size, initial_messages=None)",
    TokenLimitedChatCompletionContext: (
        "(model_client, *, token_limit=None, tool_schema=None, initial_messages=None)"
    ),
    ChatCompletionContext.add_message: "(self, message)",
    ChatCompletionContext.get_messages: "(self)",
    ChatCompletionContext.clear: "(self)",
    ChatCompletionContext.save_state: "(self)",
    ChatCompletionContext.load_state: "(self, state)",
    ChatCompletionContextState: "(*, messages=<factory>)",
}


def bare(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    bared = signature.replace(parameters=parameters, return_annotation=signature.empty)
    return str(bared).replace("list[<factory>]", "<factory>")


def every_context(**given: Any) -> list[ChatCompletionContext]:
    client = ScriptedClient(*["They talked."] * 50)
    return [
        UnboundedChatCompletionContext(**given),
        BufferedChatCompletionContext(3, **given),
        HeadAndTailChatCompletionContext(2, 2, **given),
        TokenLimitedChatCompletionContext(client, token_limit=8, **given),
        SummarisingChatCompletionContext(client, buffer_size=3, **given),
    ]


async def view(context: ChatCompletionContext, *messages: LLMMessage) -> list[str]:
    for message in messages:
        await context.add_message(message)
    return [str(message.content) for message in await context.get_messages()]


def texts(*names: str) -> list[LLMMessage]:
    return [says(name) for name in names]


@pytest.mark.parametrize("function", AUTOGEN, ids=lambda function: function.__qualname__)
def test_signatures_are_those_of_autogen(function: Any) -> None:
    assert bare(function) == AUTOGEN[function]


class TestEveryContext:
    @pytest.mark.parametrize("context", every_context(), ids=repr)
    async def test_a_view_is_a_copy(self, context: ChatCompletionContext) -> None:
        await view(context, says())
        (await context.get_messages()).clear()
        assert await view(context) == ["hi"]

    @pytest.mark.parametrize("context", every_context(initial_messages=[rule("Hush.")]), ids=repr)
    async def test_clear_leaves_the_initial_messages(self, context: ChatCompletionContext) -> None:
        await view(context, *texts(*"abcdefgh"))
        await context.clear()
        assert await view(context) == ["Hush."]
        context.initial_messages.clear()
        assert len(context.initial_messages) == 1

    @pytest.mark.parametrize("number", range(5))
    async def test_a_saved_context_goes_on_where_it_was(self, number: int) -> None:
        old, new = every_context()[number], every_context()[number]
        picture = UserMessage(content=["see", Image.from_bytes(b"GIF89a")], source="ada")
        await view(old, rule(), picture, calls("1"), results("1"), *texts(*"abcd"))
        before = await old.get_messages()
        await new.load_state(json.loads(json.dumps(await old.save_state())))
        assert await new.get_messages() == before

    @pytest.mark.parametrize("context", every_context(initial_messages=[rule("Hush.")]), ids=repr)
    async def test_the_first_system_messages_stay(self, context: ChatCompletionContext) -> None:
        shown = await view(context, *texts(*"abcdefghijklmnop"))
        assert (shown[0], shown[-1]) == ("Hush.", "p")

    @pytest.mark.parametrize("context", every_context(), ids=repr)
    async def test_a_unit_larger_than_the_bound_is_shown_whole(
        self, context: ChatCompletionContext
    ) -> None:
        await view(context, says(), calls(*"12345"), *(results(each) for each in "12345"))
        shown = await context.get_messages()
        assert len(shown) >= 6
        assert faults(shown) == []


class TestBuffered:
    async def test_it_shows_the_newest(self) -> None:
        assert await view(BufferedChatCompletionContext(2), *texts(*"abc")) == ["b", "c"]

    async def test_the_first_system_messages_count_into_its_size(self) -> None:
        assert await view(BufferedChatCompletionContext(2), rule("r"), *texts(*"abc")) == ["r", "c"]

    @pytest.mark.parametrize("size", [0, -1])
    def test_no_size_is_refused(self, size: int) -> None:
        with pytest.raises(ConfigurationError, match=f"at least 1, not {size}"):
            BufferedChatCompletionContext(size)


class TestHeadAndTail:
    async def test_it_shows_both_ends_and_says_how_much_is_between(self) -> None:
        context = HeadAndTailChatCompletionContext(2, 1)
        shown = await view(context, *texts(*"abcde"))
        assert shown == ["a", "b", "(2 messages are left out here.)", "e"]

    async def test_it_shows_all_of_a_short_conversation(self) -> None:
        assert await view(HeadAndTailChatCompletionContext(2, 1), *texts(*"abc")) == [*"abc"]

    async def test_calls_at_the_end_of_the_head_are_not_parted_from_their_results(self) -> None:
        context = HeadAndTailChatCompletionContext(2, 1)
        shown = await view(context, says("a"), calls("1"), results("1"), *texts("b", "c"))
        assert shown == ["a", "(3 messages are left out here.)", "c"]

    @pytest.mark.parametrize("sizes", [(0, 1), (1, 0)])
    def test_no_size_is_refused(self, sizes: tuple[int, int]) -> None:
        with pytest.raises(ConfigurationError, match="_size must be at least 1, not 0"):
            HeadAndTailChatCompletionContext(*sizes)


class CountingClient(ScriptedClient):
    """Counts ten tokens a message and three a request, and what it was asked to count."""

    def __init__(self) -> None:
        super().__init__()
        self.each = 10
        self.counted: list[str] = []

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = ()) -> int:
        self.counted += [str(message.content) for message in messages]
        return 3 + self.each * len(messages) + 100 * len(tools)


class TestTokenLimited:
    @pytest.mark.parametrize(
        ("limit", "shown"), [(1, "d"), (13, "d"), (22, "d"), (23, "cd"), (43, "abcd")]
    )
    async def test_it_shows_the_newest_that_fit(self, limit: int, shown: str) -> None:
        context = TokenLimitedChatCompletionContext(CountingClient(), token_limit=limit)
        assert await view(context, *texts(*"abcd")) == list(shown)

    async def test_tools_take_tokens_too(self) -> None:
        tool = {"name": "f"}
        context = TokenLimitedChatCompletionContext(
            CountingClient(), token_limit=123, tool_schema=[tool]
        )
        assert await view(context, *texts(*"abcd")) == ["c", "d"]

    async def test_without_a_limit_it_is_the_window_of_the_model(self) -> None:
        class Small(CountingClient):
            def remaining_tokens(self, messages: Any, *, tools: Any = ()) -> int:
                return 30 - self.count_tokens(messages, tools=tools)

        assert await view(TokenLimitedChatCompletionContext(Small()), *texts(*"abcd")) == ["c", "d"]

    async def test_a_real_client_agrees_that_the_view_fits(self) -> None:
        client = OpenAIChatCompletionClient(model="gpt-4o", api_key="none")
        context = TokenLimitedChatCompletionContext(client, token_limit=200)
        await view(context, rule(), *(says(f"Message number {number}.") for number in range(50)))
        shown = await context.get_messages()
        assert client.count_tokens(shown) <= 200 < client.count_tokens([*shown, says("and more")])

    async def test_each_message_is_counted_once(self) -> None:
        client = CountingClient()
        context = TokenLimitedChatCompletionContext(client, token_limit=1_000)
        await view(context, *texts(*"abcd"))
        await view(context, says("e"))
        assert [text for text in client.counted if len(text) == 1] == ["d", "c", "b", "a", "e"]

    async def test_a_client_that_learns_to_count_is_asked_again(self) -> None:
        client = CountingClient()
        context = TokenLimitedChatCompletionContext(client, token_limit=43)
        assert await view(context, *texts(*"abcd")) == [*"abcd"]
        client.each = 20
        assert await view(context) == ["c", "d"]

    def test_no_limit_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="token_limit must be at least 1, not 0"):
            TokenLimitedChatCompletionContext(CountingClient(), token_limit=0)


@pytest.mark.parametrize("number", range(5))
async def test_trimming_is_linear(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the messages: ten times the looks at a message, not a hundred times."""
    looks = 0

    def counted(self: Any, name: str) -> Any:
        nonlocal looks
        looks += 1
        return object.__getattribute__(self, name)

    async def looks_for(size: int) -> int:
        nonlocal looks
        context = every_context()[number]
        for turn in range(size // 4):
            for message in (says(), calls(str(turn)), results(str(turn)), replies()):
                await context.add_message(message)
        with monkeypatch.context() as patch:
            for kind in (UserMessage, AssistantMessage):
                patch.setattr(kind, "__getattribute__", counted)
            looks = 0
            await context.get_messages()
        return looks

    few, many = await looks_for(1_000), await looks_for(10_000)
    assert 0 < few < many < 11 * few


class TestShown:
    async def test_a_context_shows_who_said_what(self) -> None:
        context = BufferedChatCompletionContext(5)
        await view(context, rule("Hush."), says("Hi *there*"), calls("1"), results("1"))
        bundle = context._repr_mimebundle_()
        assert "<em>there</em>" in bundle["text/html"]
        assert "<summary>assistant · bot · calls add</summary>" in bundle["text/html"]
        assert bundle["text/plain"].split("\n\n")[:2] == [
            "system:\nHush.",
            "user · ada:\nHi *there*",
        ]
        footer = "4 messages · BufferedChatCompletionContext(buffer_size=5)"
        assert bundle["text/plain"].endswith(footer)
        assert repr(context) == "<BufferedChatCompletionContext(buffer_size=5): 4 messages>"

    async def test_a_long_conversation_shows_its_end(self) -> None:
        context = UnboundedChatCompletionContext()
        await view(context, *texts(*(f"m{number}" for number in range(500))), says("x" * 10_000))
        bundle = context._repr_mimebundle_()
        assert bundle["text/plain"].startswith("481 earlier messages\n\nuser · ada:\nm481")
        assert "(6,000 more characters)" in bundle["text/plain"]
        assert all(len(form) < 30_000 for form in bundle.values())

    async def test_what_one_message_leaves_open_ends_with_it(self) -> None:
        context = UnboundedChatCompletionContext()
        await view(context, says("```python\nopen"), says("<script>alert(1)</script>"), says("end"))
        bundle = context._repr_mimebundle_()
        assert "<script" not in bundle["text/html"] + bundle["text/markdown"]
        assert bundle["text/html"].count("<p>end</p>") == 1
        assert "> ```python\n> open\n\n*user · ada*" in bundle["text/markdown"]
