"""The client of OpenAI's chat completions API, and of every server that speaks it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from nbagents._keys import Secret, StandIn
from nbagents.errors import ConfigurationError
from nbagents.messages import ModelCapabilities, ModelInfo
from nbagents.models._address import Address, host_of, proxy_credentials
from nbagents.models._base import BaseChatClient, out_of_sight
from nbagents.models._cassette.switch import may_replay
from nbagents.models._environment import asking_for, environment_headers, with_own_headers
from nbagents.models._failures import Failures
from nbagents.models._limits import Limits
from nbagents.models._requests import is_loopback
from nbagents.models._secrets import check_no_key, credentials_in, key_from, revealed
from nbagents.models._tokens import TokenProvider, Tokens

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

__all__ = ["OpenAIChatCompletionClient"]

_ADVICE = "Check what it does; it is to return the key."
_OPENAI_URL = "https://api.openai.com/v1"

# Whose models have names of their own, so that the name alone says where to ask.
_PROVIDERS = (
    (
        "gemini-",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        "GEMINI_API_KEY",
    ),
    ("claude-", "https://api.anthropic.com/v1/", "ANTHROPIC_API_KEY"),
    ("Llama-", "https://api.llama.com/compat/v1/", "LLAMA_API_KEY"),
)


class OpenAIChatCompletionClient(BaseChatClient):
    """A client of OpenAI, or of any server with OpenAI's chat completions API.

    One client works everywhere: in several event loops and threads, at once and one after the
    other. Connections are kept for minutes, so that the next cell finds them warm. Making one
    is cheap: the SDK is imported with the first request.

    A name that begins with ``gemini-``, ``claude-`` or ``Llama-`` goes to its maker's server,
    with the key in ``GEMINI_API_KEY``, ``ANTHROPIC_API_KEY`` or ``LLAMA_API_KEY``, unless
    ``base_url`` or ``api_key`` say otherwise.

    Args:
        model: The model's name. Any will do; one that is not known here gets sensible
            capabilities, and one warning.
        api_key: The key, or a coroutine function that returns one; else ``OPENAI_API_KEY``, as
            it is set when a request is made. A server on this machine needs none.
        base_url: The server; else ``OPENAI_BASE_URL``, else OpenAI. ``http://localhost:11434/v1``
            is Ollama. A user and password in it, as in ``https://user:password@host/v1``, are
            sent as the header ``Authorization: Basic ...``.
        organization: The OpenAI organization; else ``OPENAI_ORG_ID``. That variable, the next and
            ``OPENAI_CUSTOM_HEADERS`` count for OpenAI and for ``OPENAI_BASE_URL``, and are sent
            to no other server.
        project: The OpenAI project; else ``OPENAI_PROJECT_ID``.
        timeout: Seconds for the whole request, None for no deadline at all; not heeded where
            ``limits`` are given.
        max_retries: How often the SDK repeats a request that failed before any text came.
        default_headers: Headers of every request.
        default_query: Query parameters of every request.
        http_client: An ``httpx2.AsyncClient`` to send with, for a proxy or certificate of one's
            own. It works in one event loop, is yours to close, and keeps its own connections;
            the ``first_byte`` and ``error_bytes`` limits are then its own affair.
        limits: Deadlines and caps. For models that reason unseen for minutes (o1, o3, o4, gpt-5)
            only ``connect`` and ``total`` are watched unless these are given.
        model_info: What the model can do, where the name does not tell.
        model_capabilities: Deprecated; give ``model_info``.
        add_name_prefixes: Whether user texts begin with who says them.
        include_name_in_message: Whether user messages carry the ``name`` of who says them.
        create_args: Arguments of the API for every request: ``temperature``, ``max_tokens``,
            ``seed``, ``stop``, ``reasoning_effort``, ``extra_body`` and all others.

    Raises:
        ConfigurationError: There is no key, an argument is unknown, or two contradict.
    """

    def __init__(
        self,
        *,
        model: str,
        api_key: str | TokenProvider | Secret[str] | None = None,
        base_url: str | Secret[str] | None = None,
        organization: str | None = None,
        project: str | None = None,
        timeout: float | None = 600.0,
        max_retries: int = 2,
        default_headers: Mapping[str, str] | Secret[Mapping[str, str]] | None = None,
        default_query: Mapping[str, object] | Secret[Mapping[str, object]] | None = None,
        http_client: httpx2.AsyncClient | None = None,
        limits: Limits | None = None,
        model_info: ModelInfo | None = None,
        model_capabilities: ModelCapabilities | None = None,
        add_name_prefixes: bool = False,
        include_name_in_message: bool = True,
        _transport: Callable[[], httpx2.AsyncBaseTransport] | None = None,
        **create_args: Any,
    ) -> None:
        settings = out_of_sight({n: value for n, value in locals().items() if n in _SETTINGS})
        check_no_key(model, "model")
        server, variable, env = _server_of(model, base_url)
        address = Address(server, "base_url")
        base_url = address.url
        headers = address.headers(settings["default_headers"])
        sent_too = environment_headers() if env else None
        noted = credentials_in(headers, settings["default_query"], sent_too)
        secrets = [*address.credentials, *noted, *proxy_credentials()]
        key: Secret[str] | None = None
        ask: Callable[[], Awaitable[str]] | None = None
        tokens: Tokens | None = None
        if callable(api_key):
            ask = tokens = Tokens(api_key, "api_key", lambda _: _ADVICE, secrets)
        else:
            needless = _transport is not None or is_loopback(base_url) or _authorized(headers)
            key = key_from(api_key, variable, server="OPENAI_BASE_URL")
            key = settings["api_key"] = key or _no_key(base_url, variable, needless=needless)
            if key is not None:
                secrets.insert(0, key)
            else:
                ask = _key_in_time(base_url, variable, secrets)

        def build(**common: Any) -> AsyncOpenAI:
            from openai import AsyncOpenAI

            kind = AsyncOpenAI if env else with_own_headers(headers, AsyncOpenAI)
            client = (asking_for(key, kind) if key else kind)(
                api_key=key.reveal() if key else ask,
                base_url=base_url,
                organization=organization,
                project=project,
                **common,
            )
            if not env:  # in place of what it has read
                client.organization, client.project = organization, project
            return client

        failures = Failures(base_url, model, secrets)
        self._assemble(build, failures, headers, settings, create_args, tokens)


_SETTINGS = frozenset(inspect.signature(OpenAIChatCompletionClient).parameters) - {"create_args"}


def _server_of(model: str, base_url: object) -> tuple[object, str, bool]:
    """Where to ask for ``model``, which variable holds the key, and whether others go along.

    Those are OPENAI_ORG_ID and the like: they are for OpenAI, and for OPENAI_BASE_URL.
    """
    given, usual = revealed(base_url), os.environ.get("OPENAI_BASE_URL") or _OPENAI_URL
    for prefix, url, variable in _PROVIDERS:
        if model.startswith(prefix):
            if given is None:
                return url, variable, False
            return given, variable if os.environ.get(variable) else "OPENAI_API_KEY", False
    server = given or usual
    return server, "OPENAI_API_KEY", server == usual or host_of(str(server)) == "api.openai.com"


def _no_key(base_url: str, variable: str, *, needless: bool) -> Secret[str] | None:
    """What to send as the key where there is none; None when a cassette may do without.

    Raises:
        ConfigurationError: One is needed.
    """
    if needless:
        return StandIn("none-needed")
    if may_replay():
        return None
    raise _missing(base_url, variable)


def _key_in_time(
    base_url: str, variable: str, noted: list[Secret[str]]
) -> Callable[[], Awaitable[str]]:
    """Ask for the key with the first request that no cassette answers, and note it."""
    found: Secret[str] | None = None

    async def ask() -> str:
        nonlocal found
        if found is None:
            found = key_from(None, variable)
            if found is None:
                raise _missing(base_url, variable)
            noted.insert(0, found)
        return found.current()

    return ask


def _missing(base_url: str, variable: str) -> ConfigurationError:
    return ConfigurationError(
        f"There is no API key for {base_url}. Set the environment variable {variable}, or give "
        "api_key=...; a server on this machine needs none: base_url='http://localhost:11434/v1' "
        "is Ollama."
    )


def _authorized(headers: Secret[Mapping[str, str]] | None) -> bool:
    return headers is not None and any(name.lower() == "authorization" for name in headers.reveal())
