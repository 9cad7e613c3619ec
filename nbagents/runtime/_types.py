"""Types as handlers annotate them, and as notebooks redefine them."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from nbagents.errors import HandlerDefinitionError

__all__ = ["handled_types", "is_instance", "is_of", "same_class"]


def same_class(one: Any, other: Any) -> bool:
    """Whether two classes are one: the same, or one defined again under the same full name.

    A notebook cell that is run again, and a module that is reloaded, leave two classes of one
    name, and instances of both.
    """
    if one is other:
        return True
    return (
        isinstance(one, type)
        and isinstance(other, type)
        and one.__qualname__ == other.__qualname__
        and one.__module__ == other.__module__
    )


def is_of(value: object, types: tuple[Any, ...]) -> bool:
    """Whether the class of ``value`` is one of ``types``; subclasses are other classes."""
    own = type(value)
    return own in types or Any in types or any(same_class(own, kind) for kind in types)


def is_instance(value: object, wanted: type) -> bool:
    """As `isinstance`, where a class defined again counts as the same."""
    return isinstance(value, wanted) or any(
        same_class(base, wanted) for base in type(value).__mro__
    )


def handled_types(
    function: Callable[..., Any], message: str
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the types that a handler takes and returns, by its annotations.

    Args:
        function: The handler.
        message: The name of its parameter for the message.

    Raises:
        HandlerDefinitionError: An annotation is missing, or names no types.
    """
    name = function.__qualname__
    try:
        hints = get_type_hints(function)
    except NameError as error:
        raise HandlerDefinitionError(
            f"{name} is annotated with a name that is not known: {error}. Define it before, "
            "and at the top level if annotations are postponed."
        ) from error
    if message not in hints:
        raise HandlerDefinitionError(
            f"{name} does not say which messages it takes; annotate {message!r} with their type."
        )
    if "return" not in hints:
        raise HandlerDefinitionError(
            f"{name} does not say what it returns; annotate it, with '-> None' for nothing."
        )
    return _types_in(hints[message], name), _types_in(hints["return"], name)


def _types_in(annotation: Any, name: str) -> tuple[Any, ...]:
    alias = getattr(annotation, "__value__", None)
    if alias is not None:
        return _types_in(alias, name)
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return tuple(kind for part in get_args(annotation) for kind in _types_in(part, name))
    if origin is Literal:
        return tuple({type(value) for value in get_args(annotation)})
    if annotation is None:
        return (NoneType,)
    if annotation is Any or isinstance(annotation, type):
        return (annotation if origin is None else origin,)
    if isinstance(origin, type):
        return (origin,)
    raise HandlerDefinitionError(
        f"{name} is annotated with {annotation!r}; use a class, several joined by '|', or Any."
    )
