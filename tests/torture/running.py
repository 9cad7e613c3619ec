"""Finding the trials."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from tests.torture import trials
from tests.torture.figures import Trial

__all__ = ["UNTIMED", "names", "trial_named"]

UNTIMED = frozenset({"cassettes", "json_files", "kept", "secrets"})
"""Those of whose figures none depends on what else the machine does meanwhile."""


def names() -> list[str]:
    """The trials there are."""
    return [module.name for module in iter_modules(trials.__path__)]


def trial_named(name: str) -> Trial:
    """One of them.

    Raises:
        ModuleNotFoundError: There is none of that name.
    """
    found: Trial = import_module(f"{trials.__name__}.{name}").trial
    return found
