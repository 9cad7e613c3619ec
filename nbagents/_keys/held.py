"""Secrets that a client was given, out of sight, and all that the process holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar
from weakref import WeakSet

from nbagents._keys.forms import forms_of
from nbagents._keys.mask import Mask
from nbagents.errors import ConfigurationError

__all__ = [
    "EnvironmentSecret",
    "Secret",
    "StandIn",
    "clean",
    "known_mask",
    "known_words",
    "mask_of",
]

T = TypeVar("T")

LookedFor: TypeAlias = Callable[[str], bool]

_REMEMBERED = 4  # values of a variable: requests may be under way that were sent with an older one


class Secret(Generic[T]):
    """Holds a value out of sight: of ``repr``, ``vars``, ``copy`` and dumps. Pickle is refused.

    Args:
        value: What to hold.
    """

    __slots__ = ("__weakref__", "_forms", "_reveal")

    def __init__(self, value: T) -> None:
        # Closures: whoever walks attributes finds functions, not the value.
        self._reveal: Callable[[], T] = lambda: value
        self._forms = cache(lambda: forms_of(str(value)))
        _alive.add(self)

    def reveal(self) -> T:
        """The value."""
        return self._reveal()

    def current(self) -> T:
        """The value to send now."""
        return self.reveal()

    def forms(self, looked_for: LookedFor) -> Iterable[str]:
        """How it may stand in a text; nothing where it is not looked for, see `lengths`."""
        value = self.reveal()
        return self._forms() if isinstance(value, str) and looked_for(value) else ()

    def __repr__(self) -> str:
        return "Secret(...)"

    def __copy__(self) -> Secret[T]:
        return self

    def __deepcopy__(self, memo: object) -> Secret[T]:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        _refuse()


class StandIn(Secret[str]):
    """What is sent where no secret is needed. It is none, and is pickled as None."""

    __slots__ = ()

    def __init__(self, value: str) -> None:
        self._reveal = lambda: value

    def forms(self, looked_for: LookedFor) -> Iterable[str]:
        """None: it may stand anywhere."""
        return ()

    def __reduce__(self) -> tuple[Any, ...]:
        return _nothing, ()


class EnvironmentSecret(Secret[str]):
    """What an environment variable holds, and may hold anew while the process runs.

    It is pickled as the variable's name, and read anew where it is loaded.

    Args:
        variable: The variable.
        server: The variable that says where the value is sent. When that changes, the value is
            read no more: it may be of another server by then, and no business of the first.

    Attributes:
        variable: The variable.

    Raises:
        ConfigurationError: It is not set, or holds what no HTTP header can carry.
    """

    __slots__ = ("_held", "_place", "_server", "variable")

    def __init__(self, variable: str, server: str = "") -> None:
        value = clean(os.environ.get(variable, ""), variable)
        if not value:
            raise ConfigurationError(
                f"The key is to be read from {variable}, which is not set here; set it, and make "
                "or load the client again."
            )
        self.variable = variable
        self._server = server
        self._place = _digest(server)
        self._held: tuple[Secret[str], ...] = (Secret(value),)

    def reveal(self) -> str:
        """The value that was read last."""
        return self._held[0].reveal()

    def current(self) -> str:
        """The value that is set now; the last one, when none is.

        Raises:
            ConfigurationError: It holds what no HTTP header can carry.
        """
        value = clean(os.environ.get(self.variable, ""), self.variable)
        if value and value != self.reveal() and _digest(self._server) == self._place:
            self._held = (Secret(value), *self._held)[:_REMEMBERED]
        return self.reveal()

    def forms(self, looked_for: LookedFor) -> Iterable[str]:
        """Those of the values that it had before, too."""
        return [form for each in self._held for form in each.forms(looked_for)]

    def __repr__(self) -> str:
        return f"Secret({self.variable})"

    def __reduce__(self) -> tuple[Any, ...]:
        return EnvironmentSecret, (self.variable, self._server)


_alive: WeakSet[Secret[Any]] = WeakSet()


def known_words(looked_for: LookedFor) -> list[str]:
    """The keys and tokens that the process holds at this time and that are looked for."""
    values = dict.fromkeys(each.reveal() for each in _known() if isinstance(each.reveal(), str))
    return [word for word in values if looked_for(word)]


def known_mask(looked_for: LookedFor) -> Mask:
    """A mask of them."""
    return mask_of(_known(), looked_for)


def mask_of(secrets: Iterable[Secret[Any]], looked_for: LookedFor) -> Mask:
    """A mask of those secrets that are looked for."""
    return Mask(form for secret in secrets for form in secret.forms(looked_for))


def _known() -> list[Secret[Any]]:
    # Without a lock: errors are masked, and one may be raised where garbage is collected, so while
    # this thread has it; or in a child, which was forked while another one had it.
    while True:
        try:
            return list(_alive)
        except RecursionError:
            raise
        except RuntimeError:  # one was added meanwhile
            continue


def clean(key: str, source: str) -> str:
    """A key without the white space around it.

    Raises:
        ConfigurationError: It holds what no HTTP header can carry.
    """
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"The key from {source} holds white space or characters that no key has; copy it again "
            "without quotes or line breaks."
        )
    return key


def _digest(variable: str) -> int:
    """A number for what a variable holds, which may be a password too."""
    return hash(os.environ.get(variable)) if variable else 0


def _refuse() -> NoReturn:
    raise ConfigurationError(
        "A client that was given a key, a token or headers is not pickled, so that they are "
        "written nowhere; keep the key in an environment variable such as OPENAI_API_KEY, or make "
        "the client where it is used."
    )


def _nothing() -> None:
    return None
