"""An agent whose methods are chosen by the type of the message."""

from __future__ import annotations

import logging
from typing import Any

from nbagents.runtime._agents import BaseAgent
from nbagents.runtime._handlers import MessageHandler
from nbagents.runtime._message_context import MessageContext
from nbagents.runtime._types import same_class

__all__ = ["RoutedAgent"]

_log = logging.getLogger("nbagents.runtime")

Handlers = tuple[MessageHandler[Any, Any, Any], ...]


class RoutedAgent(BaseAgent):
    """An agent that hands each message to the method that is annotated with its type.

    Decorate methods with `message_handler`, `event` or `rpc`. A class that a notebook cell or
    ``%autoreload`` defines again counts as the same, for messages and for the agent's own.

    Args:
        description: What the agent does, for its metadata.
    """

    # By class, since agents are many, and looked at again when a handler was replaced.
    _routes: dict[type, Handlers]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._routes = {}

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        """Hand the message to its handler."""
        for handler in self._handlers_for(type(message)):
            if handler.router(message, ctx):
                return await handler(self, message, ctx)
        return await self.on_unhandled_message(message, ctx)

    async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> None:
        """Called with a message that no handler takes: logs it; a warning if a sender waits."""
        level = logging.WARNING if ctx.is_rpc else logging.INFO
        _log.log(level, "%s has no handler for %s.", self.id, type(message).__name__)

    @classmethod
    def _handlers_for(cls, kind: type) -> Handlers:
        handlers = cls._routes.get(kind)
        if handlers is not None:
            for handler in handlers:
                if getattr(cls, handler.__name__, None) is not handler:
                    break
            else:
                return handlers
        handlers = cls._routes[kind] = cls._discover(kind)
        return handlers

    @classmethod
    def _discover(cls, kind: type) -> Handlers:
        found = [getattr(cls, name, None) for name in dir(cls)]
        handlers = [handler for handler in found if isinstance(handler, MessageHandler)]
        exact = [one for one in handlers if kind in one.target_types]
        again = [one for one in handlers if any(same_class(kind, t) for t in one.target_types)]
        rest = [one for one in handlers if Any in one.target_types]
        return (*(exact or again), *rest)
