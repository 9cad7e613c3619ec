"""Telling programs on this computer from web pages that are open in its browsers.

A browser lets any page send requests to 127.0.0.1, and read the answers where the page's own
name was made to point there (DNS rebinding). It says in ``Host`` which name it was asked for, and
in ``Origin`` whose page asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["foreign"]

_HERE = ("127.0.0.1", "localhost", "::1")
_LONGEST = 100  # characters of a name that are repeated


def foreign(headers: Mapping[str, str]) -> str | None:
    """Why a request is none of a program here, in words; None when there is nothing against it.

    Args:
        headers: Names in lower case.
    """
    for name, what, prefix in (("host", "for the host", "//"), ("origin", "by a page of", "")):
        given = headers.get(name)
        if given is not None and _host_of(prefix + given) not in _HERE:
            return f"{what} {given[:_LONGEST]!r}"
    return None


def _host_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
