"""A server's address, apart from the user and password that may stand in it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from nbagents._keys import Secret, resembles_key
from nbagents.errors import ConfigurationError
from nbagents.models._secrets import revealed

__all__ = ["Address", "hidden_url", "host_of", "proxy_credentials"]


class Address:
    """Where requests go, and who says so.

    Args:
        given: The address as it was given.
        name: The argument that it was given as.

    Attributes:
        url: The address, without user and password.
        credentials: What no message may show: the password, and the header that is made of it.

    Raises:
        ConfigurationError: It is no HTTP address, or has a query.
    """

    def __init__(self, given: object, name: str) -> None:
        parts = _split(revealed(given), name)
        self.url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self.credentials: list[Secret[str]] = []
        self._basic: Secret[str] | None = None
        if "@" in parts.netloc:
            letters, said = _said_in(parts.netloc.rpartition("@")[0])
            self._basic = Secret(f"Basic {letters}")
            self.credentials = [self._basic, *map(Secret, said)]

    def headers(
        self, headers: Secret[Mapping[str, str]] | None
    ) -> Secret[Mapping[str, str]] | None:
        """The headers to send: those given, and who asks, unless they say that themselves."""
        given = {} if headers is None else dict(headers.reveal())
        if self._basic is None or any(each.lower() == "authorization" for each in given):
            return headers
        return Secret({"Authorization": self._basic.reveal(), **given})


def hidden_url(given: object) -> object:
    """An address out of sight if there is a user or a query in it; any other as it is."""
    return Secret(given) if isinstance(given, str) and ("@" in given or "?" in given) else given


def host_of(url: str) -> str:
    """The host in an address, as it is written there, with its port; "" when there is none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def proxy_credentials() -> list[Secret[str]]:
    """The passwords in the addresses of proxies, which the environment says, well formed or not."""
    from urllib.request import getproxies

    users = (url.rpartition("@")[0].rpartition("://")[2] for url in getproxies().values())
    return [Secret(said) for user in {*users} if user for said in _said_in(user)[1]]


def _said_in(user: str) -> tuple[str, set[str]]:
    """A user and password as they are sent, and all the forms that no message may show."""
    name, _, password = map(unquote, user.partition(":"))
    letters = base64.b64encode(f"{name}:{password}".encode()).decode()
    said = {name if not password else "", password, user.partition(":")[2], letters}
    return letters, said - {""}


def _split(url: object, name: str) -> SplitResult:
    if not isinstance(url, str):
        raise ConfigurationError(f"{name} takes text, not {type(url).__name__}.")
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        hidden = "@" in url or "?" in url or resembles_key(url)
        shown = "" if hidden else f" is {url!r}, which"
        raise ConfigurationError(
            f"{name}{shown} is no HTTP address; give it as http://host:port/v1 or https://host/v1."
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(
            f"{name} ends in a query (what follows '?' or '#'), which would be lost; leave it out, "
            "and give what every request needs as default_query={...}."
        )
    return parts
