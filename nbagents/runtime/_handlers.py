"""The decorators that make a method of a `RoutedAgent` a handler of messages."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from types import MethodType, NoneType
from typing import Any, Generic, Literal, TypeVar, overload

from nbagents.errors import CantHandleException, HandlerDefinitionError
from nbagents.runtime._message_context import MessageContext
from nbagents.runtime._types import handled_types, is_of

__all__ = ["MessageHandler", "event", "message_handler", "rpc"]

_log = logging.getLogger("nbagents.runtime")

AgentT = TypeVar("AgentT")
ReceivesT = TypeVar("ReceivesT")
ProducesT = TypeVar("ProducesT")
Method = Callable[[AgentT, ReceivesT, MessageContext], Coroutine[Any, Any, ProducesT]]
Match = Callable[[ReceivesT, MessageContext], bool]
Takes = Literal["all", "events", "requests"]


class MessageHandler(Generic[AgentT, ReceivesT, ProducesT]):
    """A method that handles messages of the types it is annotated with.

    It is an object, not a closure, so that ``%autoreload`` can put a new one in its place.

    Attributes:
        target_types: The types of message it takes.
        produces_types: The types of answer it gives.
    """

    is_message_handler: Literal[True] = True
    __name__: str
    __qualname__: str

    def __init__(
        self,
        function: Method[AgentT, ReceivesT, ProducesT],
        takes: Takes,
        strict: bool,
        match: Match[ReceivesT] | None,
    ) -> None:
        update_wrapper(self, function)
        self._function = function
        self._takes = takes
        self._strict = strict
        self._match = match
        parameters = list(inspect.signature(function).parameters)
        if len(parameters) != 3 or not inspect.iscoroutinefunction(function):
            raise HandlerDefinitionError(
                f"{self.__qualname__} must be 'async def' with self, message and ctx."
            )
        self.target_types, self.produces_types = handled_types(function, parameters[1])
        self._answers = (NoneType,) if takes == "events" else self.produces_types

    def router(self, message: ReceivesT, ctx: MessageContext) -> bool:
        """Whether it takes this message, which is of one of its types."""
        if self._takes != "all" and ctx.is_rpc is (self._takes == "events"):
            return False
        return self._match is None or self._match(message, ctx)

    def __get__(self, instance: AgentT | None, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    async def __call__(self, agent: AgentT, message: ReceivesT, ctx: MessageContext) -> ProducesT:
        if not is_of(message, self.target_types):
            problem = f"{self.__qualname__} does not take {type(message).__name__}"
            self._object(CantHandleException(f"{problem}; see its annotation."))
        answer = await self._function(agent, message, ctx)
        if not is_of(answer, self._answers):
            problem = f"{self.__qualname__} returned {type(answer).__name__}"
            self._object(HandlerDefinitionError(f"{problem}, which its annotation rules out."))
        return answer

    def _object(self, error: Exception) -> None:
        if self._strict:
            raise error
        _log.warning("%s", error)

    def __repr__(self) -> str:
        return f"<message handler {self.__qualname__}>"


Decorator = Callable[
    [Method[AgentT, ReceivesT, ProducesT]], MessageHandler[AgentT, ReceivesT, ProducesT]
]


def _handler(takes: Takes, func: Any, strict: bool, match: Any) -> Any:
    if func is None:
        return lambda function: MessageHandler(function, takes, strict, match)
    if not callable(func):
        raise HandlerDefinitionError(f"{func!r} is no method; write strict= and match= by name.")
    return MessageHandler(func, takes, strict, match)


@overload
def message_handler(
    func: Method[AgentT, ReceivesT, ProducesT],
) -> MessageHandler[AgentT, ReceivesT, ProducesT]: ...


@overload
def message_handler(
    func: None = None, *, strict: bool = ..., match: Match[ReceivesT] | None = ...
) -> Decorator[AgentT, ReceivesT, ProducesT]: ...


def message_handler(func: Any = None, *, strict: bool = True, match: Any = None) -> Any:
    """Make a method handle messages, sent and published, of the types it is annotated with.

    The method is ``async``, takes the message and a `MessageContext`, and says by annotation
    which types it takes and returns; several are joined by ``|``, and ``Any`` takes what no
    other handler does. Of several handlers that take a message the first by name is called.

    Args:
        func: The method, when the decorator stands without parentheses.
        strict: Whether an answer of another type is an error, or only logged.
        match: Asked with the message and its context, whether the method takes it.

    Raises:
        HandlerDefinitionError: An annotation or a parameter is missing, or it is not ``async``.
    """
    return _handler("all", func, strict, match)


@overload
def event(
    func: Method[AgentT, ReceivesT, None],
) -> MessageHandler[AgentT, ReceivesT, None]: ...


@overload
def event(
    func: None = None, *, strict: bool = ..., match: Match[ReceivesT] | None = ...
) -> Decorator[AgentT, ReceivesT, None]: ...


def event(func: Any = None, *, strict: bool = True, match: Any = None) -> Any:
    """Make a method handle published messages; as `message_handler`, but it returns None."""
    return _handler("events", func, strict, match)


@overload
def rpc(
    func: Method[AgentT, ReceivesT, ProducesT],
) -> MessageHandler[AgentT, ReceivesT, ProducesT]: ...


@overload
def rpc(
    func: None = None, *, strict: bool = ..., match: Match[ReceivesT] | None = ...
) -> Decorator[AgentT, ReceivesT, ProducesT]: ...


def rpc(func: Any = None, *, strict: bool = True, match: Any = None) -> Any:
    """Make a method handle sent messages, whose senders wait; as `message_handler`."""
    return _handler("requests", func, strict, match)
