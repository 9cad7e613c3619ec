"""The kernel's variables in a panel: completed behind ``@``, and attached to a prompt."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nbagents._keys import named_like_secret
from nbagents.errors import ConfigurationError
from nbagents.notebook._variables import user_variables

if TYPE_CHECKING:
    from nbagents.notebook._attach import Attachments

__all__ = [
    "attached",
    "check_names",
    "left_out_mentions",
    "mentions",
    "unknown_mentions",
    "variables",
]

_OFFERED = 50
_NOTED = 5
# Not in an address (ada@example.org, @scope/package) and not in code, where decorators begin so.
_MENTION = re.compile(r"(?<![\w@.\\])@([^\W\d]\w*)(?![\w/@-])")
_CODE = re.compile(r"(`{3,}|~{3,}).*?(?:\1|\Z)|(`+)[^`].*?\2", re.DOTALL)
_TABLES = {("pandas", "DataFrame"), ("pandas", "Series"), ("numpy", "ndarray")}
_SIZED = (str, bytes, list, tuple, dict, set, frozenset)


def variables() -> dict[str, object]:
    """What the user has bound: in IPython's namespace, or in ``__main__`` where there is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return dict(vars(sys.modules["__main__"]))
    # Copied at once: a cell may bind names while we look.
    return user_variables(dict(shell.user_ns), dict(shell.user_ns_hidden))


def mentions(prefix: str, namespace: Mapping[str, object]) -> list[dict[str, str]]:
    """The variables that begin with ``prefix``, each with a word on what it is.

    Modules, functions and classes come last, private names only where they are asked for.
    Nothing of the user's code is run for it.
    """
    found = [
        (_is_code(value), name.casefold(), name, value)
        for name, value in namespace.items()
        if name.casefold().startswith(prefix.casefold())
        and (prefix.startswith("_") or not name.startswith("_"))
        and not named_like_secret(name)
    ]
    found.sort(key=lambda each: each[:3])
    return [{"name": name, "type": _label(value)} for _, _, name, value in found[:_OFFERED]]


def unknown_mentions(text: str) -> list[str]:
    """A note for each of the names behind an ``@`` that the kernel does not have; for five."""
    if not (found := _names(text)):
        return []
    known = {*variables(), *vars(builtins)}
    unknown = [name for name in found if name not in known]
    return [f"@{name}: no such variable; sent as text" for name in unknown[:_NOTED]]


def left_out_mentions(text: str, attached: Sequence[str]) -> list[str]:
    """A note for each variable behind an ``@`` that was pasted, say, and not attached; for five."""
    if not (found := _names(text)):
        return []
    there, taken = variables(), {re.split(r"[.\[]", name)[0] for name in attached}
    named = [name for name in found if name in there and not _is_code(there[name])]
    left_out = [name for name in named if name not in taken]
    return [
        f"@{name}: sent as text; to attach it, type @ and choose it" for name in left_out[:_NOTED]
    ]


def attached(names: Sequence[str], namespace: Mapping[str, object], *, vision: bool) -> Attachments:
    """What of the variables goes along with a prompt; see `attach`.

    Raises:
        ConfigurationError: A name is unknown, a secret, or a picture for a model without vision.
    """
    from nbagents.notebook._attach import attach

    with _without_options():
        return attach(names, namespace, vision=vision)


def check_names(names: Sequence[str], namespace: Mapping[str, object]) -> None:
    """Raise where something is to be attached that is not there, or a secret.

    Raises:
        ConfigurationError: It says what.
    """
    from nbagents.notebook._attach import look_up

    with _without_options():
        for name in names:
            look_up(name, namespace)


@contextmanager
def _without_options() -> Iterator[None]:
    """Say what is wrong in words for a panel, which has no command line."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(_as_typed(str(error))) from error


def _as_typed(words: str) -> str:
    # Only at its ends: between them stands what the user has typed.
    words = re.sub(r" by -m(?=, or leave it out\.$)", "", words)
    words = re.sub(r"^--with: there", "There", words).removeprefix("--with: ")
    return re.sub(r"^--with ", "@", words)


def _names(text: str) -> list[str]:
    return [*dict.fromkeys(_MENTION.findall(_CODE.sub(" ", text)))] if "@" in text else []


def _is_code(value: object) -> bool:
    return issubclass(type(value), type) or callable(value) or type(value).__name__ == "module"


def _is_table(value: object) -> bool:
    # By its type alone: `isinstance` would ask the object, and have a proxy fetch what it is for.
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(value).__mro__}
    return not kinds.isdisjoint(_TABLES)


def _label(value: object) -> str:
    name = type(value).__name__
    if _is_table(value):
        shape: tuple[int, ...] = value.shape  # type: ignore[attr-defined]
        return f"{name} {' x '.join(f'{length:,}' for length in shape)}"
    if type(value) in _SIZED:
        return f"{name}, {len(value):,}"  # type: ignore[arg-type]
    return name
