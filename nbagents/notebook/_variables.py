"""What a name that is written in a cell stands for in the kernel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from nbagents._keys import named_like_secret
from nbagents.errors import ConfigurationError
from nbagents.notebook._description import first_line, instance

__all__ = [
    "EXPRESSION",
    "NotThereError",
    "did_you_mean",
    "find",
    "holds_agent",
    "refuse_secret",
    "user_variables",
]

_NAME = r"[^\W\d]\w*"
_INTEGER = r"-?[0-9]{1,18}"
_QUOTED = r"""'[^'{}\n]*'|"[^"{}\n]*\""""
_SUBSCRIPT = rf"\[(?:{_INTEGER}|(?:{_INTEGER})?:(?:{_INTEGER})?|{_QUOTED}|{_NAME})\]"

EXPRESSION = rf"{_NAME}(?:\.{_NAME}|{_SUBSCRIPT})*"
"""The pattern of ``name``, ``name.attribute`` and ``name[...]``, in any number.

Within the brackets stands an integer, a slice of integers, a quoted string or a variable, as in
an f-string. Nothing is called or computed.
"""

_WHOLE = re.compile(EXPRESSION)
_STEP = re.compile(rf"\.(?P<attribute>{_NAME})|\[(?P<subscript>{_QUOTED}|[^\]]*)\]")
_FIRST = re.compile(_NAME)
_NO_VARIABLE = "there is no such variable"
_PART = re.compile(r"(?:\[[-0-9:]+\])+$")


class NotThereError(LookupError):
    """The kernel has no such variable, or the variable no such attribute or item.

    Attributes:
        reason: What is missing: ``there is no such variable``, ``df has no attribute x``.
        variable: The variable that is missing; empty if it is something else.
    """

    def __init__(self, reason: str, variable: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.variable = variable

    def told(self, namespace: Mapping[str, object], advice: str = ".") -> str:
        """Say what is missing, and which variable may be meant, or else the advice."""
        if not self.variable:
            return f"{self.reason}."
        hint = did_you_mean(self.variable, namespace) or advice
        return f"there is no variable {self.variable}{hint}"


def find(expression: str, namespace: Mapping[str, object]) -> object:
    """Return the value of an expression of the form of `EXPRESSION`.

    Raises:
        NotThereError: There is no such variable, attribute or item.
        ConfigurationError: Looking it up raised, as a property may.
    """
    first = _FIRST.match(expression)
    if first is None or not _WHOLE.fullmatch(expression):
        raise NotThereError(_NO_VARIABLE, expression)
    if _is_dunder(first.group()) or first.group() not in namespace:
        raise NotThereError(_NO_VARIABLE, first.group())
    value = namespace[first.group()]
    for step in _STEP.finditer(expression, first.end()):
        value = _step(value, step, expression, namespace)
    return value


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean X?"`` for the nearest of the known words; empty if none is near."""
    names = {each.lstrip("-"): each for each in known}  # what all have in common is no likeness
    nearest = get_close_matches(word.lstrip("-"), names, n=1)
    return f"; did you mean {names[nearest[0]]}?" if nearest else ""


def holds_agent(name: str, namespace: Mapping[str, object]) -> bool:
    """Whether the variable of that name holds an agent."""
    if name not in namespace:
        return False
    from nbagents.agents import ChatAgent  # not at the top: loading the extension is for free

    return isinstance(namespace[name], ChatAgent)


def user_variables(
    namespace: Mapping[str, object], hidden: Mapping[str, object]
) -> dict[str, object]:
    """Return what the user has bound: the namespace without what IPython put there.

    Args:
        namespace: The shell's ``user_ns``.
        hidden: The shell's ``user_ns_hidden``; a name that was bound anew is the user's.
    """
    ours = object()
    return {
        name: value
        for name, value in namespace.items()
        if hidden.get(name, ours) is not value and not _is_dunder(name)
    }


def refuse_secret(expression: str, value: object) -> None:
    """Raise where a value is, by its variable's name, a password or key.

    Raises:
        ConfigurationError: It is.
    """
    whole = _PART.sub("", expression)  # `password[:]` is one too
    name = re.split(r"[.\[]", whole.rstrip("'\"]"))[-1].strip("'\"")
    if named_like_secret(name) and instance(value, (str, bytes)):
        raise ConfigurationError(
            f"{expression} is by its name a secret, so nothing was sent; if it is none, give it "
            "another name."
        )


def _step(
    value: object, step: re.Match[str], expression: str, namespace: Mapping[str, object]
) -> object:
    attribute = step["attribute"]
    try:
        if attribute is None:
            return _item(value, step["subscript"], namespace, expression[: step.start()])
        return _attribute(value, attribute, expression[: step.start()])
    except (NotThereError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit too: it would end the cell without a word
        raise ConfigurationError(
            f"Reading {expression} raised {type(error).__name__}: {first_line(error)}; nothing was "
            "sent."
        ) from error


def _attribute(value: object, name: str, before: str) -> object:
    if _is_dunder(name):
        raise NotThereError(f"{name} is not looked up")
    try:
        return getattr(value, name)
    except AttributeError:
        # A property of that name exists, and failed inside.
        if name in dir(type(value)):
            raise
        raise NotThereError(f"{before} has no attribute {name}") from None


def _item(value: object, subscript: str, namespace: Mapping[str, object], before: str) -> object:
    key = _key(subscript, namespace)
    try:
        # A defaultdict would put the missing key in: reading a prompt changes nothing.
        if hasattr(type(value), "__missing__") and key not in value:  # type: ignore[operator]
            raise KeyError(key)
        return value[key]  # type: ignore[index]
    except (LookupError, TypeError):
        raise NotThereError(f"{before} has no item {subscript}") from None


def _key(subscript: str, namespace: Mapping[str, object]) -> object:
    if subscript[0] in "'\"":
        return subscript[1:-1]
    if ":" in subscript:
        return slice(*(int(part) if part else None for part in subscript.split(":")))
    if re.fullmatch(_INTEGER, subscript):
        return int(subscript)
    if subscript not in namespace:
        raise NotThereError(f"there is no variable {subscript}", subscript)
    return namespace[subscript]


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
