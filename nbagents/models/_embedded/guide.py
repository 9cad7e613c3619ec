"""What the embedded model says, and nothing it does not know.

It has three kinds of reply: one that was written for the tour, a quotation from the
documentation, or the word that it found none. The last two say what it is, and how to connect
a real model: in full the first time in a conversation, and then in a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nbagents.models._embedded.knowledge import Finding, documentation, terms_of
from nbagents.models._embedded.passages import Passage, cut_at_paragraph
from nbagents.models._wire import fastjson

__all__ = ["Reply", "reply"]

_ENOUGH = 0.4  # of the question's weight: less is a chance hit ("write me a poem")
_ALSO = 0.6  # of the best passage's score: what is worth naming beside it
_LONGEST_QUOTATION = 1500
_SHORT_QUOTATION = 300  # leaves room for a second
_ATTACHED = re.compile(r"^`[^`\n]+` \([^\n]+\):\n(`{3,})[^\n]*\n.*?^\1$", re.DOTALL | re.MULTILINE)
_LEANING = frozenset("it its that this they them those these there then else instead".split())  # noqa: SIM905

_I_AM = (
    "I am nbagents' embedded model: no language model, only a search over nbagents' documentation."
)
_CONNECT = (
    "To talk to a real model, start a server such as Ollama on this computer; or set "
    "`OPENAI_API_KEY`, or Azure's `AZURE_OPENAI_ENDPOINT` and `AZURE_OPENAI_API_KEY`, before "
    "Jupyter is started."
)
_AS_SAID = (
    "I am no language model, and only search nbagents' documentation; how to connect a real model "
    "is said further above."
)


@dataclass(frozen=True)
class Reply:
    """What is said, as Markdown.

    Attributes:
        text: The words.
        pages: The names of the pages it quotes; empty when it quotes none.
        scripted: Whether it was written for the tour.
    """

    text: str
    pages: tuple[str, ...] = ()
    scripted: bool = False

    def as_json(self) -> str:
        """Say the same as a JSON object; a scripted reply that is one stays as it is."""
        if self.scripted and _is_json_object(self.text):
            return self.text
        return fastjson.dumps(
            {"answer": self.text, "pages": list(self.pages), "is_language_model": False}
        )


def reply(messages: Sequence[Mapping[str, Any]]) -> Reply:
    """Answer the last user message of a conversation in the API's form."""
    said = [_texts(message) for message in messages if message.get("role") == "user"]
    if scripted := _scripted(said[-1] if said else []):
        return Reply(scripted, scripted=True)
    questions = [_asked(texts) for texts in said]
    question = questions[-1] if questions else ""
    told = _has_told(messages)
    if not terms_of(question) and not any(sign.isdigit() for sign in question):
        return Reply(_AS_SAID if told else _introduction())
    before = questions[-2] if len(questions) > 1 and _leans(question) else ""
    found = _search(question, before) or (_search(question) if before else [])
    if not found:
        return Reply(f"I found nothing about that. {_AS_SAID if told else _introduction()}")
    return _quote(found, _AS_SAID if told else f"*{_I_AM}* {_CONNECT}")


def _has_told(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether this conversation has how to connect a real model already."""
    replies = (message for message in messages if message.get("role") == "assistant")
    return any(_CONNECT in text for each in replies for text in _texts(each))


def _introduction() -> str:
    return f"{_I_AM} {_subjects()}\n\n{_CONNECT}"


def _search(question: str, before: str = "") -> list[Finding]:
    found = documentation().search(question, before)
    return found if found and found[0].coverage >= _ENOUGH else []


def _quote(found: Sequence[Finding], closing: str) -> Reply:
    good = [
        finding.passage
        for finding in found[:3]
        if finding.score >= _ALSO * found[0].score and finding.coverage >= _ENOUGH
    ]
    quoted = good[:2] if len(good[0].text) < _SHORT_QUOTATION else good[:1]
    paragraphs = [_quotation(passage) for passage in quoted]
    if also := good[len(quoted) :]:
        paragraphs.append("See also " + " and ".join(_place(passage) for passage in also) + ".")
    paragraphs.append(closing)
    pages = dict.fromkeys(f"docs/{passage.page.name}" for passage in good)
    return Reply("\n\n".join(paragraphs), tuple(pages))


def _quotation(passage: Passage) -> str:
    text, cut = cut_at_paragraph(passage.text, _LONGEST_QUOTATION)
    quoted = "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
    source = f"From {_place(passage)}{', which goes on' if cut else ''}:"
    return f"{source}\n\n{quoted}"


def _place(passage: Passage) -> str:
    title = f"{passage.page.title}: {passage.heading}" if passage.heading else passage.page.title
    return f"**{title}** (`docs/{passage.page.name}`)"


def _subjects() -> str:
    titles = dict.fromkeys(passage.page.title for passage in documentation().passages)
    if not titles:
        return "Its pages are missing from this installation."
    return "Its pages are: " + ", ".join(f"*{title}*" for title in titles) + "."


def _asked(texts: Sequence[str]) -> str:
    """A message without the objects that are attached to it, as `%%chat --with` and `@` do."""
    return _ATTACHED.sub("", "\n".join(texts)).strip()


def _leans(question: str) -> bool:
    """Whether a question needs the one before it: it points back, or says next to nothing."""
    words = question.lower().replace("?", " ").replace(",", " ").split()
    return len(terms_of(question)) == 1 or bool(_LEANING.intersection(words))


def _scripted(texts: Sequence[str]) -> str | None:
    """Find the tour's reply; what `%%chat --with` attaches stands in paragraphs of its own."""
    whole = "\n\n".join(texts)
    candidates = [whole, *texts, *whole.split("\n\n")]
    replies = _tour()
    return next((replies[key] for key in map(_normal, candidates) if key in replies), None)


@cache
def _tour() -> dict[str, str]:
    path = Path(__file__).with_name("tour.json")
    replies = fastjson.loads(path.read_bytes())["replies"]
    return {_normal(entry["prompt"]): entry["reply"] for entry in replies}


def _normal(prompt: str) -> str:
    return " ".join(prompt.split()).casefold()


def _texts(message: Mapping[str, Any]) -> list[str]:
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return [text for text in texts if isinstance(text, str)]


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(fastjson.loads(text), dict)
    except fastjson.JSONError:
        return False
