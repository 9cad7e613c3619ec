"""Functions that give a key or token, asked before each request."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from nbagents.errors import AuthenticationError, ConfigurationError, NbAgentsError
from nbagents.models._secrets import Secret

__all__ = ["TokenProvider", "asked_aside"]

_REMEMBERED = 8

TokenProvider = Callable[[], "str | Awaitable[str]"]


def asked_aside(
    provider: TokenProvider, name: str, advice: str, given: list[Secret[str]]
) -> Callable[[], Awaitable[str]]:
    """Make a coroutine function of ``provider`` that never blocks the event loop.

    Args:
        provider: A function, asked in a thread, or a coroutine function.
        name: The argument it was given as, for errors.
        advice: What to do when it fails.
        given: Where tokens are noted, so that no error shows one.

    Raises:
        ConfigurationError: ``provider`` is no function.
        AuthenticationError: (when called) The provider failed, or gave no token.
    """
    if not callable(provider):
        raise ConfigurationError(f"{name} takes a function, not {type(provider).__name__}.")

    async def ask() -> str:
        try:
            said: Any = provider() if _is_async(provider) else await asyncio.to_thread(provider)
            token = await said if inspect.isawaitable(said) else said
        except NbAgentsError:
            raise
        except Exception as error:
            words = f"{type(error).__name__}: {' '.join(str(error).split())[:220]}"
            raise AuthenticationError(f"{name} failed: {words} {advice}") from error
        if not isinstance(token, str) or not token.strip():
            raise AuthenticationError(f"{name} gave no token. {advice}")
        token = token.strip()
        if not token.isascii() or not token.isprintable():
            raise AuthenticationError(f"{name} gave what no HTTP header can carry. {advice}")
        if all(token != known.reveal() for known in given):
            given.append(Secret(token))
            del given[_REMEMBERED:-_REMEMBERED]  # what stands first was given with the client
        return token

    return ask


def _is_async(provider: TokenProvider) -> bool:
    return inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(
        getattr(provider, "__call__", None)  # noqa: B004 - an object with an async __call__
    )
