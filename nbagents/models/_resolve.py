"""Which model answers when nobody said: what is set, what runs here, and last the embedded one.

The order is: explicit settings; ``OPENAI_API_KEY`` or ``OPENAI_BASE_URL``;
``AZURE_OPENAI_ENDPOINT``; a server on its usual port of this machine; the embedded model.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbagents.errors import ConfigurationError
from nbagents.models._address import hidden_url, host_of
from nbagents.models._cassette.switch import current_deck, is_expected
from nbagents.models._embedded.service import MODEL as EMBEDDED
from nbagents.models._local import SERVERS, Found, find_servers, is_chat_model, models_at
from nbagents.models._requests import SWITCH, allowed, is_loopback
from nbagents.models._secrets import (
    check_no_key,
    hidden,
    hidden_arguments,
    hidden_query,
    key_from,
    revealed,
)

if TYPE_CHECKING:
    from nbagents.models._cassette.deck import Deck
    from nbagents.models._client import ChatCompletionClient

__all__ = ["DEFAULT_MODEL", "Resolution", "default_client", "resolve"]

DEFAULT_MODEL = "gpt-4.1-mini"
"""OpenAI's model when none is named: reads a million tokens, takes a temperature, costs little."""

_OPENAI = "https://api.openai.com/v1"
_AZURE_CREDENTIALS = ("api_key", "azure_ad_token", "azure_ad_token_provider")
_LOCAL = {server.key: server for server in SERVERS}
_PROVIDERS = ("openai", "azure", *_LOCAL, "embedded")
_CONNECT = (
    "Start a server such as Ollama on this computer; or set OPENAI_API_KEY, or "
    "AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY, before Jupyter is started."
)


@dataclass(frozen=True)
class Resolution:
    """The model that will answer, and why that one.

    Attributes:
        provider: ``"openai"``, ``"azure"``, ``"ollama"``, ``"lmstudio"``, ``"vllm"``,
            ``"llamacpp"`` or ``"embedded"``.
        model: The model's name; Azure's is that of the deployment.
        reason: One line that says which it is and why; never a key.
        settings: What the client is made with. Keys in it are out of sight.
    """

    provider: str
    model: str
    reason: str
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def client(self) -> ChatCompletionClient:
        """Make the client."""
        if self.provider == "embedded":
            from nbagents.models._embedded.transport import embedded_client

            return embedded_client(**self.settings)
        if self.provider == "azure":
            from nbagents.models._azure import AzureOpenAIChatCompletionClient

            return AzureOpenAIChatCompletionClient(**self.settings)
        from nbagents.models._openai import OpenAIChatCompletionClient

        return OpenAIChatCompletionClient(model=self.model, **self.settings)


def default_client(model: str | None = None, **settings: Any) -> ChatCompletionClient:
    """Make a client of the model that is set up on this machine; the arguments are `resolve`'s.

    Raises:
        ConfigurationError: What is asked for is not set up.
    """
    return resolve(model, **settings).client()


def resolve(model: str | None = None, **settings: Any) -> Resolution:
    """Find the model that answers when nobody made a client.

    Args:
        model: A model's name, for whichever provider is set up; on Azure a deployment's. A
            provider may stand before it: ``openai:gpt-4.1``, ``azure:my-deployment``,
            ``ollama:llama3.2``, ``lmstudio:...``, ``vllm:...``, ``llamacpp:...``,
            ``embedded``. By default ``NBAGENTS_MODEL``, then ``OPENAI_MODEL`` or
            ``AZURE_OPENAI_DEPLOYMENT``, then what a local server has first.
        settings: Arguments of the client. An ``azure_...`` one means Azure; ``api_key`` or
            ``base_url`` mean OpenAI, or whoever speaks its API.

    Raises:
        ConfigurationError: What is asked for is not set up; it says what to do.
    """
    check_no_key(model, "model")
    deck = None if settings else current_deck()
    if deck is None:
        return _resolve(model, settings)
    asked = model or _named_in("NBAGENTS_MODEL") or ""
    recorded = deck.default_for(asked)
    found = None
    if deck.mode == "replay":
        found = _as_recorded(recorded) if recorded else _not_recorded(model, deck)
    if found is None:
        found = _resolve(model, settings)
        if recorded and found.provider == "embedded":  # nothing is set up here
            found = _as_recorded(recorded)
        deck.note_default(asked, _without_host(found))
    return found


