"""Tab completion in chat cells: options, model names, variables of the kernel.

Only what is known already is offered: nothing is asked of a server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from IPython.core.completer import SimpleCompletion, context_matcher

from nbagents.notebook._options import BY_NAME, FORMATS
from nbagents.notebook._variables import EXPRESSION, NotThereError, find, user_variables
from nbagents.prices import priced_models

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["complete", "install_completer"]

_CELL = re.compile(r"\s*%%chat(?=\s|$)")
_LINE = re.compile(r"\s*(?:[\w.]+\s*=\s*)?%{1,2}chat\s+")
_NAMED = re.compile(r"\s*(?:[\w.]+\s*=\s*)?%chat_(?:panel|history)\s+(\w*)$")
_FIELD = re.compile(rf"\{{(?:({EXPRESSION})\.)?(\w*)$")


def install_completer(
    shell: InteractiveShell, models: Callable[[], Iterable[str]] = priced_models
) -> Callable[[], None]:
    """Complete chat cells in ``shell``.

    Args:
        shell: The IPython shell.
        models: Returns the names to offer behind ``--model``, at once.

    Returns:
        A function that takes the completer away again.
    """

    @context_matcher(identifier="nbagents.chat", priority=100)  # type: ignore[untyped-decorator]
    def matcher(context: CompletionContext) -> SimpleMatcherResult:
        lines = context.full_text.split("\n")
        before = [
            *lines[: context.cursor_line],
            context.line_with_cursor[: context.cursor_position],
        ]
        variables = user_variables(shell.user_ns, shell.user_ns_hidden)
        fragment, words = complete("\n".join(before), variables, models)
        return {
            "completions": [SimpleCompletion(text=word, type="chat") for word in words],
            "matched_fragment": fragment,
            "suppress": True,
            "ordered": True,
        }

    matchers = shell.Completer.custom_matchers
    matchers.append(matcher)
    return lambda: matchers.remove(matcher) if matcher in matchers else None


def complete(
    before: str, variables: Mapping[str, object], models: Callable[[], Iterable[str]]
) -> tuple[str, list[str]]:
    """Return what is being typed, and the words that it may become.

    Args:
        before: The cell up to the cursor.
        variables: The user's variables.
        models: Returns the known models' names.
    """
    *above, line = before.split("\n")
    in_body = bool(above) and _CELL.match(above[0]) is not None
    if not in_body and (named := _NAMED.match(line)):
        agents = _agents(variables, clients=True)
        return named[1], [name for name in agents if name.startswith(named[1])]
    magic = None if in_body else _LINE.match(line)
    if not in_body and magic is None:
        return "", []
    if field := _FIELD.search(line):
        fragment, words = field[2], _members(field[1], variables)
    elif magic is not None:
        in_cell = "%%" in magic.group()
        fragment, words = _in_line(line[magic.end() :], in_cell, variables, models)
    else:
        return "", []
    return fragment, [word for word in words if word.startswith(fragment)]


def _in_line(
    text: str,
    in_cell: bool,
    variables: Mapping[str, object],
    models: Callable[[], Iterable[str]],
) -> tuple[str, list[str]]:
    words = text.split()
    typed = words.pop() if words and not text[-1:].isspace() else ""
    argument, behind = _argument(words)
    if "=" in typed:
        name, _, typed = typed.partition("=")
        argument = BY_NAME[name].argument if name in BY_NAME else ""
    if argument == "attach":
        typed = typed.rpartition(",")[2]
    if argument:
        return typed, _values(argument, variables, models)
    if behind and not in_cell:
        return typed, []  # the prompt has begun
    names = [] if behind else _agents(variables, clients=in_cell)
    return typed, [*names, *BY_NAME]


def _argument(words: list[str]) -> tuple[str, bool]:
    """Return the argument whose value comes next, and whether a word of no option stands before."""
    awaited = ""
    behind = False
    for word in words:
        if word in BY_NAME:
            awaited = BY_NAME[word].argument if BY_NAME[word].value else ""
        elif awaited:
            # "--with a, b" goes on behind the comma.
            awaited = awaited if awaited == "attach" and word.endswith(",") else ""
        elif not word.startswith("-"):
            behind = True
    return awaited, behind


def _values(
    argument: str, variables: Mapping[str, object], models: Callable[[], Iterable[str]]
) -> list[str]:
    if argument == "model":
        return sorted(models())
    if argument == "format":
        return list(FORMATS)
    if argument == "schema":
        return [name for name, value in variables.items() if _is_schema(value)]
    return _public(variables) if argument in ("attach", "out") else []


def _members(expression: str | None, variables: Mapping[str, object]) -> list[str]:
    if expression is None:
        return _public(variables)
    try:
        return _public(dir(find(expression, variables)))
    except NotThereError:
        return []


def _public(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("_"))


def _agents(variables: Mapping[str, object], *, clients: bool) -> list[str]:
    return [
        name
        for name, value in variables.items()
        if hasattr(type(value), "ask") or (clients and hasattr(type(value), "create_stream"))
    ]


def _is_schema(value: object) -> bool:
    return isinstance(value, type) and hasattr(value, "model_json_schema")
