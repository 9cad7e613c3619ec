"""Reading the line of ``%%chat`` and ``%chat``.

IPython's ``magic_arguments`` leaves quotes in values, refuses ``--help``, trips over an
apostrophe, and reports mistakes as a ``UsageError``, which no front end counts as a failed cell.
So the line is read here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from nbagents._keys import holds_key, resembles_key
from nbagents.errors import ConfigurationError
from nbagents.notebook._options import BY_NAME, CHAT_HELP, Option
from nbagents.notebook._template import expand
from nbagents.notebook._typed_keys import is_for_a_key, refusal
from nbagents.notebook._variables import NotThereError, did_you_mean, find, holds_agent

__all__ = ["CHAT_HELP", "ChatArguments", "parse_cell", "parse_line"]


@dataclass(frozen=True)
class ChatArguments:
    """What the line of a chat cell asks for; None and False where it says nothing.

    Attributes:
        name: The variable that holds the agent to talk to.
        prompt: The prompt of a ``%chat`` line, as written.
        model: The model's name.
        system: Instructions to the model.
        temperature: How freely the model chooses words, 0 to 2.
        max_tokens: Where the reply ends at the latest.
        out: The variable to bind the result to.
        attach: The expressions whose values go along with the prompt.
        format: One of the formats of `--format`.
        schema: The variable that holds the pydantic model to ask for.
        fresh: Whether to start a new conversation.
        new: Whether to make an agent and bind it to ``name``.
        tools: The expressions of the functions that a new agent may call.
        buffer: How many messages a new agent remembers.
        no_stream: Whether to wait for the whole reply.
        raw: Whether the prompt goes out without filling in variables.
        budget: What the cell may cost, in US dollars.
        help: Whether the help was asked for, and nothing else is to be done.
    """

    name: str | None = None
    prompt: str = ""
    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    out: str | None = None
    attach: tuple[str, ...] = ()
    format: str | None = None
    schema: str | None = None
    fresh: bool = False
    new: bool = False
    tools: tuple[str, ...] = ()
    buffer: int | None = None
    no_stream: bool = False
    raw: bool = False
    budget: float | None = None
    help: bool = False


def parse_cell(line: str, namespace: Mapping[str, object] | None = None) -> ChatArguments:
    """Read the line of a ``%%chat`` cell: ``[NAME] [OPTIONS]``.

    Args:
        line: What follows ``%%chat``, as typed; IPython's own expansion of ``$`` and braces
            (which turns ``$5`` into ``5``) must be off.
        namespace: Variables for option values of the form ``{name}`` and ``$name``.

    Raises:
        ConfigurationError: The line holds what it may not; one line that says what to write.
    """
    return _Reader(line, namespace or {}).arguments(in_line=False)


def parse_line(line: str, namespace: Mapping[str, object] | None = None) -> ChatArguments:
    """Read a ``%chat`` line: ``[NAME] [OPTIONS]``, then the prompt, which is kept as typed.

    Args:
        line: What follows ``%chat``, as typed. Its first word is a name where the variable of
            that name holds an agent.
        namespace: Variables for option values of the form ``{name}`` and ``$name``.

    Raises:
        ConfigurationError: The options are wrong; one line that says what to write.
    """
    return _Reader(line, namespace or {}).arguments(in_line=True)


class _Reader:
    """Takes a line word by word."""

    def __init__(self, line: str, namespace: Mapping[str, object]) -> None:
        if holds_key(line):
            raise refusal()
        self._rest = line.strip()
        self._namespace = namespace

    def arguments(self, *, in_line: bool) -> ChatArguments:
        found: dict[str, Any] = {}
        while self._rest:
            if _is_option(self._rest):
                self._option(found, in_line)
            elif in_line and not self._begins_with_agent(found):
                found["prompt"] = re.sub(r"^--(?:\s+|$)", "", self._rest)
                break
            else:
                self._name(found)
            if found.get("help"):
                return ChatArguments(help=True)
        if "schema" in found and found.get("format", "json") != "json":
            raise ConfigurationError("--schema asks for JSON; leave --format out.")
        _check_new(found)
        return ChatArguments(**found)

    def _option(self, found: dict[str, Any], in_line: bool) -> None:
        name, equals = self._take(_OPTION)
        option = BY_NAME.get(name)
        if option is None:
            _unknown(name, in_line)
        if not option.value:
            if equals:
                raise ConfigurationError(f"{name} is a switch; write it without a value.")
            found[option.argument] = True
            return
        read = self._read(name, option)
        if option.argument in _LISTS:
            read = (*found.get(option.argument, ()), *read)
        found[option.argument] = read

    def _read(self, name: str, option: Option) -> Any:
        value = self._value(name, option)
        if option.argument in _LISTS:
            # "a, b" is one value.
            while value.endswith(",") or self._rest.startswith(","):
                value += self._comma()
                if not self._rest:
                    break
                value += self._value(name, option)
        elif option.argument != "system" and resembles_key(value):
            raise refusal()
        value = _fill(name, value, self._namespace)
        try:
            return option.read(value)
        except ValueError as error:
            if resembles_key(value):
                raise refusal() from None
            raise ConfigurationError(f"{name} takes {error}, not {value[:40]!r}.") from None

    def _value(self, name: str, option: Option) -> str:
        if not self._rest or _is_option(self._rest):
            raise ConfigurationError(f"{name} needs a value: {name} {option.value}.")
        if self._rest[0] in "'\"":
            return self._quoted(name, option)
        return self._word(_ITEMS if option.argument in _LISTS else _WORD)

    def _quoted(self, name: str, option: Option) -> str:
        # The quote that closes has a space or the end behind it, so that 'don't' is one value.
        quote = self._rest[0]
        quoted = (_QUOTED_ITEM if option.argument in _LISTS else _QUOTED)[quote]
        if not quoted.match(self._rest):
            raise ConfigurationError(f"The quote after {name} is never closed.")
        (text,) = self._take(quoted)
        return re.sub(r"\\([\\\"])", r"\1", text) if quote == '"' else text

    def _comma(self) -> str:
        if not self._rest.startswith(","):
            return ""
        self._take(_COMMA)
        return ","

    def _word(self, pattern: re.Pattern[str] | None = None) -> str:
        (word,) = self._take(pattern or _WORD)
        return word

    def _take(self, pattern: re.Pattern[str]) -> tuple[str, ...]:
        match = pattern.match(self._rest)
        assert match is not None
        self._rest = self._rest[match.end() :].lstrip()
        return match.groups()

    def _begins_with_agent(self, found: dict[str, Any]) -> bool:
        word = self._rest.split(maxsplit=1)[0]
        return "name" not in found and holds_agent(word, self._namespace)

    def _name(self, found: dict[str, Any]) -> None:
        word = self._word()
        if resembles_key(word) or is_for_a_key(word):
            raise refusal()
        if "name" in found or not word.isidentifier():
            raise ConfigurationError(
                f"{word[:40]!r} is out of place: the line takes one agent's name and options. "
                "Put the prompt on the lines below, or use %chat, with one %, for one line."
            )
        found["name"] = word


_OPTION = re.compile(r"([^\s=]+)(=?)")
_WORD = re.compile(r"(\S+)")
_ITEMS = re.compile(r"""((?:\['[^'\n]*'\]|\["[^"\n]*"\]|\S)+)""")
_COMMA = re.compile(",")
_LISTS = ("attach", "tools")

_QUOTED = {
    '"': re.compile(r'"((?:[^"\\]|\\.|"(?!\s|$))*)"(?=\s|$)'),
    "'": re.compile(r"'(.*?)'(?=\s|$)"),
}
# In a list a comma may be behind it as well.
_QUOTED_ITEM = {
    '"': re.compile(r'"((?:[^"\\]|\\.|"(?!\s|,|$))*)"(?=\s|,|$)'),
    "'": re.compile(r"'(.*?)'(?=\s|,|$)"),
}


def _is_option(text: str) -> bool:
    """Whether an option comes next, and not a negative number, a dash or ``--``."""
    return re.match(r"--?[^\W\d]", text) is not None


def _check_new(found: dict[str, Any]) -> None:
    if found.get("new"):
        if "name" not in found:
            raise ConfigurationError("--new needs a name for the agent: %%chat NAME --new.")
    elif "tools" in found or "buffer" in found:
        raise ConfigurationError("--tools and --buffer are for a new agent: %%chat NAME --new ...")


def _unknown(name: str, in_line: bool) -> NoReturn:
    if is_for_a_key(name) or resembles_key(name):
        raise refusal()
    hint = did_you_mean(name, BY_NAME) or "."
    hint += " %%chat? lists the options."
    if in_line:
        hint += " Options stand before the prompt; after -- everything is prompt."
    raise ConfigurationError(f"There is no option {name[:40]}{hint}")


def _fill(name: str, value: str, namespace: Mapping[str, object]) -> str:
    if value.startswith("$") and value[1:] in namespace:
        value = f"{{{value[1:]}}}"
    filled = expand(value, namespace)
    if not filled.filled and filled.lookalikes and value == f"{{{filled.lookalikes[0]}}}":
        try:
            find(filled.lookalikes[0], namespace)
        except NotThereError as error:
            raise ConfigurationError(f"{name} {value}: {error.told(namespace)}") from None
    return filled.text
