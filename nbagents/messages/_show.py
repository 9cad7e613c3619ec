"""How messages and results show themselves as the last expression of a cell."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbagents._mode import is_final
from nbagents.prices import in_dollars

if TYPE_CHECKING:
    from nbagents.messages._image import Image
    from nbagents.messages._messages import FunctionCall, FunctionExecutionResult
    from nbagents.messages._results import CreateResult

__all__ = [
    "arguments_text",
    "call_brief",
    "call_line",
    "calls_markdown",
    "parts_markdown",
    "result_bundle",
    "results_markdown",
    "speaker",
    "summary",
    "text_bundle",
    "visible",
]

_NAME = re.compile(r"[\w.-]+", re.ASCII)
_NOT_ASCII = re.compile(r"[^\n -~]+")
# What Python takes for printable and nobody sees: Unicode's default ignorable code points that
# are marks or letters, such as the Hangul fillers, and the blanks of Braille, hieroglyphs, Khitan
# and music; and what stands for an object that is not there.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc"
    "\U00013441\U00013442\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)
# On one letter; more of them paint over the lines around. Scripts that stack marks need three.
_MOST_MARKS = 4
_LONG = 200  # characters of an argument
_PREPARED = "replay"  # the model of a ReplayChatCompletionClient: its texts come from no cache


def result_bundle(result: CreateResult) -> dict[str, str]:
    """A reply: its text or calls, its reasoning folded, and one line of usage and cost."""
    from nbagents.rendering import Section, reply_bundle

    content = result.content
    calls = [] if isinstance(content, str) else content
    return reply_bundle(
        result.text or result.refusal or "",
        reasoning=result.thought or "",
        calls=[Section(f"calls {call_line(call)}", calls_markdown([call])) for call in calls],
        footer=summary(result),
        status=result.status,
    )


def text_bundle(markdown: str, label: str, reasoning: str = "") -> dict[str, str]:
    """A message: its text, its reasoning folded, and who said it."""
    from nbagents.rendering import reply_bundle

    return reply_bundle(markdown, reasoning=reasoning, footer=label)


def speaker(role: str, source: str) -> str:
    """Who says a message: its role and its source, or the one word where they are the same."""
    return role if source == role else f"{role} · {source}"


def summary(result: CreateResult) -> str:
    """One line: the model, tokens in and out, the cost where it is known, and the seconds.

    The seconds are left out where outputs are compared from run to run.
    """
    usage = result.usage
    parts = [result.model or "", _tokens(result)]
    if result.cached and result.model != _PREPARED:
        parts.append("from the cache")
    elif result.cost is not None:
        parts.append(in_dollars(result.cost))
    if result.latency is not None and not is_final():
        parts.append(f"{result.latency:.1f} s")
    if usage.estimated:
        parts.append("estimated")
    return " · ".join(part for part in parts if part)


def call_line(call: FunctionCall) -> str:
    """A function call as one line of plain text, as Python writes it: all of it, and no more."""
    # What a model wrote must not move the cursor, hide a part or end the call: what is neither
    # a name nor a number is quoted as Python quotes it.
    return _as_call(call, lambda value: visible(repr(value)))


def arguments_text(call: FunctionCall) -> str:
    """A call's arguments as JSON on lines of their own: all of them, to read before it runs."""
    return visible(_indented(call.arguments))


def call_brief(call: FunctionCall) -> str:
    """A function call as a line that is seen at once: what is long is cut, and says how long it is.

    It stands below `arguments_text`, whose end could pass for the call where it fills the screen.
    """
    return _as_call(call, _brief)


def _as_call(call: FunctionCall, shown: Callable[[Any], str]) -> str:
    try:
        given = json.loads(call.arguments or "{}")
        parts = [f"{visible(_word(name))}={shown(value)}" for name, value in given.items()]
    except (ValueError, AttributeError, RecursionError):
        parts = [shown(call.arguments)]
    return f"{visible(_word(call.name))}({', '.join(parts)})"


def _brief(value: Any, levels: int = 3) -> str:
    """A value as Python writes it; of a long one the ends, and of a dictionary its values'."""
    shown = visible(repr(value))
    if len(shown) <= _LONG:
        return shown
    if isinstance(value, dict) and levels:
        entries = (f"{_brief(name)}: {_brief(each, levels - 1)}" for name, each in value.items())
        inside = f"{{{', '.join(entries)}}}"
        if len(inside) <= 2 * _LONG:
            return inside
    return f"{shown[:50]} … {shown[-20:]} ({len(shown):,} characters)"


def visible(text: str) -> str:
    r"""The text with every character that nobody sees, or that moves others, as ``\uXXXX``.

    So are marks on what is no letter, and a great many on one, as they hide what is below them.
    So a person who is asked sees the same as the program that runs. Line feeds stay.
    """
    return _NOT_ASCII.sub(_seen, text)


def _seen(match: re.Match[str]) -> str:
    start = match.start()
    marks = 0 if match.string[max(start - 1, 0) : start].isalnum() else _MOST_MARKS
    shown = []
    for sign in match.group():
        marks = marks + 1 if unicodedata.category(sign) in ("Mn", "Me") else 0
        hides = marks > _MOST_MARKS or not sign.isprintable() or _UNSEEN.match(sign)
        shown.append(_escaped(sign) if hides else sign)
    return "".join(shown)


def _escaped(sign: str) -> str:
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


def _word(name: str) -> str:
    return name if _NAME.fullmatch(name) else repr(name)


def calls_markdown(calls: list[FunctionCall]) -> str:
    """Function calls, as Markdown."""
    return "\n\n".join(
        f"Calls {_code(call.name)}:\n\n{_fenced(arguments_text(call), 'json')}" for call in calls
    )


def results_markdown(results: list[FunctionExecutionResult]) -> str:
    """Results of function calls, as Markdown."""
    return "\n\n".join(
        f"{_code(result.name)} {'failed' if result.is_error else 'gave'}:\n\n"
        f"{_fenced(result.content)}"
        for result in results
    )


def parts_markdown(parts: str | list[str | Image]) -> str:
    """Text and images, as Markdown; an image is named, not shown."""
    if isinstance(parts, str):
        return parts
    return "\n\n".join(part if isinstance(part, str) else f"`{part!r}`" for part in parts)


def _tokens(result: CreateResult) -> str:
    usage = result.usage
    return f"{usage.prompt_tokens:,} → {usage.completion_tokens:,} tokens"


def _indented(arguments: str) -> str:
    try:
        # Nothing is pushed out of sight by what is long.
        given, _ = _short_first(json.loads(arguments))
        return json.dumps(given, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments


def _short_first(value: Any) -> tuple[Any, int]:
    """The value, in each object what is long behind the rest; and some number of its characters."""
    if isinstance(value, dict):
        parts = [(name, *_short_first(each)) for name, each in value.items()]
        sizes = {name: len(name) + size for name, _, size in parts}
        parts.sort(key=lambda part: sizes[part[0]] > _LONG)
        return {name: each for name, each, _ in parts}, sum(sizes.values()) + 8 * len(parts)
    if isinstance(value, list):
        items = [_short_first(each) for each in value]
        return [each for each, _ in items], sum(size for _, size in items) + 4 * len(items)
    return value, len(str(value))


def _code(name: str) -> str:
    """A name that a model gave, which may be anything, as code in a line."""
    shown = " ".join(visible(name).split()) or " "
    fence = "`" * (_longest_run(shown) + 1)
    return f"{fence} {shown} {fence}" if "`" in shown else f"`{shown}`"


def _fenced(text: str, language: str = "") -> str:
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
