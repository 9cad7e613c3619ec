"""The client of Azure OpenAI: the same API behind deployments, and Microsoft Entra ID."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nbagents._keys import EnvironmentSecret, Secret
from nbagents.errors import ConfigurationError
from nbagents.messages import ModelCapabilities, ModelInfo
from nbagents.models._address import Address, hidden_url, proxy_credentials
from nbagents.models._base import BaseChatClient, out_of_sight
from nbagents.models._cassette.switch import may_replay
from nbagents.models._environment import asking_for, with_own_headers
from nbagents.models._failures import Failures
from nbagents.models._limits import Limits
from nbagents.models._secrets import check_no_key, credentials_in, key_from, revealed
from nbagents.models._tokens import Credential, TokenProvider, Tokens

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

__all__ = ["AzureOpenAIChatCompletionClient"]

_SERVER = "AZURE_OPENAI_ENDPOINT"
_SCOPE = "https://cognitiveservices.azure.com/.default"

_SIGN_IN = f"Sign in (az login), or check the credential; the scope is {_SCOPE}."
_OFFLINE = "Check the network, its proxy, and the authority's address and certificate."

# By what is in Microsoft Entra ID's answer ("Microsoft Entra authentication error codes") or in
# azure-identity's words; what stands first counts.
_ADVICE = {
    "AADSTS7000215": "Check the client secret: its value, not its ID (AZURE_CLIENT_SECRET).",
    "AADSTS7000222": "Make a new client secret: this one has expired (AZURE_CLIENT_SECRET).",
    "AADSTS700027": "Check that the certificate is the application's, and has not expired.",
    "AADSTS700016": "Check the client ID (AZURE_CLIENT_ID), and that it is of this tenant.",
    "AADSTS90": "Check the tenant (AZURE_TENANT_ID).",
    "check your tenant": "Check the tenant (AZURE_TENANT_ID).",
    "AADSTS7002": "Check issuer, subject and audience of the application's federated credential.",
    "invalid_client": "Check client ID and secret, or certificate, of the application.",
    "DefaultAzureCredential failed": _SIGN_IN,
    "IMDS": "Give this machine a managed identity, or take another credential (az login).",
    "CERTIFICATE_VERIFY_FAILED": _OFFLINE,
    "Failed to establish": _OFFLINE,
    "Connection aborted": _OFFLINE,
    "timed out": _OFFLINE,
}

# What azure-identity reads, and might say.
_VARIABLES = (
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
    "IDENTITY_HEADER",
)


class AzureOpenAIChatCompletionClient(BaseChatClient):
    """A client of a model deployed on Azure OpenAI.

    All but the construction is as for `OpenAIChatCompletionClient`. Of ``api_key``,
    ``azure_ad_token`` and ``azure_ad_token_provider`` one is given; without any, the
    environment's ``AZURE_OPENAI_AD_TOKEN`` or else ``AZURE_OPENAI_API_KEY`` counts, as it is set
    when a request is made.

    Args:
        model: The model's name, such as ``"gpt-4o"``; it tells what the deployment can do.
        azure_deployment: The deployment's name; the model's when left out.
        azure_endpoint: ``https://NAME.openai.azure.com``; else ``AZURE_OPENAI_ENDPOINT``.
        api_version: Such as ``"2024-10-21"``; else ``OPENAI_API_VERSION``.
        base_url: A whole base URL in place of ``azure_endpoint``.
        api_key: The resource's key.
        azure_ad_token: A Microsoft Entra ID token; it lapses after about an hour.
        azure_ad_token_provider: A function that returns a token, asked before each request:
            what ``azure.identity.get_bearer_token_provider`` returns, that of
            ``azure.identity.aio`` too. One that is not a coroutine function runs in a thread.
            Or a credential itself: then a token that the server refuses before its time is
            renewed, too, which such a function cannot do.
        organization: The OpenAI organization. ``OPENAI_ORG_ID``, ``OPENAI_PROJECT_ID`` and
            ``OPENAI_CUSTOM_HEADERS`` are OpenAI's, and are not sent to Azure.
        timeout: Seconds for the whole request, None for no deadline at all; not heeded where
            ``limits`` are given.
        max_retries: How often the SDK repeats a request that failed before any text came.
        default_headers: Headers of every request.
        default_query: Query parameters of every request.
        http_client: As for `OpenAIChatCompletionClient`.
        limits: Deadlines and caps.
        model_info: What the model can do, where the name does not tell.
        model_capabilities: Deprecated; give ``model_info``.
        add_name_prefixes: Whether user texts begin with who says them.
        include_name_in_message: Whether user messages carry the ``name`` of who says them.
        create_args: Arguments of the API for every request.

    Raises:
        ConfigurationError: Something is missing or unknown, or two arguments contradict.
    """

    def __init__(
        self,
        *,
        model: str,
        azure_deployment: str | None = None,
        azure_endpoint: str | Secret[str] | None = None,
        api_version: str | None = None,
        base_url: str | Secret[str] | None = None,
        api_key: str | Secret[str] | None = None,
        azure_ad_token: str | Secret[str] | None = None,
        azure_ad_token_provider: TokenProvider | Credential | None = None,
        organization: str | None = None,
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
        settings["azure_endpoint"] = hidden_url(azure_endpoint)
        check_no_key(model, "model")
        check_no_key(azure_deployment, "azure_deployment")
        server = _endpoint(revealed(azure_endpoint), revealed(base_url))
        address = Address(server, "base_url" if base_url else "azure_endpoint")
        endpoint, headers = address.url, address.headers(settings["default_headers"])
        version = _required(api_version, "api_version", "OPENAI_API_VERSION", "2024-10-21")
        key, token = _credentials(api_key, azure_ad_token, azure_ad_token_provider)
        settings |= {"api_key": key, "azure_ad_token": token}
        noted = credentials_in(headers, settings["default_query"])
        secrets = [*filter(None, (key, token)), *address.credentials, *noted]
        secrets += proxy_credentials()
        ask = None
        if azure_ad_token_provider is not None:
            _hush()
            secrets += [Secret(os.environ[name]) for name in _VARIABLES if os.environ.get(name)]
            source = azure_ad_token_provider
            ask = Tokens(source, "azure_ad_token_provider", _advice_on, secrets, _SCOPE)

        def build(**common: Any) -> AsyncOpenAI:
            from openai import AsyncAzureOpenAI

            if not (key or token or ask):
                raise _no_credential()
            kind = with_own_headers(headers, AsyncAzureOpenAI)
            # Its overloads take either address, not a choice.
            make: Any = asking_for(key, kind) if key else kind
            client: AsyncOpenAI = make(
                **{"base_url" if base_url else "azure_endpoint": endpoint},
                azure_deployment=None if base_url else azure_deployment,
                api_version=version,
                api_key=key.reveal() if key else None,
                **_token_for_sdk(token, ask),
                organization=organization,
                **common,
            )
            client.organization, client.project = organization, None  # whatever it has read
            return client

        failures = Failures(endpoint, azure_deployment or model, secrets, azure=True)
        self._assemble(build, failures, headers, settings, create_args, ask)


def _hush() -> None:
    """Keep azure-identity's warnings off the screen where no logging is set up.

    Python would print them into whatever cell runs at that time; the error says it anyway.
    """
    logger = logging.getLogger("azure.identity")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _advice_on(failure: str) -> str:
    return next((advice for said, advice in _ADVICE.items() if said in failure), _SIGN_IN)


_SETTINGS = frozenset(inspect.signature(AzureOpenAIChatCompletionClient).parameters) - {
    "create_args"
}


def _credentials(
    api_key: str | Secret[str] | None,
    token: str | Secret[str] | None,
    provider: TokenProvider | Credential | None,
) -> tuple[Secret[str] | None, Secret[str] | None]:
    """The key and the token to use, of which at most one is there.

    Raises:
        ConfigurationError: Several were given, or none.
    """
    given = [each for each in (api_key, token, provider) if each is not None]
    if len(given) > 1:
        raise ConfigurationError(
            "Of api_key, azure_ad_token and azure_ad_token_provider several are given; keep one."
        )
    if provider is not None:
        return None, None
    held_token = (
        key_from(token, "AZURE_OPENAI_AD_TOKEN", "azure_ad_token", server=_SERVER)
        if api_key is None
        else None
    )
    held_key = (
        key_from(api_key, "AZURE_OPENAI_API_KEY", server=_SERVER) if held_token is None else None
    )
    if held_key is None and held_token is None and not may_replay():
        raise _no_credential()
    return held_key, held_token


def _token_for_sdk(token: Secret[str] | None, ask: Tokens | None) -> dict[str, Any]:
    """A token as the SDK's client takes it: one that may be set anew is asked for each time."""
    if isinstance(token, EnvironmentSecret):
        return {"azure_ad_token_provider": token.current}
    return {"azure_ad_token": token and token.reveal(), "azure_ad_token_provider": ask}


