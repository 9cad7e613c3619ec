"""Microsoft Entra ID on loopback, for the real azure-identity: an authority, and machines'."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from azure.identity import (
    CertificateCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from nbagents.errors import AuthenticationError, NbAgentsError, RequestTimeoutError
from nbagents.models import AzureOpenAIChatCompletionClient
from tests.certificates import certificate_of_a_principal, tls_for_loopback
from tests.support import Request, Server, answer

SCOPE = "https://cognitiveservices.azure.com/.default"
SECRET = "of-the-principal-0123456789"
TENANT = "tenant"
CLIENT = "client-id"

# Words of Microsoft's, shortened ("Microsoft Entra authentication error codes").
REFUSALS = {
    "wrong secret": (
        "invalid_client",
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the "
        "request is the client secret value, not the client secret ID.",
    ),
    "expired secret": (
        "invalid_client",
        "AADSTS7000222: The provided client secret keys for app are expired.",
    ),
    "unknown client": (
        "unauthorized_client",
        "AADSTS700016: Application with identifier 'client-id' was not found in the directory.",
    ),
    "unknown certificate": (
        "invalid_client",
        "AADSTS700027: The certificate with identifier used to sign the client assertion is not "
        "registered on application.",
    ),
    "unknown federation": (
        "invalid_request",
        "AADSTS700213: No matching federated identity record found for presented assertion.",
    ),
}


@dataclass
class Authority:
    """``https://127.0.0.1:PORT`` as Entra ID, and ``/metadata`` and ``/token`` as machines have it.

    Attributes:
        url: Its address.
        trusted: The file by which its certificate is trusted.
        folder: Where it keeps files.
        given: How many tokens it gave: they are ``entra-1``, ``entra-2`` and so on.
        seconds: How long they live.
        refusal: Which of `REFUSALS` it answers with; None to give tokens.
        silent: Whether it answers nothing at all.
    """

    url: str
    trusted: Path
    folder: Path
    given: int = 0
    seconds: int = 86_400
    refusal: str | None = None
    silent: bool = False
    bodies: list[bytes] = field(default_factory=list)

    async def handle(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.silent:
            await asyncio.sleep(30)
        elif "/wrong/" in request.path:
            said = "AADSTS90002: Tenant 'wrong' not found. Check with your administrator."
            error = {"error": "invalid_tenant", "error_description": said, "error_codes": [90002]}
            await answer(400, error)(request, writer)
        elif "openid-configuration" in request.path:
            here = f"{self.url}/{TENANT}"
            places = {
                "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
                "token_endpoint": f"{here}/oauth2/v2.0/token",
                "issuer": f"{here}/v2.0",
            }
            await answer(200, places)(request, writer)
        elif self.refusal is not None:
            kind, said = REFUSALS[self.refusal]
            echoed = {"error": kind, "error_description": f"{said}\r\nTrace ID: 0\r\n"}
            await answer(401, echoed)(request, writer)
        else:
            self.bodies.append(request.raw)
            self.given += 1
            body = {
                "access_token": f"entra-{self.given}",
                "expires_in": self.seconds,
                "expires_on": str(int(time.time()) + self.seconds),
                "token_type": "Bearer",
                "resource": "https://cognitiveservices.azure.com",
            }
            await answer(200, body)(request, writer)

    @property
    def options(self) -> dict[str, Any]:
        """What azure-identity needs to be told to come here."""
        return {
            "authority": self.url,
            "disable_instance_discovery": True,
            "connection_verify": str(self.trusted),
        }

    def client_secret(self, tenant: str = TENANT) -> ClientSecretCredential:
        return ClientSecretCredential(tenant, CLIENT, SECRET, **self.options)

    def certificate(self) -> CertificateCredential:
        data = certificate_of_a_principal()
        return CertificateCredential(TENANT, CLIENT, certificate_data=data, **self.options)

    def workload_identity(self) -> WorkloadIdentityCredential:
        file = self.folder / "federated-token"
        file.write_text("of-the-cluster")
        return WorkloadIdentityCredential(
            tenant_id=TENANT, client_id=CLIENT, token_file_path=str(file), **self.options
        )


@contextmanager
def authority(folder: Path) -> Iterator[Authority]:
    """Run one."""
    context, trusted = tls_for_loopback(folder)
    running = Authority("", trusted, folder)
    with Server(running.handle, tls=context) as server:
        running.url = server.url
        yield running


@contextmanager
def machine(url: str, *, app_service: bool = False) -> Iterator[None]:
    """An environment in which a managed identity is to be had at ``url``."""
    variables = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": url}
    if app_service:
        variables = {"IDENTITY_ENDPOINT": f"{url}/token", "IDENTITY_HEADER": SECRET}
    with environment(variables):
        yield


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables, and no others that azure-identity reads."""
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AZURE_", "IDENTITY_", "MSI_", "IMDS_"))
    }
    with mock.patch.dict(os.environ, {**others, **variables}, clear=True):
        yield


