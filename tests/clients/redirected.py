"""What the tests with clients of managed identity share: a variable sends the clients to the server of the test."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.request import urlopen

import jwt
import pytest

from pytest_imds import ImdsServer, data

TIMEOUT_S = 10
VARIABLE = "AZURE_POD_IDENTITY_AUTHORITY_HOST"
TOKEN_PATH = "/metadata/identity/oauth2/token"
# These tell clients that they do not run on a VM, who they are, or that there is a proxy on the way.
MISLEADING = (
    *("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT"),
    *("MSI_ENDPOINT", "MSI_SECRET", "ACC_CLOUD", "ARM_CLOUD_METADATA_URL"),
    *("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"),
    *("AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST"),
    *("AZURE_TOKEN_CREDENTIALS", "AZURE_REGIONAL_AUTHORITY_NAME"),
    *("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
)
# DefaultAzureCredential shall ask for managed identity alone: the others look for files and start programs.
NO_OTHER = {
    f"exclude_{other}_credential": True
    for other in (
        *("environment", "workload_identity", "shared_token_cache", "visual_studio_code", "cli"),
        *("developer_cli", "powershell", "interactive_browser", "broker"),
    )
}
RESOURCE = "https://management.azure.com"
SCOPE = f"{RESOURCE}/.default"
VALID_S: int = data.read("identity")["lifetime"]["valid_s"]


class Asked(NamedTuple):
    """A request that IMDS has answered: its target as it was sent, its Metadata header, and the status."""

    target: str
    metadata: str | None
    status: int


def redirect(monkeypatch: pytest.MonkeyPatch, server: ImdsServer) -> None:
    """Send clients to ``server``, and nowhere else."""
    for name in MISLEADING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv(VARIABLE, server.url)
    connect = socket.socket.connect

    # A client that no longer looks at the variable would ask the real address, where another service may answer.
    def connect_to_loopback(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1", f"a client wants to talk to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_to_loopback)


def error(name: str) -> dict[str, str]:
    """What a reply with the error ``name`` of ``errors.json`` says."""
    said: dict[str, str] = json.loads(data.read("errors")[name]["body"])
    return said


def asked(server: ImdsServer) -> list[Asked]:
    """What IMDS has been asked so far."""
    return [
        Asked(request.environ["RAW_URI"], request.headers.get("Metadata"), response.status_code)
        for request, response in server.log
        if response.headers.get("Server", "").startswith("IMDS/")
    ]


def claims(server: ImdsServer, token: str, resource: str = RESOURCE) -> dict[str, Any]:
    """What a token for ``resource`` claims, once PyJWT has found it in order with the key set that is published."""
    return _verified(token, server.identity.jwks_url, resource, server.identity.issuer)


def claims_by_discovery(server: ImdsServer, token: str, resource: str = RESOURCE) -> dict[str, Any]:
    """The same, where nothing is known of the tenant but its OpenID discovery document."""
    with urlopen(server.identity.openid_configuration_url, timeout=TIMEOUT_S) as response:
        document = json.load(response)
    algorithms = document["id_token_signing_alg_values_supported"]
    return _verified(token, document["jwks_uri"], resource, document["issuer"], algorithms)


def _verified(
    token: str, keys: str, audience: str, issuer: str, algorithms: Sequence[str] = ("RS256",)
) -> dict[str, Any]:
    key = jwt.PyJWKClient(keys, timeout=TIMEOUT_S).get_signing_key_from_jwt(token)
    required = ["aud", "iss", "iat", "nbf", "exp", "appid", "oid", "sub", "tid"]
    content: dict[str, Any] = jwt.decode(
        token, key, algorithms=algorithms, audience=audience, issuer=issuer, options={"require": required}
    )
    return content


class Span:
    """Some time that has passed."""

    def __init__(self) -> None:
        self.begins = self.ends = int(time.time())

    def has(self, moment: float) -> bool:
        """Whether ``moment``, in whole seconds, lies in it."""
        return self.begins <= moment <= self.ends


@contextmanager
def span() -> Iterator[Span]:
    """Take the time of a block."""
    taken = Span()
    yield taken
    taken.ends = int(time.time())
