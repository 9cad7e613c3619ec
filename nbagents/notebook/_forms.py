"""The forms in which a reply may be shown: Markdown, text, JSON or code."""

from __future__ import annotations

import json
import re

from nbagents.rendering import MAX_MARKDOWN

__all__ = ["as_markdown", "opening"]

_FENCE = "~~~~~~~~"
_CODE = re.compile(r"^(`{3,}|~{3,})([^\n`]*)\n(.*?)^\1[`~]*\s*$", re.MULTILINE | re.DOTALL)


def opening(shown: str) -> str:
    """What to put before a reply that is still growing, so that it shows in the form asked for."""
    return f"{_FENCE}{shown}\n" if shown in ("text", "json") else ""


def as_markdown(text: str, shown: str) -> str:
    """A whole reply's text as the Markdown that shows it in the form asked for.

    Of ``code`` only the code blocks are shown; a reply without any counts as code as a whole.
    """
    if shown == "markdown":
        return text
    if shown == "code":
        blocks = [(match[2].strip(), match[3]) for match in _CODE.finditer(text)]
        return "\n\n".join(_fenced(code, language) for language, code in blocks or [("", text)])
    if len(text) > MAX_MARKDOWN:  # it is shown as it was written
        return text
    return _fenced(_indented(text) if shown == "json" else text, shown)


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
