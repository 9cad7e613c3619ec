"""Rules for what varies from run to run, and shall not make two requests different. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from nbagents.errors import ConfigurationError

__all__ = ["DEFAULT_RULES", "NAMED_RULES", "Rule", "normaliser"]

Rule: TypeAlias = "str | Mapping[str, str]"

NAMED_RULES: Mapping[str, tuple[tuple[str, str], ...]] = {
    # "<Plot object at 0x7f3a2c10d5e0>", as Python shows what has no repr of its own.
    "addresses": ((r"\bat 0x[0-9A-Fa-f]{6,}", "at 0x…"),),
    # ISO 8601 dates and times, and times of day.
    "times": (
        (
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?",
            "<time>",
        ),
        (r"\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b", "<time>"),
    ),
    # The folders of absolute paths; the file's name stays.
    "paths": ((r"(?<![\w/\\.:<>-])(?:[A-Za-z]:)?[\\/](?:[\w.@+~-]+[\\/])+", "<path>/"),),
    # UUIDs, and 16 or more hexadecimal digits in a row.
    "ids": (
        (r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b", "<id>"),
        (r"(?<!sha256:)\b(?=[A-Fa-f]*\d)[0-9A-Fa-f]{16,}\b", "<id>"),
    ),
}
"""The rules that a cassette's header may name: a pattern and what it becomes, each."""

DEFAULT_RULES: tuple[Rule, ...] = ("addresses",)

_GROWTH, _ROOM = 4, 10_000  # characters that a text may have after all rules


def normaliser(rules: Iterable[Rule]) -> Callable[[Any], Any]:
    """Make a function that replaces what varies in every text of a JSON value.

    Args:
        rules: Names of `NAMED_RULES`, or ``{"replace": pattern, "with": text}``.

    Raises:
        ConfigurationError: A rule is neither, or its pattern is none. The function raises it
            where rules make a text many times as long.
    """
    if isinstance(rules, str) or not isinstance(rules, Iterable):
        raise ConfigurationError(f"The rules of a cassette are a list, not {rules!r}.")
    compiled = [pair for rule in rules for pair in _compiled(rule)]

    def normalised(value: Any) -> Any:
        if isinstance(value, str):
            return _replaced(value, compiled)
        if isinstance(value, dict):
            return {key: normalised(part) for key, part in value.items()}
        if isinstance(value, list):
            return [normalised(part) for part in value]
        return value

    return normalised


def _replaced(text: str, compiled: Iterable[tuple[re.Pattern[str], str]]) -> str:
    most = _GROWTH * len(text) + _ROOM
    for pattern, replacement in compiled:
        text = pattern.sub(replacement, text)
        if len(text) > most:  # a stranger's rules may double it, again and again
            raise ConfigurationError(
                f"The cassette's rule {pattern.pattern!r} makes texts ever longer; a rule puts a "
                "short word in the place of what varies."
            )
    return text


def _compiled(rule: Rule) -> Iterable[tuple[re.Pattern[str], str]]:
    if isinstance(rule, str):
        if rule not in NAMED_RULES:
            raise ConfigurationError(
                f"A cassette has no rule {rule!r}; it can be {', '.join(NAMED_RULES)}, or "
                '{"replace": pattern, "with": text}.'
            )
        return [(re.compile(pattern), text) for pattern, text in NAMED_RULES[rule]]
    try:
        pattern, text = re.compile(rule["replace"]), rule.get("with", "")
        pattern.sub(text, "")  # a text may name a group that the pattern does not have
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, re.error) as error:
        raise ConfigurationError(
            f"The cassette's rule {rule!r} is none ({error}); give "
            '{"replace": pattern, "with": text}.'
        ) from error
    return [(pattern, text)]
