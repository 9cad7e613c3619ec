"""Requests that got no answer: why, and what to do next."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from urllib.parse import urlsplit

from nbagents.errors import (
    APIConnectionError,
    ConfigurationError,
    IncompleteReplyError,
    NbAgentsError,
    ProtocolError,
    RequestTimeoutError,
)
from nbagents.models._requests import is_loopback
from nbagents.models._scheme import tls_failure
from nbagents.models._scrubbing import family
from nbagents.models._wire.server_errors import one_line

__all__ = ["host_in", "unanswered"]

# Several addresses that refuse are one error, of no kind of its own.
_REFUSED = ("refused", "All connection attempts failed", f"[Errno {errno.ECONNREFUSED}]")
_NOT_MADE = {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError"}
_NO_ANSWER = {"DecodingError", "TooManyRedirects"}
_BROKEN = {"TransportError", "APIConnectionError", "OSError", "SSLError", "EndOfStream"}
_HUNG_UP = re.compile(r"disconnected without|closed connection")
_BYTES = re.compile(r"""bytearray\(b?(['"].*?)(?:\\r\\n)?(['"])\)""")
_CUT_OFF = {"RemoteProtocolError", "ReadError", "WriteError", "ConnectionResetError"}


def unanswered(error: Exception, base_url: str, *, reading: bool = False) -> NbAgentsError:
    """What to raise for an error of the network's, or of the libraries on the way there.

    Args:
        error: The error.
        base_url: Where the request went.
        reading: Whether the reply had begun.
    """
    host = host_in(base_url)
    if any("the client has been closed" in str(each) for each in family(error)):
        return APIConnectionError(
            f"The client was closed before {host} was asked. Ask again: a closed client opens new "
            "connections.",
            retryable=True,
        )
    names = {kind.__name__ for each in family(error) for kind in type(each).__mro__}
    if names & {"TimeoutException", "APITimeoutError"}:
        return RequestTimeoutError(
            f"{host} could not be reached in time. Check base_url, the network and its proxy, or "
            "allow more with limits=Limits(connect=...).",
            retryable=True,
        )
    if names & _NOT_MADE:
        return ConfigurationError(
            f"The request is not one that HTTP knows: {_last_words(error)}. Check base_url "
            f"({base_url}) and default_headers."
        )
    if names & _NO_ANSWER:
        return ProtocolError(
            f"{host} sent what is no answer: {_last_words(error)}. Check base_url, and any proxy "
            "on the way."
        )
    if names & _BROKEN:
        return _broken(error, host) if reading else _unreachable(error, base_url)
    return ConfigurationError(
        f"The request could not be made: {type(error).__name__}: {_last_words(error)}. Check the "
        "arguments of the client and of this call."
    )


def host_in(base_url: str) -> str:
    """The server's name, and its port where that is said."""
    return urlsplit(base_url).netloc.rpartition("@")[2] or base_url


def _broken(error: Exception, host: str) -> IncompleteReplyError:
    wrong = _no_http(error)
    what = f"{host} sent what is no HTTP ({wrong})" if wrong else f"The connection to {host} broke"
    return IncompleteReplyError(
        f"{what} in the middle of the reply; .partial has what came. Run it again.", retryable=True
    )


def _unreachable(error: Exception, base_url: str) -> APIConnectionError:
    certain = tls_failure(error, base_url)
    if certain is not None:
        return certain
    what, advice = _why(error, base_url)
    return APIConnectionError(f"{host_in(base_url)} {what}. {advice}", retryable=True)


def _why(error: Exception, base_url: str) -> tuple[str, str]:
    """What the server or the network did, and what to do about it."""
    causes = list(family(error))
    words = " ".join(map(str, causes))
    if any(isinstance(each, ssl.SSLError) for each in causes) or "[SSL" in words:
        return f"does not agree on TLS ({_last_words(error)})", _advice_on_silence(base_url)
    if any(sign in words for sign in _REFUSED):
        return "refuses connections", _advice_on_start(base_url)
    if (
        any(isinstance(each, socket.gaierror | UnicodeError) for each in causes)
        or "Name or service" in words
    ):
        return "is not known to this network", _advice_on_name(base_url)
    wrong = _no_http(error)
    if wrong:
        if wrong.startswith("illegal status line"):  # which may have been TLS
            return f"sent what is no HTTP ({wrong})", _advice_on_silence(base_url)
        return f"sent what is no HTTP ({wrong})", "Check the server, and any proxy on the way."
    if any(type(each).__name__ in _CUT_OFF for each in causes):
        return "ended the connection without an answer", _advice_on_silence(base_url)
    return "could not be reached", "Check base_url and the network."


def _no_http(error: Exception) -> str:
    """What the server sent that HTTP does not know; "" where it sent nothing, or hung up."""
    for each in family(error):
        if type(each).__name__ == "RemoteProtocolError" and not _HUNG_UP.search(str(each)):
            said = _BYTES.sub(r"\1\2", one_line(str(each), 160)).rstrip(".")
            return said.replace("illegal request line", "illegal status line")  # it is an answer
    return ""


def _advice_on_start(base_url: str) -> str:
    if not is_loopback(base_url):
        return "Check base_url, and that the server is up."
    if urlsplit(base_url).port == 11434:
        return "Start Ollama (ollama serve)."
    return "Start the server, or check the port in base_url."


def _advice_on_name(base_url: str) -> str:
    if host_in(base_url) == "api.openai.com":  # nobody has typed that
        return "Are you offline, or behind a proxy (HTTPS_PROXY)?"
    return "Check base_url for a typing error."


def _advice_on_silence(base_url: str) -> str:
    if base_url.startswith("https:"):
        return "Run it again; if the server speaks plain HTTP, begin base_url with http://."
    return "Run it again; if the server speaks TLS, begin base_url with https://."


def _last_words(error: BaseException) -> str:
    words = [str(each) for each in family(error) if str(each)]
    return one_line(words[-1] if words else type(error).__name__, 160).rstrip(".")
