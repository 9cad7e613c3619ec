"""nbagents in IPython and Jupyter: magics, the growing reply, the private event loop."""

from nbagents.notebook._extension import load, unload
from nbagents.notebook._interrupts import Interrupted
from nbagents.notebook._nested import allow_nested_asyncio
from nbagents.notebook._pump import run

__all__ = ["Interrupted", "allow_nested_asyncio", "load", "run", "unload"]
