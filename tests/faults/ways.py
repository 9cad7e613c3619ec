"""The four ways to ask: by `create`, by `create_stream`, in a chat cell, in a panel."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from nbagents import ChatAgent, ChatPanel
from nbagents.agents import TurnLimits
from nbagents.errors import NbAgentsError
from nbagents.loop import run
from nbagents.messages import CreateResult, UserMessage
from nbagents.models import Limits, OpenAIChatCompletionClient
from nbagents.rendering import plain
from nbagents.testing import LoopbackServer
from nbagents.testing.faults import Fault, Outcome
from tests.faults.cells import Notebook
from tests.panel.mirror import Mirror

__all__ = ["KEY", "WAYS", "Room", "Seen", "agent_of", "clients_of", "room"]

KEY = "sk-canary-4f9a1c77e2b05d6839"
# Caps that a test reaches in a moment; the trial measures the usual ones.
PATIENT = Limits(
    connect=10, first_byte=20, silence=20, total=60, line_bytes=1 << 20, reply_bytes=1 << 20
)
HASTY = Limits(connect=10, first_byte=0.25, silence=0.25, total=0.5)
# For a machine that is so busy with something else that a server on it is late.
UNHURRIED = Limits(connect=10, first_byte=4, silence=4, total=8)
ROUNDS = 3
_NEXT_STEP = re.compile(
    r"\b(check|run it again|wait|top up|shorten|word the prompt|change|allow more|use|ask|set|give|"
    r"start|try)\b",
    re.IGNORECASE,
)


@dataclass
class Seen:
    """How a request ended, for who asked.

    Attributes:
        outcome: What it came to.
        wanted: What it should have come to.
        seconds: How long it took, beyond its deadline.
        raw: Errors that are not nbagents', or that break the rules for their messages.
        twice: Text that was shown more than once.
    """

    outcome: Outcome
    wanted: Outcome
    seconds: float = 0.0
    raw: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether it is the outcome that was wanted."""
        return self.outcome == replace(self.wanted, says="")

    @property
    def is_well(self) -> bool:
        """Whether nothing is to be said against it."""
        return self.is_right and not self.raw and not self.twice


class Room:
    """A server that misbehaves, another that must never hear of it, and a notebook."""

    def __init__(self, server: LoopbackServer, elsewhere: LoopbackServer) -> None:
        self.server = server
        self.elsewhere = elsewhere
        self.notebook = Notebook()
        self.clients = {each: clients_of(server.base_url, each) for each in (HASTY, UNHURRIED)}

    def ask(self, way: str, fault: Fault) -> Seen:
        """Ask in one of the `WAYS` while the server misbehaves in that way."""
        seen = self._ask(way, fault, HASTY)
        return seen if seen.is_well or not fault.deadline else self._ask(way, fault, UNHURRIED)

    def _ask(self, way: str, fault: Fault, limits: Limits) -> Seen:
        self.server.forget()
        self.server.will_misbehave(fault.name, elsewhere=f"localhost:{self.elsewhere.port}")
        client = self.clients[limits][bool(fault.deadline), fault.retries]
        wanted = fault.wanted if "create" in way else fault.turn or fault.wanted
        started = time.monotonic()
        seen = WAYS[way](self, client, wanted)
        seen.seconds = time.monotonic() - started - _deadline(fault, way, limits)
        self._wait_for_request()
        return seen

    def _wait_for_request(self) -> None:
        """A server that is so late that nobody waits any more takes no reply of a later request."""
        until = time.monotonic() + 2
        while not self.server.requests and time.monotonic() < until:
            time.sleep(0.01)

    def close(self) -> None:
        """Let go of all of it."""
        self.notebook.close()
        for clients in self.clients.values():
            for client in clients.values():
                run(client.close())


def clients_of(
    base_url: str, hasty: Limits = HASTY, *, generous: bool = False
) -> dict[tuple[bool, int], OpenAIChatCompletionClient]:
    """Clients by whether they wait for a moment only, and by how often they try again.

    ``hasty`` says how long that moment is; ``generous`` sets no caps below the usual ones.
    """
    patient = replace(PATIENT, line_bytes=16 << 20, reply_bytes=8 << 20)
    return {
        (deadline, retries): OpenAIChatCompletionClient(
            model="gpt-4o",
            api_key=KEY,
            base_url=base_url,
            limits=hasty if deadline else patient if generous else PATIENT,
            max_retries=retries,
        )
        for deadline in (False, True)
        for retries in (0, 1)
    }


@contextmanager
def room() -> Iterator[Room]:
    """A room, for as long as it is needed."""
    with LoopbackServer() as server, LoopbackServer() as elsewhere:
        opened = Room(server, elsewhere)
        try:
            yield opened
        finally:
            opened.close()


def _deadline(fault: Fault, way: str, limits: Limits) -> float:
    """The seconds that a wait may take; ``create`` waits for the whole reply."""
    if not fault.deadline:
        return 0.0
    return limits.total or 0.0 if way == "create" else getattr(limits, fault.deadline)


