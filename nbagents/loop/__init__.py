"""nbagents' own event loop, in a thread, and what the thread that waits for it does meanwhile.

Knows neither models nor Jupyter: a script that runs an agent uses it just as a chat cell does.
"""

from nbagents.loop._calls import call_on_main, stands_still
from nbagents.loop._engine import Engine, engine
from nbagents.loop._interrupts import Interrupted, InterruptGuard
from nbagents.loop._pump import drive, run

__all__ = [
    "Engine",
    "InterruptGuard",
    "Interrupted",
    "call_on_main",
    "drive",
    "engine",
    "run",
    "stands_still",
]
