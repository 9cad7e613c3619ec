"""One turn of a chat cell: what is sent, what is shown while it comes, and what stays."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbagents.errors import ConfigurationError, NbAgentsError, RequestError
from nbagents.notebook._arguments import ChatArguments
from nbagents.notebook._describe import inline
from nbagents.notebook._display import ReplyDisplay, reply_display
from nbagents.notebook._interrupts import Interrupted, InterruptGuard
from nbagents.notebook._pump import drive
from nbagents.notebook._template import expand
from nbagents.notebook._variables import NotThereError, did_you_mean, find

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbagents.agents import ChatAgent
    from nbagents.messages import CreateResult, Image, ModelInfo, StreamChunk
    from nbagents.notebook._settings import ChatSettings

__all__ = ["Prompt", "compose", "request_for", "take_turn"]

_FENCE = "~~~~~~~~"
_SHOWN = 30
_CODE = re.compile(r"^(`{3,}|~{3,})([^\n`]*)\n(.*?)^\1[`~]*\s*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Prompt:
    """What a cell says to the model.

    Attributes:
        content: Text, or texts and images.
        notices: What the person should know of how it came about, a line each.
    """

    content: str | Sequence[str | Image]
    notices: tuple[str, ...] = ()

    def with_notices(self, notices: Sequence[str]) -> Prompt:
        """The same prompt, with more to know of it."""
        return Prompt(self.content, (*notices, *self.notices))


def compose(
    body: str, arguments: ChatArguments, namespace: Mapping[str, Any], info: ModelInfo
) -> Prompt:
    """Fill in the body's variables and attach what ``--with`` names.

    Raises:
        ConfigurationError: The prompt is empty, or a named variable is not there.
    """
    text, notices = body.rstrip("\n"), []  # IPython ends every body with one
    if not arguments.raw:
        expansion = expand(text, namespace)
        text = expansion.text
        notices = _notices(expansion.filled, expansion.lookalikes, namespace)
    if not text.strip():
        raise ConfigurationError("The prompt is empty; write it below the line with %%chat.")
    if not arguments.attach:
        return Prompt(text, tuple(notices))
    from nbagents.notebook._attach import attach

    attached = attach(arguments.attach, namespace, vision=bool(info["vision"]))
    return Prompt([text, *attached.parts], (*notices, *attached.notes))


def request_for(
    arguments: ChatArguments,
    settings: ChatSettings,
    namespace: Mapping[str, Any],
    info: ModelInfo,
) -> dict[str, Any]:
    """The arguments of the request that options and settings ask for.

    Raises:
        ConfigurationError: ``--schema`` names no pydantic model.
    """
    extra: dict[str, Any] = {}
    if arguments.name and arguments.model:
        extra["model"] = arguments.model
    temperature = _first(arguments.temperature, settings.temperature)
    if temperature is not None:
        extra["temperature"] = temperature
    max_tokens = _first(arguments.max_tokens, settings.max_tokens)
    if max_tokens is not None:
        extra[_max_tokens_name(info["family"])] = max_tokens
    request: dict[str, Any] = {"extra_create_args": extra} if extra else {}
    if arguments.schema:
        request["json_output"] = _schema(arguments.schema, namespace)
    elif arguments.format == "json":
        request["json_output"] = True
    return request


def take_turn(
    shell: InteractiveShell,
    agent: ChatAgent,
    prompt: Prompt,
    arguments: ChatArguments,
    request: Mapping[str, Any],
) -> CreateResult:
    """Ask, show the reply as it comes, and leave it in the cell.

    Raises:
        Interrupted: The kernel was interrupted; what had come is shown.
        NbAgentsError: The request failed; what had come is shown.
    """
    from nbagents.messages import CreateResult

    shown = "json" if arguments.schema else arguments.format or "markdown"
    reply = _Reply(shown, prompt.notices, reply_display(shell, label=_name_of(agent)))

    def source() -> AsyncGenerator[StreamChunk | CreateResult, None]:
        content = prompt.content
        if arguments.no_stream:
            return _whole(agent, content, request)
        return agent.stream(content, **request)

    with InterruptGuard() as guard:
        try:
            drive(source, reply.see, due=reply.display.due, tick=reply.display.paint, guard=guard)
        except Interrupted:
            reply.leave("cancelled")
            raise
        except NbAgentsError as error:
            reply.fail(error)
            raise
        reply.leave()
    assert isinstance(reply.result, CreateResult)
    return reply.result


class _Reply:
    """A reply as it grows in the cell, in the form asked for."""

    def __init__(self, shown: str, notices: Sequence[str], display: ReplyDisplay) -> None:
        self.display = display
        self.result: CreateResult | None = None
        self._shown = shown
        self._notices = notices
        self._text: list[str] = []
        self._reasoning: list[str] = []

    def see(self, event: StreamChunk | CreateResult) -> None:
        if not isinstance(event, str):
            self.result = event
            return
        if event.kind == "reasoning":
            self._reasoning.append(event)
        else:
            if not self._text and self._shown in ("text", "json"):
                self.display.feed(type(event)(f"{_FENCE}{self._shown}\n"))
            self._text.append(event)
        self.display.feed(event)

    def leave(self, status: str | None = None) -> None:
        """Leave the reply as it stands in the cell, for good."""
        from nbagents.messages import summary
        from nbagents.rendering import STATUS_WORDS, plain, reply_bundle

        result = self.result
        text = "".join(self._text)
        if result is not None:
            text = text or str(result)
            status = status or result.status
        status = status or "complete"
        footer = summary(result) if result is not None else ""
        bundle = reply_bundle(
            _as_markdown(text, self._shown),
            reasoning="".join(self._reasoning) or (result and result.thought) or "",
            footer=footer,
            notices=self._notices,
            status=status,
        )
        if self._shown == "text":
            bundle["text/plain"] = plain(text)
        notes = [STATUS_WORDS[status], *self._notices, footer]
        self.display.finish(bundle, footer="\n".join(note for note in notes if note))

    def fail(self, error: NbAgentsError) -> None:
        """Leave what had come, marked; nothing when nothing had."""
        partial = error.partial if isinstance(error, RequestError) else ""
        if not self._text and partial:
            self._text.append(partial)
        if self._text or self._reasoning:
            from nbagents.errors import ContentFilterError, IncompleteReplyError

            kinds = {IncompleteReplyError: "incomplete", ContentFilterError: "filtered"}
            self.leave(next((name for k, name in kinds.items() if isinstance(error, k)), "failed"))
        else:
            self.display.abort()


def _as_markdown(text: str, shown: str) -> str:
    """A reply's text as the Markdown that shows it in the form asked for."""
    if shown == "markdown":
        return text
    if shown == "code":
        blocks = [(match[2].strip(), match[3]) for match in _CODE.finditer(text)]
        return "\n\n".join(_fenced(code, language) for language, code in blocks or [("", text)])
    return _fenced(_indented(text) if shown == "json" else text, shown)


