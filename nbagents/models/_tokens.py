"""Keys and tokens that somebody gives when asked, before each request: a function, a credential."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from nbagents._keys import Secret
from nbagents._waits import waiting_for
from nbagents.errors import AuthenticationError, ConfigurationError, NbAgentsError
from nbagents.models._logs import redact_logs

__all__ = ["Credential", "TokenProvider", "Tokens"]

_REMEMBERED = 8
_BEFORE_THE_END = 300.0  # seconds, as in azure-core
_PATIENCE = 1.0
"""Seconds without a token before it is said that one is waited for."""

TokenProvider: TypeAlias = Callable[[], "str | Awaitable[str]"]
Advice: TypeAlias = Callable[[str], str]


class Credential(Protocol):
    """What azure-identity calls a credential; those of ``azure.identity.aio`` are too."""

    @property
    def get_token(self) -> Callable[..., Any]:
        """Called with a scope, and ``claims=`` when it must look into no cache."""


# The token that the running request was sent with.
_sent: contextvars.ContextVar[str] = contextvars.ContextVar("nbagents_token", default="")


class Tokens:
    """Asks for tokens, and never blocks the event loop.

    Args:
        source: A function, asked in a thread of its own unless it is a coroutine function; or a
            credential of azure-identity.
        name: The argument it was given as, for errors.
        advice: What to do when it fails, by what it said then.
        given: Where tokens are noted, so that no error shows one.
        scope: What a credential is asked for.

    Raises:
        ConfigurationError: ``source`` is none of these.
    """

    def __init__(
        self, source: Any, name: str, advice: Advice, given: list[Secret[str]], scope: str = ""
    ) -> None:
        get_token = getattr(source, "get_token", None) if scope else None
        if get_token is None and not callable(source):
            what = "a function or a credential" if scope else "a function"
            raise ConfigurationError(f"{name} takes {what}, not {type(source).__name__}.")
        redact_logs()  # those of the library that the credential is of, too
        self._ask: Callable[..., Any] = get_token or source
        self._scopes = (scope,) if get_token else ()
        self._name = name
        self._advice = advice
        self._given = given
        self._newest = Secret("")
        self._fresh_until = 0.0
        self._asking: _Questions = WeakKeyDictionary()
        self._renewing: _Questions = WeakKeyDictionary()

    async def __call__(self) -> str:
        """The token for a request.

        Raises:
            AuthenticationError: There is none.
        """
        token = await self._token()
        _sent.set(token)
        return token

    async def renewed(self) -> bool:
        """Whether there is another token than the one that the running request was sent with."""
        sent = _sent.get()
        if self._newest.reveal() != sent:  # by another request, that was refused before
            return True
        return await self._token(renew=bool(self._scopes)) != sent

    async def _token(self, *, renew: bool = False) -> str:
        if not renew and time.time() < self._fresh_until:
            return self._newest.reveal()
        try:
            answer = await self._answer(renew=renew)
        except NbAgentsError:
            raise
        except Exception as error:
            words = f"{type(error).__name__}: {' '.join(str(error).split())[:220]}"
            raise self._failed(f"failed: {words}", f"{words} {error}") from error
        token = self._token_in(answer)
        self._newest = Secret(token)
        self._fresh_until = _fresh_until(answer) if self._scopes else 0.0
        if all(token != known.reveal() for known in self._given):
            self._given.append(self._newest)
            del self._given[_REMEMBERED:-_REMEMBERED]  # what stands first was given by the user
        return token

    def _token_in(self, answer: Any) -> str:
        given = getattr(answer, "token", answer) if self._scopes else answer
        token = given.strip() if isinstance(given, str) else ""
        if not token:
            raise self._failed("gave no token.")
        if not token.isascii() or not token.isprintable():
            raise self._failed("gave what no HTTP header can carry.")
        return token

    async def _answer(self, *, renew: bool) -> Any:
        claims = {"claims": _NOT_BEFORE % time.time()} if renew else {}
        if _is_async(self._ask):
            return await self._ask(*self._scopes, **claims)
        under_way = self._renewing if renew else self._asking
        said, error = await self._shared(under_way, lambda: self._ask(*self._scopes, **claims))
        if error is not None:
            raise error
        return await said if inspect.isawaitable(said) else said

    async def _shared(self, under_way: _Questions, ask: Callable[[], Any]) -> _Answer:
        """Ask in a thread; who asks meanwhile gets the same answer, and a renewal is one."""
        loop = asyncio.get_running_loop()
        question = under_way.get(loop)
        if question is None:
            question = under_way[loop] = _Question(_in_thread(ask))
        question.waiting += 1
        try:
            await asyncio.wait([question.answer], timeout=_PATIENCE)
            if not question.answer.done():
                with waiting_for(f"a token from {self._name}"):
                    await asyncio.wait([question.answer])
            return question.answer.result()
        finally:
            question.waiting -= 1
            # What nobody waits for any more, an interrupted one that hangs, is not joined.
            if not question.waiting and under_way.get(loop) is question:
                del under_way[loop]

    def _failed(self, what: str, said: str = "") -> AuthenticationError:
        return AuthenticationError(f"{self._name} {what} {self._advice(said)}")


_Answer: TypeAlias = tuple[Any, BaseException | None]


class _Question:
    """One that is being asked, and how many wait for its answer."""

    def __init__(self, answer: asyncio.Future[_Answer]) -> None:
        self.answer = answer
        self.waiting = 0


_Questions: TypeAlias = WeakKeyDictionary[asyncio.AbstractEventLoop, _Question]


def _fresh_until(token: Any) -> float:
    """Until when a token of a credential is used: not all credentials keep theirs."""
    expires = float(getattr(token, "expires_on", 0))
    return float(getattr(token, "refresh_on", None) or expires - _BEFORE_THE_END)


# What a service asks for that takes no older token (Microsoft: "claims challenge"): with it, the
# credential looks into no cache.
_NOT_BEFORE = '{"access_token":{"nbf":{"essential":true,"value":"%d"}}}'


def _in_thread(function: Callable[[], Any]) -> asyncio.Future[_Answer]:
    """Call ``function`` in a thread that nothing waits for at the end, not even Python.

    A pool's few threads would soon all hang in a service that does not answer.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Answer] = loop.create_future()
    context = contextvars.copy_context()

    def settle(said: Any, error: BaseException | None) -> None:
        if not future.done():
            future.set_result((said, error))

    def work() -> None:
        said, error = None, None
        try:
            said = context.run(function)
        except BaseException as failure:  # noqa: BLE001  # it is raised where it is awaited
            error = failure
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, said, error)

    threading.Thread(target=work, name="nbagents-token", daemon=True).start()
    return future


def _is_async(provider: Any) -> bool:
    return inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(
        getattr(provider, "__call__", None)  # noqa: B004 - an object with an async __call__
    )
