"""What ``%load_ext nbagents`` puts into a shell, and how ``%unload_ext`` takes it out again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from IPython.core.magic import Magics

from nbagents._hooks import lend
from nbagents.loop import call_on_main
from nbagents.notebook._asking import ask_person
from nbagents.notebook._cassette import CassetteMagics
from nbagents.notebook._completion import install_completer
from nbagents.notebook._heartbeat import keep_interruptible
from nbagents.notebook._lines import install_lines
from nbagents.notebook._magics import ChatMagics
from nbagents.notebook._outputs import watch_outputs
from nbagents.notebook._unawaited import show_unawaited
from nbagents.usage import Whereabouts, set_budget, set_whereabouts

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load", "unload"]

_loaded: WeakKeyDictionary[InteractiveShell, list[Callable[[], None]]] = WeakKeyDictionary()

# In this order: what the first %%chat needs soonest comes first.
_PREFETCHED = ("nbagents.notebook._turn", "nbagents.agents")


def load(shell: InteractiveShell) -> None:
    """Add the magics to ``shell``; a second time does nothing."""
    if shell in _loaded:
        return
    magics = ChatMagics(shell)
    cassettes = CassetteMagics(shell)
    shell.register_magics(magics, cassettes)
    _loaded[shell] = [
        lambda: _take_out(shell, magics),
        lambda: _take_out(shell, cassettes),
        cassettes.take_out,
        install_completer(shell),
        install_lines(shell),
        watch_outputs(shell),
        show_unawaited(shell),
        keep_interruptible(shell),
        set_whereabouts(lambda: Whereabouts(cell=shell.displayhook.prompt_count)),
        lambda: set_budget(None),
        lend(ask=ask_person, call=call_on_main),
    ]
    threading.Thread(target=_prefetch, name="nbagents-prefetch", daemon=True).start()


def unload(shell: InteractiveShell) -> None:
    """Take everything away that `load` added."""
    for undo in _loaded.pop(shell, []):
        undo()


def _take_out(shell: InteractiveShell, magics: Magics) -> None:
    for kind, functions in magics.magics.items():
        for name in functions:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.magics_manager.registry.pop(type(magics).__name__, None)
    configurables: Any = shell.configurables
    with suppress(ValueError):
        configurables.remove(magics)


def _prefetch() -> None:
    """Import what the first ``%%chat`` needs while the person still types it."""
    for name in _PREFETCHED:
        # Whoever needs the module gets the same error, where it can be read.
        with suppress(Exception):
            import_module(name)
    with suppress(Exception):
        from nbagents.models._connections import import_sdk

        import_sdk()
