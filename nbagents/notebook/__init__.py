"""nbagents in IPython and Jupyter: magics, and replies that grow in their cell."""

from nbagents.notebook._extension import load, unload
from nbagents.notebook._nested import allow_nested_asyncio

__all__ = ["allow_nested_asyncio", "load", "unload"]