def _resolve(model: str | None, settings: dict[str, Any]) -> Resolution:
    settings = {name: _out_of_sight(name, value) for name, value in settings.items()}
    settings = hidden_arguments(settings)
    provider, name = _split(model or _named_in("NBAGENTS_MODEL"))
    if not provider:
        provider = _explicit(settings) or ("embedded" if name == EMBEDDED else "")
    if provider == "openai":
        return _openai(name, settings)
    if provider == "azure":
        return _azure(name, settings)
    if provider in _LOCAL:
        return _local(name, settings, find_servers([_LOCAL[provider]]), provider)
    if provider == "embedded":
        return Resolution("embedded", EMBEDDED, _embedded_reason("it was asked for"), settings)
    return _whatever_is_set_up(name, settings)


def _as_recorded(recorded: Mapping[str, Any]) -> Resolution:
    """The model that answered when the cassette was recorded; nothing is looked for."""
    provider, model = recorded["provider"], recorded["model"]
    settings: dict[str, Any] = {}
    if provider == "azure":
        settings = {"model": model, "azure_deployment": model}
    elif provider in _LOCAL:
        settings = {"base_url": _LOCAL[provider].base_url, "api_key": "none"}
    return Resolution(provider, model, recorded["reason"], settings)


def _not_recorded(model: str | None, deck: Deck) -> Resolution | None:
    """The model whose request a cassette has to answer that does not say which one did.

    Where nothing is set up it is the usual one: its client says what is missing in which file.
    The embedded model would reply as if nothing were missing.
    """
    if not is_expected(deck):
        return None
    provider, name = _split(model or _named_in("NBAGENTS_MODEL"))
    if name == EMBEDDED or provider == "embedded":
        return None
    try:
        found = _resolve(model, {})
    except ConfigurationError:
        found = None
    if found is not None and found.provider != "embedded":
        return found
    name = name or _named_in("OPENAI_MODEL") or DEFAULT_MODEL
    return Resolution("openai", name, f"{name} (nothing is sent: replaying)", {"api_key": "none"})


def _without_host(found: Resolution) -> dict[str, str]:
    """What a cassette keeps of a resolution: the servers of others are not named."""
    elsewhere = found.provider in ("openai", "azure")
    reason = f"{found.model} (as recorded)" if elsewhere else found.reason
    return {"provider": found.provider, "model": found.model, "reason": reason}


def _whatever_is_set_up(name: str | None, settings: dict[str, Any]) -> Resolution:
    passed_over = []
    if _variable("OPENAI_API_KEY") or _variable("OPENAI_BASE_URL"):
        if allowed(_variable("OPENAI_BASE_URL") or _OPENAI):
            return _openai(name, settings)
        passed_over.append("OPENAI_API_KEY" if _variable("OPENAI_API_KEY") else "OPENAI_BASE_URL")
    if endpoint := _variable("AZURE_OPENAI_ENDPOINT"):
        if allowed(endpoint):
            return _azure(name, settings)
        passed_over.append("AZURE_OPENAI_ENDPOINT")
    if found := find_servers(list(_LOCAL.values())):
        return _local(name, settings, found)
    why, remedy = "no key is set and no local server was found", _CONNECT
    if passed_over:
        why = f"{SWITCH} forbids what {' and '.join(passed_over)} would allow"
        remedy = f"Unset {SWITCH}, or name no model."
    if name:
        raise ConfigurationError(f"Only the embedded model is here, not {name!r}: {why}. {remedy}")
    return Resolution("embedded", EMBEDDED, _embedded_reason(why), settings)


def _openai(name: str | None, settings: dict[str, Any]) -> Resolution:
    given = revealed(settings.get("base_url"))
    base_url = str(given or _variable("OPENAI_BASE_URL") or _OPENAI)
    name = name or _named_in("OPENAI_MODEL")
    if not name and is_loopback(base_url):
        name = next(filter(is_chat_model, models_at(base_url)), None)
    name = name or DEFAULT_MODEL
    host = host_of(base_url)
    why = "as set" if _explicit(settings) else _which_is_set("OPENAI_BASE_URL", "OPENAI_API_KEY")
    return Resolution("openai", name, f"{name} at {host} ({why})", settings)


