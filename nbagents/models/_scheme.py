"""``https://`` where a server speaks plain HTTP, and ``http://`` where it speaks TLS."""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nbagents.errors import APIConnectionError
from nbagents.models._requests import is_loopback
from nbagents.models._scrubbing import family

if TYPE_CHECKING:
    import httpx2

__all__ = ["check_tls", "proxied", "tls_failure", "wants_tls"]

# OpenSSL's reasons, when what came is no TLS; they differ from version to version.
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST|UNKNOWN_PROTOCOL")
# What nginx, Go and Apache say, each in words of its own.
_WANTS_TLS = re.compile(r"to (?:an )?HTTPS (?:port|server)|to an SSL-enabled server", re.IGNORECASE)
_PATIENCE = 0.5  # seconds for an answer; the time to connect has passed already


async def check_tls(error: BaseException, url: httpx2.URL, *, in_handshake: bool) -> None:
    """Tell a failure that no repetition would change; any other goes on as it is.

    Args:
        error: What came of an attempt.
        url: Where it went.
        in_handshake: Whether the server had been reached, and TLS had not come about.

    Raises:
        APIConnectionError: The server speaks plain HTTP, or has a certificate that is not trusted.
    """
    if not isinstance(error, Exception):  # cancelled
        return
    address = str(url)
    told = tls_failure(error, address)
    # Some servers wait for the end of a line, which never comes in the beginning of TLS.
    if in_handshake and _is_late(error) and not proxied(address):
        told = _no_tls(address) if await _answers_plain_http(url.host, url.port or 443) else None
    if told is not None:
        raise told from error


def tls_failure(error: BaseException, url: str) -> APIConnectionError | None:
    """What is wrong, where TLS certainly cannot come about."""
    for each in family(error):
        if _NO_TLS.search(str(each)):
            return _no_tls(url)
        if isinstance(each, ssl.SSLCertVerificationError):
            return APIConnectionError(
                f"{_host(url)} cannot be trusted: {each.verify_message or each} (CERTIFICATE_VERIFY"
                "_FAILED). Check base_url; for a certificate of one's own set SSL_CERT_FILE."
            )
    return None


def wants_tls(said: str) -> bool:
    """Whether a server that was asked without TLS says that this was the mistake."""
    return _WANTS_TLS.search(said) is not None


def proxied(url: str) -> bool:
    """Whether a proxy may stand before the server, so that what is said may be its word."""
    from urllib.request import getproxies

    return not is_loopback(url) and not {"http", "https", "all"}.isdisjoint(getproxies())


def _no_tls(url: str) -> APIConnectionError:
    host = _host(url)
    if proxied(url):
        return APIConnectionError(
            f"{host}, or the proxy before it, speaks plain HTTP, not TLS. Begin base_url, or the "
            "address in HTTPS_PROXY, with http://."
        )
    return APIConnectionError(
        f"{host} speaks plain HTTP, not TLS. Begin base_url with http://: http://{host}."
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _is_late(error: BaseException) -> bool:
    return any("Timeout" in kind.__name__ for kind in type(error).__mro__)


async def _answers_plain_http(host: str, port: int) -> bool:
    """Ask without TLS for nothing in particular. Of the request nothing goes along."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"HEAD / HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
                return await reader.readexactly(5) == b"HTTP/"
            finally:
                writer.transport.abort()
                await asyncio.sleep(0)  # in which the socket is closed
    return False