def _by_create(room: Room, client: Any, wanted: Outcome) -> Seen:
    async def ask() -> CreateResult:
        return await client.create([UserMessage(content="hi", source="user")])

    return _judged(lambda: run(ask()), [], wanted)


def _by_create_stream(room: Room, client: Any, wanted: Outcome) -> Seen:
    shown: list[str] = []

    async def ask() -> CreateResult:
        stream = client.create_stream([UserMessage(content="hi", source="user")])
        async for event in stream:
            if isinstance(event, CreateResult):
                return event
            if event.kind == "text":
                shown.append(event)
        raise AssertionError("no result")

    return _judged(lambda: run(ask()), shown, wanted)


def _by_cell(room: Room, client: Any, wanted: Outcome) -> Seen:
    notebook = room.notebook
    seen = _judged(lambda: notebook.chat(agent_of(client)), [], wanted)
    _check_shown(seen, notebook.shown())
    return seen


def _by_panel(room: Room, client: Any, wanted: Outcome) -> Seen:
    agent = agent_of(client)
    panel, mirror = ChatPanel(agent), Mirror()
    panel.comm.send = lambda data=None, **_: (
        mirror.take(data["content"]) if data["method"] == "custom" else None
    )
    try:
        seen = _judged(lambda: _sent(panel), [], wanted)
        if mirror.messages != panel.messages:
            seen.twice.append("the front end does not show what there is")
        shown = [message for message in panel.messages if message["role"] == "assistant"]
        _check_shown(seen, [message["markdown"] for message in shown])
    finally:
        panel.close()
    return seen


def agent_of(client: Any) -> ChatAgent:
    """An agent without tools, whose model may call some three times."""
    return ChatAgent(client, name="tutor", limits=TurnLimits(rounds=ROUNDS))


def _sent(panel: ChatPanel) -> CreateResult:
    errors: list[BaseException] = []
    panel.agent.watch(
        lambda event: errors.append(event.error) if getattr(event, "error", None) else None
    )
    panel.send("hi")
    panel.wait()
    if errors:
        raise errors[0]
    assert panel.result is not None
    return panel.result


def _judged(ask: Callable[[], CreateResult], shown: list[str], wanted: Outcome) -> Seen:
    """What asking comes to, held to the rules for every error."""
    try:
        seen = Seen(_of_result(ask()), wanted)
    except NbAgentsError as error:
        seen = Seen(_of_error(error), wanted, raw=_faults_of(error, wanted))
    except BaseException as error:
        return Seen(Outcome(error=type(error).__name__), wanted, raw=[f"raw: {error!r}"[:300]])
    said = seen.outcome.text or (seen.outcome.calls and seen.outcome.thought) or ""
    if shown and "".join(shown) != said:
        seen.twice.append(f"shown {''.join(shown)[:80]!r}, not {said[:80]!r}")
    return seen


def _of_result(result: CreateResult) -> Outcome:
    calls = () if isinstance(result.content, str) else result.content
    usage = result.usage
    return Outcome(
        text=result.text if isinstance(result.content, str) else "",
        status=result.status,
        finish_reason=result.finish_reason,
        thought=result.thought,
        refusal=result.refusal,
        calls=tuple((call.id, call.name, call.arguments) for call in calls),
        usage=None if usage.estimated else (usage.prompt_tokens, usage.completion_tokens),
    )


def _of_error(error: Any) -> Outcome:
    return Outcome(
        text=getattr(error, "partial", ""),
        error=type(error).__name__,
        retryable=getattr(error, "retryable", False),
        status_code=getattr(error, "status", None),
        retry_after=getattr(error, "retry_after", None),
    )


def _faults_of(error: NbAgentsError, wanted: Outcome) -> list[str]:
    said = str(error)
    faults = {
        "too long": len(said) > 500,
        "more than a line": not said.isprintable(),
        "no sentence": not said.endswith((".", "!", "?")),
        "no next step": not _NEXT_STEP.search(said),
        f"nothing of {wanted.says!r}": wanted.says not in said,
        "the key": any(KEY in part for part in _all_said(error)),
    }
    return [f"{what}: {said[:200]}" for what, is_so in faults.items() if is_so]


def _all_said(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield repr(error)
        yield str(vars(error).get("body"))
        error = error.__cause__ or error.__context__


def _check_shown(seen: Seen, shown: list[str]) -> None:
    """The reply's text is on screen once, whatever else is."""
    text = plain(seen.wanted.text or seen.wanted.refusal or "")
    marked = plain("".join(shown))
    if text.isascii() and text.strip() and len(text) < 10_000:
        count = marked.count(text)
        if count != 1:
            seen.twice.append(f"on screen {count} times: {marked[:120]!r}")
    if KEY in marked:
        seen.raw.append("the key is on screen")


WAYS: dict[str, Callable[[Room, Any, Outcome], Seen]] = {
    "create": _by_create,
    "create_stream": _by_create_stream,
    "%%chat": _by_cell,
    "panel": _by_panel,
}
