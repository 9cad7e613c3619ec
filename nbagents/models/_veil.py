"""A conversation without the credentials it is held with.

Some servers answer with what they were sent, and a model may be told to. A reply stays in the
notebook, which is passed on; so our own keys do not get into it, however it is cut into chunks.
Nor are they sent as text, whatever a tool has read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from nbagents._keys import SHARE, Secret, in_conversations, mask_of
from nbagents._keys.lengths import TELLTALE
from nbagents._keys.mask import BEGINNING
from nbagents.messages import CreateResult, FunctionCall, StreamChunk
from nbagents.models._secrets import too_deep

__all__ = ["Veil"]

_VERBATIM = {"extra_headers", "extra_query", "model"}  # no model reads them
_OF_THE_SERVER = {"content", "thought", "refusal", "model", "response_id"}


class Veil:
    """Hides credentials in one request and its reply.

    Text that may be the beginning of one is held back until more has come.

    Args:
        secrets: The credentials.
    """

    def __init__(self, secrets: Iterable[Secret[str]]) -> None:
        self._mask = mask_of(secrets, in_conversations)
        self._forms = self._mask.forms
        self._seen: dict[str, str] = {}  # of each kind the last characters that were let through
        self._held: dict[str, str] = {}

    def sent(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A request's arguments without credentials, which messages, tools or others may have.

        Images stay as they are. What is a `Secret` is for the server, and sent.

        Raises:
            ConfigurationError: An argument is nested so deeply that it is no JSON.
        """
        try:
            return {
                name: part if name in _VERBATIM else self._cleaned(part)
                for name, part in arguments.items()
            }
        except RecursionError:
            raise too_deep("An argument of the request") from None

    def see(self, chunk: StreamChunk) -> tuple[StreamChunk, ...]:
        """What may be seen of the reply now that this chunk has come."""
        if not self._forms:
            return (chunk,)
        kind = chunk.kind
        before = self._seen.get(kind, "")
        text = self._held.pop(kind, "") + chunk
        if self._mask.suspect.search(before + text) is None:
            shown = text
        else:
            shown, held = self._sifted(before + text, len(before))
            if held:
                self._held[kind] = held
        self._seen[kind] = (before + shown)[1 - BEGINNING :]
        if shown == chunk:
            return (chunk,)
        return (StreamChunk(shown, kind),) if shown else ()

    def rest(self) -> Iterator[StreamChunk]:
        """What was held back, at the end of the reply."""
        held, self._held = self._held, {}
        for kind, text in held.items():
            known: Literal["text", "reasoning"] = "reasoning" if kind == "reasoning" else "text"
            yield StreamChunk(text if len(text) < TELLTALE else "***", known)

    def covered(self, result: CreateResult) -> CreateResult:
        """The result without credentials."""
        kept = result.model_dump(include=_OF_THE_SERVER)
        cleaned = {name: self._cleaned(value) for name, value in kept.items()}
        if cleaned == kept:
            return result
        content = cleaned["content"]
        if not isinstance(content, str):
            content = [self._call(call) for call in result.content if not isinstance(call, str)]
        # The probabilities spell the text out.
        return result.model_copy(update={**cleaned, "content": content, "logprobs": None})

    def _call(self, call: FunctionCall) -> FunctionCall:
        name = self._clean(call.name).replace("*", "_")  # as servers take names
        return FunctionCall(self._clean(call.id), self._clean(call.arguments), name)

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._clean(value)
        if isinstance(value, list | tuple):
            return [self._cleaned(part) for part in value]
        if isinstance(value, Secret):
            return value.reveal()
        if isinstance(value, dict) and value.get("type") != "image_url":
            return {name: self._cleaned(part) for name, part in value.items()}
        return value

    def _clean(self, text: str) -> str:
        return self._mask.hide(text, share=SHARE)

    def _sifted(self, text: str, seen: int) -> tuple[str, str]:
        """Text without credentials, and its end if that may be the beginning of one.

        The first ``seen`` characters were let through before, and are not part of either.
        """
        shown: list[str] = []
        at = 0
        while found := self._mask.suspect.search(text, at):
            here = found.start()
            shown.append(text[max(at, seen) : max(here, seen)])
            whole = next((form for form in self._forms if text.startswith(form, here)), None)
            if whole is not None:
                shown.append("***")
                at = here + len(whole)
            elif self._ends_in_one(text, here):
                return "".join(shown), text[max(here, seen) :]
            else:
                shown.append(text[max(here, seen) : here + 1])
                at = here + 1
        return "".join((*shown, text[max(at, seen) :])), ""

    def _ends_in_one(self, text: str, here: int) -> bool:
        """Whether what begins there may be one whose end has not come."""
        if len(text) - here >= len(self._forms[0]):
            return False
        rest = text[here:]
        return any(form.startswith(rest) for form in self._forms)
