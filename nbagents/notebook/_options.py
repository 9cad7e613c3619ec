"""The options of ``%%chat`` and ``%chat``: one table for reading them, for help and completion."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from nbagents.notebook._variables import EXPRESSION

__all__ = ["BY_NAME", "CHAT_HELP", "FORMATS", "OPTIONS", "Option"]

# Of a list: what stands between commas that are in no quotes.
_ITEM = re.compile(r"""(?:'[^']*'|"[^"]*"|[^,])+""")

FORMATS = ("markdown", "text", "json", "code")


@dataclass(frozen=True)
class Option:
    """An option: how it is written, which argument it sets, and how its value is read.

    Attributes:
        names: The ways to write it.
        argument: The field of `ChatArguments`.
        about: What it does, for the help.
        value: What the help calls its value; empty for a switch.
        read: Makes the argument of the value's text; raises ValueError saying what it takes.
    """

    names: tuple[str, ...]
    argument: str
    about: str
    value: str = ""
    read: Callable[[str], object] = str


def _temperature(text: str) -> float:
    wanted = "a number from 0 to 2, such as 0.7"
    number = _number(text, wanted)
    if number > 2:
        raise ValueError(wanted)
    return number


def _budget(text: str) -> float:
    return _number(text.lstrip("$"), "an amount in US dollars, such as 0.05")


def _number(text: str, wanted: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(wanted) from None
    if not 0 <= number < math.inf:
        raise ValueError(wanted)
    return number


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) == 0:
        raise ValueError("a whole number above 0, such as 500")
    return int(text)


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError("the name of a variable")
    return text


def _class(text: str) -> str:
    if not all(part.isidentifier() for part in text.split(".")):
        raise ValueError("the name of a pydantic model in the kernel")
    return text


def _expressions(text: str) -> tuple[str, ...]:
    items = (item.strip() for item in _ITEM.findall(text))
    names = tuple(_unquoted(item) for item in items if item)
    if not names or not all(re.fullmatch(EXPRESSION, name) for name in names):
        raise ValueError("names of variables with commas between them")
    return names


def _unquoted(item: str) -> str:
    return item[1:-1] if len(item) > 1 and item[0] == item[-1] and item[0] in "'\"" else item


def _format(text: str) -> str:
    if text not in FORMATS:
        raise ValueError(f"one of {', '.join(FORMATS)}")
    return text


OPTIONS = (
    Option(("-m", "--model"), "model", "the model for this cell", "MODEL"),
    Option(("-s", "--system"), "system", "instructions to the model", "TEXT"),
    Option(
        ("-t", "--temperature"),
        "temperature",
        "how freely the model chooses words, 0 to 2",
        "NUMBER",
        _temperature,
    ),
    Option(("--max-tokens",), "max_tokens", "end the reply after so many tokens", "N", _count),
    Option(("-o", "--out"), "out", "keep the result in this variable", "NAME", _variable),
    Option(("--with",), "attach", "attach the objects in these variables", "A,B", _expressions),
    Option(("--format",), "format", f"show the reply as {', '.join(FORMATS)}", "FORMAT", _format),
    Option(("--schema",), "schema", "ask for JSON of this pydantic model", "MODEL", _class),
    Option(("--fresh",), "fresh", "start a new conversation"),
    Option(("--new",), "new", "make an agent and keep it in the variable NAME"),
    Option(("--tools",), "tools", "functions that the new agent may call", "F,G", _expressions),
    Option(("--buffer",), "buffer", "how many messages the new agent remembers", "N", _count),
    Option(("--no-stream",), "no_stream", "wait for the whole reply"),
    Option(("--raw",), "raw", "send the prompt without filling in variables"),
    Option(("--budget",), "budget", "refuse a request that may cost more", "USD", _budget),
    Option(("-h", "--help"), "help", "show this"),
)
"""Every option, in the order of the help."""

BY_NAME = {name: option for option in OPTIONS for name in option.names}
"""Every option by each way to write it."""


def _help() -> str:
    ways = [
        (", ".join(option.names) + f" {option.value}".rstrip(), option.about) for option in OPTIONS
    ]
    width = max(len(way) for way, _ in ways)
    return "\n".join(f"  {way:<{width}}  {about}" for way, about in ways)


CHAT_HELP = f"""Send a prompt to a language model; the reply appears as it is written.

    %%chat [NAME] [OPTIONS]
    The prompt, on as many lines as it needs.

    %chat [NAME] [OPTIONS] The prompt, on one line.

With NAME the agent in that variable is asked, otherwise the notebook's own
conversation goes on. On a %chat line, the first word is a NAME if the variable
of that name holds an agent; behind -- all is prompt.
    %%chat NAME --new -s "You are ..." --tools f,g   makes the agent first.

{{name}}, {{name.attribute}} and {{name[...]}} in the prompt are filled in from the
kernel, {{x:.2f}} with a format; not in code, in TeX or within other braces.
Nothing is called.

Options:
{_help()}

Values with spaces stand in quotes. A value may be a variable: -m {{name}} or
-m $name.
"""
"""The help of ``%%chat`` and ``%chat``, which ``%%chat?`` and ``--help`` show."""
