"""A reply as it grows in a cell, and as it is left there."""

from __future__ import annotations

from collections.abc import Sequence

from nbagents._pieces import Pieces
from nbagents.agents import Event
from nbagents.agents._calls import nobody_asked, not_run
from nbagents.errors import ContentFilterError, IncompleteReplyError, RequestError
from nbagents.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    StreamChunk,
)
from nbagents.messages._show import call_line, calls_markdown, results_markdown, summary
from nbagents.notebook._display import ReplyDisplay
from nbagents.notebook._forms import as_markdown, opening
from nbagents.rendering import STATUS_WORDS, Section, plain, reply_bundle

__all__ = ["Reply"]

_LONGEST_CALL = 70  # characters in the folded line; the whole call is inside


class Reply:
    """What a turn shows in its cell.

    Args:
        shown: The form: ``markdown``, ``text``, ``json`` or ``code``.
        notices: What to know of the prompt, a line each.
        display: Where it is shown.

    Attributes:
        result: The `CreateResult`, once it has come.
    """

    def __init__(self, shown: str, notices: Sequence[str], display: ReplyDisplay) -> None:
        self.result: CreateResult | None = None
        self._display = display
        self._shown = shown
        self._notices = notices
        self._text = Pieces()
        self._reasoning = Pieces()
        self._calls: dict[str, FunctionCall] = {}
        self._sections: dict[str, Section] = {}

    def see(self, event: Event) -> None:
        """Take the next event of the turn, and show it."""
        match event:
            case StreamChunk():
                self._grow(event)
            case AssistantMessage():
                self._call(event)
            case FunctionExecutionResultMessage():
                self._answer(event)
            case CreateResult():
                self.result = event
                self._text = _shared(self._text, event.text)
                self._reasoning = _shared(self._reasoning, event.thought or "")

    def leave(self, status: str = "") -> None:
        """Leave the reply as it stands in the cell, for good; ``status`` when it did not end."""
        result = self.result
        text = str(self._text) or (str(result) if result is not None else "")
        status = status or (result.status if result is not None else "complete")
        footer = summary(result) if result is not None else ""
        bundle = reply_bundle(
            as_markdown(text, self._shown),
            reasoning=str(self._reasoning) or (result.thought if result else None) or "",
            calls=[*self._sections.values()],
            footer=footer,
            notices=self._notices,
            status=status,
        )
        if self._shown == "text" and "text/html" in bundle:
            bundle["text/plain"] = plain(text)
        notes = [STATUS_WORDS[status], *self._notices, footer]
        self._display.finish(bundle, footer="\n".join(note for note in notes if note))

    def fail(self, error: Exception) -> None:
        """Leave what had come, marked; nothing when nothing had."""
        partial = error.partial if isinstance(error, RequestError) else ""
        if partial and not self._text:
            self._text.add(partial)
        if self._text or self._reasoning or self._sections:
            self.leave(_status_of(error))
        else:
            self._display.abort()

    def _grow(self, chunk: StreamChunk) -> None:
        if chunk.kind == "reasoning":
            self._reasoning.add(chunk)
        else:
            # What grows in a notebook is Markdown; a terminal shows the text as it is.
            if not self._text and self._display.mode == "live" and opening(self._shown):
                self._display.feed(StreamChunk(opening(self._shown)))
            self._text.add(chunk)
        self._display.feed(chunk)

    def _call(self, message: AssistantMessage) -> None:
        if isinstance(message.content, str):
            return
        for call in message.content:
            self._calls[call.id] = call
            self._sections[call.id] = Section(f"calls {call.name}", calls_markdown([call]))
            self._announce(call)
        # What the model says next is a paragraph of its own.
        if self._text and self._shown == "markdown":
            self._text.add("\n\n")
            self._display.feed(StreamChunk("\n\n"))

    def _announce(self, call: FunctionCall) -> None:
        if self._display.mode == "terminal":
            start = "\n" if self._text else ""
            self._display.feed(f"{start}(calls {_cut(call_line(call))})\n")
        else:
            self._display.feed(StreamChunk(f"\n\ncalls {call.name} …\n\n", "reasoning"))

    def _answer(self, message: FunctionExecutionResultMessage) -> None:
        for answer in message.content:
            call = self._calls.get(answer.call_id)
            if call is not None:
                self._sections[call.id] = _called(call, answer)


def _shared(pieces: Pieces, text: str) -> Pieces:
    """The pieces as that very text where they are the same: it may be megabytes, kept once."""
    if str(pieces) != text:
        return pieces
    whole = Pieces()
    whole.add(text)
    return whole


def _called(call: FunctionCall, answer: FunctionExecutionResult) -> Section:
    end = ": not allowed" if not_run(answer) else ": failed" if answer.is_error else ""
    end = ": nobody could be asked" if nobody_asked(answer) else end
    verb = "wanted to call" if not_run(answer) else "called"
    body = f"{calls_markdown([call])}\n\n{results_markdown([answer])}"
    return Section(f"{verb} {_cut(call_line(call))}{end}", body)


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_CALL else f"{line[: _LONGEST_CALL - 1]}…"


def _status_of(error: Exception) -> str:
    if isinstance(error, IncompleteReplyError):
        return "incomplete"
    return "filtered" if isinstance(error, ContentFilterError) else "failed"