async def _whole(
    agent: ChatAgent, content: str | Sequence[str | Image], request: Mapping[str, Any]
) -> AsyncGenerator[CreateResult, None]:
    yield await agent.ask(content, **request)


def _notices(
    filled: Sequence[str], lookalikes: Sequence[str], namespace: Mapping[str, Any]
) -> list[str]:
    notices = []
    if filled:
        values = (f"{name} = {_short(find(name, namespace))}" for name in filled)
        notices.append(f"filled in: {', '.join(values)}")
    if lookalikes:
        words = ", ".join(f"{{{word}}}" for word in lookalikes)
        notices.append(f"left as written, for there is no such variable: {words}")
    return notices


def _short(value: object) -> str:
    text = " ".join(inline(value, _SHOWN).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _max_tokens_name(family: str) -> str:
    # OpenAI's reasoning models take only the newer name, other servers often only the older.
    return "max_completion_tokens" if re.match(r"o\d|gpt-5", family) else "max_tokens"


def _schema(name: str, namespace: Mapping[str, Any]) -> Any:
    from pydantic import BaseModel

    try:
        schema = find(name, namespace)
    except NotThereError:
        hint = did_you_mean(name, namespace) or "; define it in a cell above"
        raise ConfigurationError(f"--schema: there is no class {name}{hint}") from None
    if not (isinstance(schema, type) and issubclass(schema, BaseModel)):
        raise ConfigurationError(
            f"--schema takes a pydantic model; {name} is {type(schema).__name__}. "
            f"Write: class {name}(pydantic.BaseModel): ..."
        )
    return schema


def _name_of(agent: ChatAgent) -> str:
    return str(getattr(agent.client, "model", "") or type(agent.client).__name__)


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _fenced(text: str, language: str) -> str:
    body = text if text.endswith("\n") else f"{text}\n"
    fence = _FENCE
    while fence in body:
        fence += "~"
    return f"{fence}{language}\n{body}{fence}"
