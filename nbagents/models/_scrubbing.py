"""Errors of the libraries below, cleaned of credentials before they become causes of ours.

A cause is shown by tracebacks, pickled by schedulers and walked by debuggers, and holds what the
server said, which may be the request. So its words are masked, what it carries of request and
response is copied without credentials, and the local variables of its frames are let go.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from nbagents.models._secrets import is_credential

__all__ = ["family", "scrub"]

_DEEPEST = 50  # of what an error says
# What other libraries' errors carry of a request, in forms of their own.
_OPAQUE = frozenset(
    {"_request", "request", "_response", "response"}
    | {"model", "inner_exception", "exc_value", "exc_traceback"}
)


def scrub(
    error: BaseException, hide: Callable[[str], str], outside: BaseException | None = None
) -> None:
    """Clean an error, and all that it was raised from or beside.

    Args:
        error: The error.
        hide: Masks credentials in a text.
        outside: What was being handled before: it and what is behind it are not ours to change.
    """
    for each in family(error, outside):
        with suppress(AttributeError, TypeError):  # some are made of stone
            each.args = tuple(_clean(part, hide) for part in each.args)
        for name, value in list(vars(each).items()):
            with suppress(AttributeError, TypeError):
                setattr(each, name, _cleaned(name, value, hide))
        if isinstance(each, UnicodeDecodeError):
            each.object = b""
        traceback.clear_frames(each.__traceback__)


def family(error: BaseException, outside: BaseException | None = None) -> Iterator[BaseException]:
    """An error, its causes, and what else was on the way when it was raised; each once."""
    seen = {id(outside)}
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        waiting += getattr(each, "exceptions", ())


def _cleaned(name: str, value: object, hide: Callable[[str], str]) -> object:
    try:
        return _copied(name, value, hide)
    except Exception:  # noqa: BLE001 - what cannot be cleaned, for whatever reason, is not kept
        return None


def _copied(name: str, value: Any, hide: Callable[[str], str]) -> Any:
    import httpx2

    if isinstance(value, httpx2.Response):
        return _response(value, hide)
    if isinstance(value, httpx2.Request):
        return _request(value, hide)
    if isinstance(value, str | bytes | dict | list | tuple):
        return _clean(value, hide)
    return None if name in _OPAQUE else value


def _response(response: Any, hide: Callable[[str], str]) -> Any:
    import httpx2

    try:
        said = response.content.decode("utf-8", "replace")
    except httpx2.StreamError:  # it was never read
        said = ""
    try:
        request = _request(response.request, hide)
    except RuntimeError:  # it answers none
        request = None
    headers = _headers(response.headers, hide)
    for name in ("content-encoding", "content-length", "transfer-encoding"):
        headers.pop(name, None)
    return httpx2.Response(
        response.status_code, headers=headers, content=hide(said).encode(), request=request
    )


def _request(request: Any, hide: Callable[[str], str]) -> Any:
    """The request without what it said: that is the conversation, which is at hand elsewhere."""
    import httpx2

    url = request.url.copy_with(username=None, password=None, query=None)
    return httpx2.Request(request.method, hide(str(url)), headers=_headers(request.headers, hide))


def _headers(headers: Any, hide: Callable[[str], str]) -> Any:
    import httpx2

    shown = {
        hide(name): "***" if is_credential(name) else hide(value) for name, value in headers.items()
    }
    return httpx2.Headers(shown, encoding="utf-8")  # what is no ASCII is sent all the same


def _clean(value: Any, hide: Callable[[str], str], depth: int = 0) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, bytes | bytearray):
        return hide(bytes(value).decode("utf-8", "replace")).encode()
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, dict):
        return {
            _clean(key, hide, depth + 1): _clean(part, hide, depth + 1)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        cleaned = [_clean(part, hide, depth + 1) for part in value]
        return cleaned if isinstance(value, list) else tuple(cleaned)
    return value
