"""What IPython runs in a terminal for the trial of hostile texts: each text, wherever it may stand.

Not for import: ``ipython terminal_session.py NAME ...`` with a terminal around it, in which
``n`` is typed whenever something is asked. Lines that begin with ``@@`` say what follows.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from IPython import get_ipython

from nbagents.agents import ChatAgent
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from nbagents.model_context import BufferedChatCompletionContext
from nbagents.models import OpenAIChatCompletionClient
from nbagents.testing import LoopbackServer, chunk, error, stream
from nbagents.testing._script import ScriptedReply
from nbagents.tools import FunctionTool
from tests.rendering.hostile import HOSTILE

TRIES = 4
LONGEST = 4_000  # characters, but for the reply itself
PLAIN = ScriptedReply(words="Ok.")
shell: Any = get_ipython()
server = LoopbackServer().__enter__()
os.environ |= {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": server.base_url}


def said(*events: dict[str, Any]) -> ScriptedReply:
    """A stream of these events; in ASCII, which can hold half of a surrogate pair."""
    return stream(*map(json.dumps, events))


def cell(source: str, *replies: ScriptedReply) -> Callable[[], object]:
    """Runs a cell, which gets these replies."""

    def run() -> None:
        server.will_reply(*replies)
        shell.run_cell(source)

    return run


def called(name: str, arguments: dict[str, Any] | str) -> ScriptedReply:
    """A reply that calls a tool."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    function = {"name": name, "arguments": text}
    call = {"index": 0, "id": "call-1", "type": "function", "function": function}
    return said(chunk(tool_calls=[call]), chunk(finish_reason="tool_calls"))


def places(text: str) -> dict[str, Callable[[], object]]:
    """Where a text may stand, and how it is shown there."""
    short = text[:LONGEST]
    chat = "%%chat -m gpt-4o --fresh\nGo."
    named = "".join(sign for sign in short if sign not in "/\0\n\r")[:60] or "x"
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key="x", base_url=server.base_url)

    def change(text: str) -> str:
        return "changed"

    def echo(text: str) -> str:
        return short

    tools = [
        FunctionTool(change, "Change something", side_effects=True),
        FunctionTool(echo, "Echo"),
    ]
    agent = ChatAgent(client, name="helper", tools=tools, system_message=short)
    folder = Path(tempfile.mkdtemp())
    with_file = folder / f"{named}.txt"
    try:
        with_file.write_text("data")
    except (OSError, UnicodeError):
        with_file = folder / "x.txt"
        with_file.write_text(mendable(short))
    shell.user_ns |= {
        "agent": agent,
        "frame": pd.DataFrame({mendable(short): [mendable(short)]}),
        "shown": [
            CreateResult(
                finish_reason="stop", content=short, thought=short, cached=False,
                usage=RequestUsage(1, 1), model=short,
            ),
            SystemMessage(content=short),
            UserMessage(content=short, source=named),
            AssistantMessage(
                content=[FunctionCall(id="1", name=named, arguments=short)], source=named
            ),
            FunctionExecutionResultMessage(content=[
                FunctionExecutionResult(content=short, name=named, call_id="1", is_error=True)
            ]),
            BufferedChatCompletionContext(2, [UserMessage(content=short, source=named)]),
            tools[0],
        ],
    }  # fmt: skip
    return {
        "reply": cell(chat, said(chunk(text), chunk(finish_reason="stop"))),
        "reasoning": cell(chat, said(chunk(reasoning_content=short), chunk("Ok.", "stop"))),
        "refusal": cell(chat, said(chunk(refusal=short), chunk(finish_reason="stop"))),
        "model's name": cell(chat, said({**chunk("Ok.", "stop"), "model": short})),
        "error": cell(chat, error(400, mendable(short))),
        "page of an error": cell(chat, ScriptedReply([mendable(short).encode()], 404)),
        "traceback": lambda: shell.run_line_magic("tb", ""),
        "prompt": cell(f"%%chat -m gpt-4o --fresh\nSay {short}", PLAIN),
        "history": cell("%chat_history"),
        "asked": cell("%%chat agent\nGo.", called("change", {"text": short}), PLAIN),
        "asked with names": cell("%%chat agent\nGo.", called("change", {short: 1}), PLAIN),
        "result of a tool": cell("%%chat agent\nGo.", called("echo", {"text": "x"}), PLAIN),
        "unknown tool": cell("%%chat agent\nGo.", called(named, short), PLAIN),
        "agent": cell("agent"),
        "agents": cell("%agents"),
        "usage": cell("%usage"),
        "columns": cell("%%chat -m gpt-4o --fresh --with frame\nGo.", PLAIN),
        "file": cell(f"%%chat -m gpt-4o --fresh --with '{with_file}'\nGo.", PLAIN),
        "model": cell(f"%%chat -m '{named}' --fresh\nGo.", PLAIN),
        "cassette": cell(f"%cassette '{folder}/{named}/x'\n%cassette --off"),
        **{f"shown {number}": cell(f"shown[{number}]") for number in range(7)},
    }


def mendable(text: str) -> str:
    """The text as UTF-8 can hold it."""
    return text.encode("utf-8", "replace").decode()


def quickest(show: Callable[[], object]) -> float:
    """The seconds it takes; of several tries where it is slow, as the machine may be busy."""
    times: list[float] = []
    while len(times) < TRIES and min(times, default=1.0) >= 1.0:
        started = time.monotonic()
        show()
        times.append(time.monotonic() - started)
    return min(times)


def main() -> None:
    """Show all of them."""
    shell.run_line_magic("load_ext", "nbagents")
    cell("%%chat -m gpt-4o\nGo.", PLAIN)()
    for name in sys.argv[1:]:
        for place, show in places(HOSTILE[name]).items():
            print(f"\n@@{json.dumps([name, place])}", flush=True)
            print(f"\n@@{quickest(show)}", flush=True)
    if not sys.argv[1:]:
        print('\n@@["planted", "planted"]\n' + "\x1b[31m" + "\x1b]0;x\x07", flush=True)
    server.__exit__(None, None, None)


main()
