"""Whatever happens to a conversation, every context shows what the API accepts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nbagents.messages import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    Image,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from nbagents.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    HeadAndTailChatCompletionContext,
    SummarisingChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)
from tests.model_context.api import calls, faults, replies, results, says
from tests.scripted import ScriptedClient

SIZES = st.integers(1, 6)
PICTURE = Image.from_bytes(b"GIF89a")


class Moody(ScriptedClient):
    """Writes a summary every other time."""

    async def create(self, messages: Any, **arguments: Any) -> Any:
        self.replies.append(OSError("no line") if len(self.requests) % 2 else "They talked.")
        return await super().create(messages, **arguments)


class Conversation(RuleBasedStateMachine):
    """One history, held by a context of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.run = self.runner.get_loop().run_until_complete  # run() costs three times as much
        self.history: list[LLMMessage] = []
        self.number = 0
        self.unanswered: list[str] = []

    @initialize(first=SIZES, second=SIZES, tokens=st.integers(1, 60), rules=st.integers(0, 2))
    def begin(self, first: int, second: int, tokens: int, rules: int) -> None:
        start = [SystemMessage(content=f"Rule {number}.") for number in range(rules)]
        client = Moody()
        self.contexts: list[ChatCompletionContext] = [
            UnboundedChatCompletionContext(start),
            BufferedChatCompletionContext(first, start),
            HeadAndTailChatCompletionContext(first, second, start),
            TokenLimitedChatCompletionContext(client, token_limit=tokens, initial_messages=start),
            SummarisingChatCompletionContext(client, buffer_size=first + 1, initial_messages=start),
        ]
        self.start = start
        self.history = list(start)

    def add(self, message: LLMMessage) -> None:
        self.history.append(message)
        for context in self.contexts:
            self.run(context.add_message(message))

    @rule(text=st.text(max_size=30))
    def a_user_speaks(self, text: str) -> None:
        self.add(says(text))

    @rule()
    def a_user_shows_a_picture(self) -> None:
        self.add(UserMessage(content=["Look:", PICTURE], source="ada"))

    @rule(text=st.text(max_size=30))
    def the_model_replies(self, text: str) -> None:
        self.add(replies(text))

    @rule()
    def the_model_says_nothing_at_all(self) -> None:
        self.add(AssistantMessage(content=[], source="bot"))

    @rule()
    def the_developer_interjects(self) -> None:
        self.add(SystemMessage(content="Mind the time."))

    @rule(count=st.integers(1, 3), anew=st.booleans())
    def the_model_calls(self, count: int, anew: bool) -> None:
        if anew:  # some servers number the calls of each reply from 0
            self.number = 0
        ids = [str(self.number + step) for step in range(count)]
        self.number += count
        self.unanswered = ids
        self.add(calls(*ids))

    @rule()
    def all_calls_are_answered(self) -> None:
        if self.unanswered:
            self.add(results(*self.unanswered))
        self.unanswered = []

    @rule()
    def one_call_fails(self) -> None:
        if self.unanswered:
            failed = FunctionExecutionResult(
                content="Failed.", name="add", call_id=self.unanswered.pop(), is_error=True
            )
            self.add(FunctionExecutionResultMessage(content=[failed]))

    @rule(ids=st.lists(st.sampled_from(["0", "1", "2", "nobody"]), max_size=3))
    def results_come_from_nowhere(self, ids: list[str]) -> None:
        self.add(results(*ids))

    @rule()
    def it_is_saved_and_loaded(self) -> None:
        for context in self.contexts:
            self.run(context.load_state(json.loads(json.dumps(self.run(context.save_state())))))

    @rule()
    def it_is_cleared(self) -> None:
        self.history = list(self.start)
        self.unanswered = []
        for context in self.contexts:
            self.run(context.clear())

    @invariant()
    def every_view_is_one_that_the_api_accepts(self) -> None:
        speaks = [m for m in self.history if not isinstance(m, FunctionExecutionResultMessage)]
        for context in self.contexts if speaks else ():
            before = self.run(context.save_state())
            view = self.run(context.get_messages())
            assert faults(view) == []
            assert view[: len(self.start)] == self.start
            assert speaks[-1] in view
            view.clear()
            assert self.run(context.save_state())["messages"] == before["messages"]

    def teardown(self) -> None:
        self.runner.close()


Conversation.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestAnyConversation = Conversation.TestCase
