"""Whether a request may leave: the switch that keeps a test suite off the network.

``NBAGENTS_REQUESTS`` is read at every request, so kernels and subprocesses inherit it:

* unset or ``on``: any request may be made;
* ``loopback``: only those to this machine (``localhost``, ``127.0.0.0/8``, ``::1``);
* ``off``: none. The embedded model still answers: it makes no request.
"""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from nbagents.errors import ConfigurationError

__all__ = ["EMBEDDED_HOST", "SWITCH", "allowed", "check_allowed", "is_loopback", "restricted"]

SWITCH = "NBAGENTS_REQUESTS"
EMBEDDED_HOST = "nbagents-embedded.localhost"
"""Where the embedded model seems to be; nothing is ever sent there."""
_MODES = ("on", "loopback", "off")


def check_allowed(url: str) -> None:
    """Refuse a request that the switch forbids.

    Raises:
        ConfigurationError: ``NBAGENTS_REQUESTS`` forbids requests to this URL's host, or has
            a value that means nothing.
    """
    if not allowed(url):
        host = urlsplit(url).hostname or url
        raise ConfigurationError(
            f"{SWITCH}={_mode()} forbids requests to {host}. Answer from the embedded model, a "
            "loopback server or a scripted client, or unset the variable."
        )


def allowed(url: str) -> bool:
    """Whether the switch lets a request to ``url`` go."""
    mode = _mode()
    return mode == "on" or (mode == "loopback" and is_loopback(url))


def restricted() -> bool:
    """Whether any request is forbidden."""
    return _mode() != "on"


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine, by its name or number alone (nothing is looked up).

    ``localhost`` and names below it are loopback by RFC 6761, section 6.3.
    """
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):
            return True
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _mode() -> str:
    mode = os.environ.get(SWITCH, "").strip().lower() or "on"
    if mode not in _MODES:
        raise ConfigurationError(f"{SWITCH} is {mode!r}; it can be {', '.join(_MODES)}.")
    return mode
