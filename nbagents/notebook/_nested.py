"""``asyncio.run()`` in a cell, for people whose own code calls it.

The kernel's loop is running then, and asyncio refuses to run another inside. nest-asyncio and
its successor nest-asyncio2 patch asyncio so that it does. nbagents itself needs neither.
"""

from __future__ import annotations

import asyncio
import re
import sys
from importlib import import_module

from nbagents.errors import ConfigurationError

__all__ = ["allow_nested_asyncio", "choose_patch"]

Version = tuple[int, ...]
"""Empty: not there."""

# Tried with every minor version from ipykernel 6.31 to 7.4: four cells queued behind one that
# calls asyncio.run(). Where a patch fails, all four are gone, without a word.
SUCCESSOR_KEEPS_CELLS = (1, 7, 3)
ORIGINAL_LOSES_CELLS = (7, 1)
# It replaces the tasks written in C, and from 3.14 on asyncio no longer knows which one runs.
ORIGINAL_BREAKS_OPENAI = (3, 14)


def allow_nested_asyncio() -> None:
    """Let the code of cells call ``asyncio.run()`` and ``loop.run_until_complete()``.

    For code that is not yours to change: ``await`` in a cell and `nbagents.run` need no patch.
    It patches asyncio in the whole process, with nest-asyncio2 or else nest-asyncio, and lasts
    until the kernel is restarted. A second call does nothing.

    Raises:
        ConfigurationError: The patch at hand would lose the cells that wait behind a nested
            run, or break the openai SDK, or there is none.
    """
    import_module(
        choose_patch(
            python=sys.version_info[:2],
            ipykernel=_version("ipykernel") if "ipykernel" in sys.modules else (),
            original=_version("nest-asyncio"),
            successor=_version("nest-asyncio2"),
            applied=_applied(),
        )
    ).apply()


def choose_patch(
    *, python: Version, ipykernel: Version, original: Version, successor: Version, applied: str
) -> str:
    """Return the module that nests event loops without harm, given what is installed.

    Args:
        python: Python's version.
        ipykernel: That of the running kernel.
        original: nest-asyncio's.
        successor: nest-asyncio2's.
        applied: The module that has patched asyncio already, or nothing.

    Raises:
        ConfigurationError: There is none.
    """
    if successor >= SUCCESSOR_KEEPS_CELLS and applied != "nest_asyncio":
        return "nest_asyncio2"
    harm = _harm_of_original(python, ipykernel)
    if original and not harm and applied != "nest_asyncio2":
        return "nest_asyncio"
    raise ConfigurationError(
        f"{harm or 'Nothing that nests event loops is installed.'} "
        'Run %pip install "nest-asyncio2>=1.7.3", restart the kernel, and call '
        "allow_nested_asyncio() before anything else patches asyncio."
    )


def _harm_of_original(python: Version, ipykernel: Version) -> str:
    if python >= ORIGINAL_BREAKS_OPENAI:
        return f"On Python {_dotted(python)} nest-asyncio breaks every request to a model."
    if ipykernel >= ORIGINAL_LOSES_CELLS:
        return (
            f"With ipykernel {_dotted(ipykernel)} nest-asyncio, and nest-asyncio2 before 1.7.3, "
            "lose the cells that wait behind asyncio.run()."
        )
    return ""


def _version(distribution: str) -> Version:
    from importlib.metadata import PackageNotFoundError, version  # %load_ext does without

    try:
        return tuple(int(number) for number in re.findall(r"\d+", version(distribution))[:3])
    except PackageNotFoundError:
        return ()


def _applied() -> str:
    if not hasattr(asyncio, "_nest_patched"):
        return ""
    return "nest_asyncio2" if hasattr(asyncio, "_nest_asyncio2") else "nest_asyncio"


def _dotted(numbers: Version) -> str:
    return ".".join(map(str, numbers))