def _azure(name: str | None, settings: dict[str, Any]) -> Resolution:
    deployment = settings.get("azure_deployment") or name or _named_in("AZURE_OPENAI_DEPLOYMENT")
    if not deployment:
        raise ConfigurationError(
            "Azure needs the name of your deployment. Set AZURE_OPENAI_DEPLOYMENT, or name it as "
            "the model (%%chat -m NAME)."
        )
    given = {"model": name or deployment, "azure_deployment": deployment, **settings}
    credential = next((name for name in _AZURE_CREDENTIALS if given.get(name)), None)
    if not credential and not _variable("AZURE_OPENAI_AD_TOKEN"):
        credential = "api_key" if _variable("AZURE_OPENAI_API_KEY") else None
        if not credential:
            given["azure_ad_token_provider"] = _entra_id()
    how = "key" if credential == "api_key" else "Entra ID"
    given_endpoint = revealed(settings.get("azure_endpoint"))
    host = host_of(str(given_endpoint or _variable("AZURE_OPENAI_ENDPOINT") or "")) or "Azure"
    return Resolution("azure", deployment, f"{deployment} at {host} (Azure, {how})", given)


def _entra_id() -> Any:
    """Make the credential of whoever is signed in: the machine, ``az login``, ..."""
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise ConfigurationError(
            "AZURE_OPENAI_ENDPOINT is set, but no key. Set AZURE_OPENAI_API_KEY; or install the "
            "extra 'azure' (pip install azure-identity) to sign in with Microsoft Entra ID."
        ) from error
    return DefaultAzureCredential()


def _local(
    name: str | None, settings: dict[str, Any], found: list[Found], wanted: str = ""
) -> Resolution:
    if not found:
        server = _LOCAL[wanted]
        raise ConfigurationError(
            f"{server.name} does not answer at {server.base_url}, or has no model that chats. "
            "Start it, or give its address: set OPENAI_BASE_URL."
        )
    for each in found:
        if model := each.named(name) if name else each.models[0]:
            # A key of one's own: OPENAI_API_KEY is not for this server.
            given = {"base_url": each.server.base_url, "api_key": "none", **settings}
            place = f"{each.server.name}, port {each.server.port} of this computer"
            return Resolution(each.server.key, model, f"{model} ({place})", given)
    have = "; ".join(f"{each.server.name} has {', '.join(each.models[:8])}" for each in found)
    raise ConfigurationError(f"No server on this computer has {name!r}: {have}. Name one of these.")


def _split(model: str | None) -> tuple[str, str | None]:
    """Take the provider off a model's name; other colons are part of it (``llama3.2:1b``)."""
    provider, colon, name = (model or "").partition(":")
    if provider == "embedded" and not name:
        return provider, EMBEDDED
    if colon and provider in _PROVIDERS:
        return provider, name or None
    return "", model or None


def _explicit(settings: Mapping[str, Any]) -> str:
    if any(name.startswith("azure_") and settings[name] for name in settings):
        return "azure"
    return "openai" if settings.get("api_key") or settings.get("base_url") else ""


def _out_of_sight(name: str, value: Any) -> Any:
    """A key, token, headers and the like as what no repr, copy or pickle shows."""
    if name in ("api_key", "azure_ad_token") and isinstance(value, str):
        return key_from(value, "", name)
    if name in ("base_url", "azure_endpoint"):
        return hidden_url(value)
    if name == "default_query":
        return hidden_query(value)
    return hidden(value) if name == "default_headers" else value


def _embedded_reason(why: str) -> str:
    return f"{EMBEDDED}, which is no language model ({why})"


def _which_is_set(*names: str) -> str:
    name = next((name for name in names if _variable(name)), None)
    return f"{name} is set" if name else "as asked"


def _variable(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _named_in(variable: str) -> str | None:
    """The name of a model in an environment variable."""
    name = _variable(variable)
    check_no_key(name, variable)
    return name
