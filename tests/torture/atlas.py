"""A notebook as somebody else would write it, and what its model says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from nbagents.testing import ScriptedReply, chunk, completion, error, stream, text

__all__ = ["LAST", "SHUFFLED", "notebook", "replies", "shuffled"]

_BEGIN = [
    "%load_ext nbagents\n%cassette {cassette}",
    """
import asyncio
import nbagents
from pydantic import BaseModel
from nbagents import (
    AgentId, ChatAgent, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, message_handler
)
from nbagents.errors import BadRequestError
from nbagents.models import OpenAIChatCompletionClient, SystemMessage, UserMessage

nbagents.ledger.clear()
client = OpenAIChatCompletionClient(model="gpt-4.1-mini", temperature=0)
""",
]

# Each asks what no other asks, so that any order of them asks the same questions.
_QUESTIONS = [
    "%%chat -m openai:gpt-4.1-mini --fresh\nWhat is a *river*? Answer with a table.",
    "%%chat guide --new -m openai:gpt-4.1-mini -s 'You know Europe.'\nWhere does the Rhine end?",
    """
await client.create([
    SystemMessage(content="You are terse."),
    UserMessage(content="Name a lake.", source="me"),
])
""",
    """
def inhabitants(city: str) -> int:
    "How many people live in a city."
    return {"Ulm": 129_942}[city]

clerk = ChatAgent(client, name="clerk", tools=[inhabitants])
await clerk.ask("How many people live in Ulm?")
""",
    """
async def translated(word: str) -> str:
    prompt = f"Translate into German: {word}"
    return (await client.create([UserMessage(content=prompt, source="me")])).text

words = "bridge coast desert forest island lake mountain valley".split()
dict(zip(words, await asyncio.gather(*map(translated, words))))
""",
    """
class Peak(BaseModel):
    name: str
    metres: int

asked = [UserMessage(content="Which is the highest peak of the Alps?", source="me")]
(await client.create(asked, json_output=Peak)).parsed
""",
    """
panel = ChatAgent(client, name="painter").panel()
for prompt in ("Describe the Lorelei.", "Shorter, please."):
    panel.send(prompt)
    panel.wait()
panel
""",
    "panel_of_two = (await client.create("
    "[UserMessage(content='Name a cape. ' * 20_000, source='me')]))",
    """
try:
    await client.create([UserMessage(content="Which sea is 0/0?", source="me")])
except BadRequestError as failure:
    print(failure, failure.status)
""",
    """
async for piece in client.create_stream([UserMessage(content="Count to four.", source="me")]):
    print(repr(str(piece)) if isinstance(piece, str) else piece.usage)
""",
    """
class Surveyor(RoutedAgent):
    @message_handler
    async def on_text(self, message: str, ctx: MessageContext) -> str:
        return (await client.create([UserMessage(content=message, source="me")])).text

runtime = SingleThreadedAgentRuntime()
await Surveyor.register(runtime, "surveyor", lambda: Surveyor("measures"))
runtime.start()
print(await runtime.send_message("How long is the Danube?", AgentId("surveyor", "one")))
await runtime.stop()
""",
]

SHUFFLED = len(_BEGIN)
"""The first cell that may stand anywhere among those up to `LAST`."""

_END = ["nbagents.ledger.cost, len(nbagents.ledger)"]

LAST = SHUFFLED + len(_QUESTIONS)
"""The first cell that has to stand after all others."""


def notebook(cassette: str) -> NotebookNode:
    """The notebook, which has not been run."""
    codes = [_BEGIN[0].format(cassette=cassette), *_BEGIN[1:], *_QUESTIONS, *_END]
    cells = [new_code_cell(code.strip(), id=f"cell-{n}") for n, code in enumerate(codes)]
    for cell in cells:
        if "20_000" in cell.source:
            cell.metadata["tags"] = ["raises-exception"]
    return new_notebook(cells=cells)


def shuffled(book: NotebookNode, seed: int) -> NotebookNode:
    """The same cells, with the questions in another order."""
    book = nbformat.from_dict(book)
    middle = book.cells[SHUFFLED:LAST]
    random.Random(seed).shuffle(middle)
    book.cells[SHUFFLED:LAST] = middle
    return book


def replies() -> Sequence[ScriptedReply]:
    """What the model says, in the order of the cells."""
    call = {"id": "call_x1", "function": {"name": "inhabitants", "arguments": '{"city": "Ulm"}'}}
    return [
        text("| river | is |\n| :-- | :-- |\n| *Elbe* | water that runs to the sea, $v > 0$ |"),
        text("In the **North Sea**, near Rotterdam."),
        completion("Lake Constance."),
        _called(call),
        text("129,942 people live in Ulm."),
        *(completion(word) for word in _GERMAN),
        completion('{"name": "Mont Blanc", "metres": 4806}'),
        text("A rock of slate 132 m above the Rhine, and a legend."),
        text("A rock with a legend."),
        error(400, "This model reads at most 1,000 tokens.", code="context_length_exceeded"),
        error(400, "No such sea.", param="messages"),
        stream(*(chunk(word) for word in ("one ", "two ", "", "three ")), chunk("four", "stop")),
        completion("2,850 km."),
    ]


_GERMAN = ["Brücke", "Küste", "Wüste", "Wald", "Insel", "See", "Berg", "Tal"]


def _called(call: dict[str, Any]) -> ScriptedReply:
    return stream(chunk(tool_calls=[{"index": 0, **call}]), chunk(None, "tool_calls"))