def _no_credential() -> ConfigurationError:
    return ConfigurationError(
        "There is no credential for Azure OpenAI. Set AZURE_OPENAI_API_KEY, or give api_key= or"
        " azure_ad_token_provider=azure.identity.get_bearer_token_provider("
        "DefaultAzureCredential(), 'https://cognitiveservices.azure.com/.default')."
    )


def _endpoint(azure_endpoint: object, base_url: object) -> object:
    if base_url and azure_endpoint:
        raise ConfigurationError("base_url and azure_endpoint are both given; keep one.")
    return base_url or _required(
        azure_endpoint, "azure_endpoint", "AZURE_OPENAI_ENDPOINT", "https://NAME.openai.azure.com"
    )


# What stands in where a cassette answers, and nothing of Azure is set up.
_UNSET = {"azure_endpoint": "https://azure-endpoint-not-set.invalid", "api_version": "not-set"}


def _required(given: object, name: str, variable: str, example: str) -> str:
    value = given or os.environ.get(variable) or ""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} takes text, not {type(value).__name__}.")
    value = value.strip()
    if not value and may_replay():
        return _UNSET[name]
    if not value:
        raise ConfigurationError(
            f"{name} is missing. Give {name}={example!r}, or set the environment variable "
            f"{variable}."
        )
    return value