def client_of(server: Server, provider: Any, **given: Any) -> AzureOpenAIChatCompletionClient:
    """A client of a server that takes tokens for keys."""
    return AzureOpenAIChatCompletionClient(
        model="gpt-4o",
        api_version="2024-10-21",
        azure_endpoint=server.url,
        azure_ad_token_provider=provider,
        max_retries=0,
        **given,
    )


def closed_port() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@dataclass(frozen=True)
class Failing:
    """A way in which no token is to be had, and what is to be said then.

    Attributes:
        credential: Makes a credential, given an authority.
        said: Words of the next step.
        error: The error.
        refusal: What the authority answers with.
        silent: Whether it answers at all.
    """

    credential: Callable[[Authority], Any]
    said: str
    error: type[NbAgentsError] = AuthenticationError
    refusal: str | None = None
    silent: bool = False


def _nothing(_: Authority) -> DefaultAzureCredential:
    # Without the subprocesses of command-line tools, which may be there on a machine.
    names = (
        "managed_identity",
        "cli",
        "developer_cli",
        "powershell",
        "shared_token_cache",
        "visual_studio_code",
    )
    without: dict[str, Any] = {f"exclude_{name}_credential": True for name in names}
    return DefaultAzureCredential(**without, exclude_broker_credential=True)


def _unreachable(authority: Authority) -> ClientSecretCredential:
    nowhere = closed_port().replace("http:", "https:")
    return ClientSecretCredential(
        TENANT, CLIENT, SECRET, **{**authority.options, "authority": nowhere}, retry_total=0
    )


def _untrusted(authority: Authority) -> ClientSecretCredential:
    options = {**authority.options, "connection_verify": True}
    return ClientSecretCredential(TENANT, CLIENT, SECRET, **options, retry_total=0)


FAILING = {
    "a wrong secret": Failing(
        Authority.client_secret, "its value, not its ID", refusal="wrong secret"
    ),
    "an expired secret": Failing(
        Authority.client_secret, "Make a new client secret", refusal="expired secret"
    ),
    "an unknown client": Failing(
        Authority.client_secret, "Check the client ID", refusal="unknown client"
    ),
    "a wrong tenant": Failing(lambda here: here.client_secret("wrong"), "Check the tenant"),
    "an unknown certificate": Failing(
        Authority.certificate, "Check that the certificate", refusal="unknown certificate"
    ),
    "an unknown federation": Failing(
        Authority.workload_identity, "federated credential", refusal="unknown federation"
    ),
    "an authority that cannot be reached": Failing(_unreachable, "Check the network"),
    "an authority that cannot be trusted": Failing(_untrusted, "Check the network"),
    "a silent authority": Failing(
        Authority.client_secret, "Limits(total=...)", RequestTimeoutError, silent=True
    ),
    "no managed identity": Failing(
        lambda _: ManagedIdentityCredential(retry_total=0), "Give this machine a managed identity"
    ),
    "no credential at all": Failing(_nothing, "Sign in (az login)"),
}
"""The ways; where they need an environment, it is `machine(closed_port())`."""
