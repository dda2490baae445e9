"""A VM calls an API with a token of its managed identity, and the API validates the token.

The client is azure-identity, unmodified; the API uses PyJWT.
"""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential

from pytest_imds import ImdsServer, Vm

API = "api://orders"
# What makes azure-identity ask another service than IMDS.
OTHER_SERVICES = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET")


def token(client_id: str | None = None, scope: str = f"{API}/.default") -> str:
    """The client: ask for a token of the managed identity."""
    with ManagedIdentityCredential(client_id=client_id) as credential:
        return str(credential.get_token(scope).token)


class Api:
    """The API: it trusts one tenant, and lets some callers in."""

    def __init__(self, keys: str, issuer: str, callers: set[str]) -> None:
        self.keys = jwt.PyJWKClient(keys, timeout=5)
        self.issuer = issuer
        self.callers = callers

    def caller(self, bearer: str) -> str:
        """Return the object id of who calls, or raise."""
        key = self.keys.get_signing_key_from_jwt(bearer)
        claims: dict[str, Any] = jwt.decode(bearer, key, algorithms=["RS256"], audience=API, issuer=self.issuer)
        if claims["oid"] not in self.callers:
            raise PermissionError(claims["oid"])
        return str(claims["oid"])


@pytest.fixture(autouse=True)
def _azure_identity_asks_the_test_server(imds_server: ImdsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OTHER_SERVICES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", imds_server.url)


@pytest.fixture
def api(imds_server: ImdsServer, imds_vm: Vm) -> Api:
    return Api(imds_server.identity.jwks_url, imds_server.identity.issuer, {imds_vm.identities[0].object_id})


def test_the_api_lets_the_vm_in(api: Api, imds_vm: Vm) -> None:
    # Catches an API that looks for the caller in the wrong claim.
    assert api.caller(token()) == imds_vm.identities[0].object_id


def test_the_api_refuses_a_token_for_another_resource(api: Api) -> None:
    # Catches an API that does not check the audience: this VM's token for Key Vault would do.
    with pytest.raises(jwt.InvalidAudienceError):
        api.caller(token(scope="https://vault.azure.net/.default"))


def test_the_api_refuses_a_token_of_another_tenant(api: Api, imds_vm: Vm) -> None:
    # Catches an API that takes a good signature for enough: all tenants are signed for by the same keys.
    imds_vm.tenant_id = "8d2b5a4e-3c1f-4a6b-9e7d-0f1a2b3c4d5e"
    with pytest.raises(jwt.InvalidIssuerError):
        api.caller(token())


@pytest.mark.imds_vm(user_identities=2)
def test_the_api_refuses_another_identity_of_the_vm(api: Api, imds_vm: Vm) -> None:
    # Catches an API that asks where a token comes from, and not whose it is.
    with pytest.raises(PermissionError, match=imds_vm.identities[1].object_id):
        api.caller(token(client_id=imds_vm.identities[1].client_id))


@pytest.mark.imds_vm(identity=None, user_identities=2)
def test_a_vm_with_several_identities_has_to_name_one() -> None:
    # Catches a client that works until somebody gives the VM a second identity.
    with pytest.raises(CredentialUnavailableError, match="Multiple user assigned identities exist"):
        token()


def test_a_resource_that_the_tenant_does_not_have_is_named(imds_server: ImdsServer) -> None:
    # Catches a client that takes every failure for a missing identity.
    imds_server.identity.unknown_resource(API)
    with pytest.raises(ClientAuthenticationError, match=f"AADSTS500011.*{API}"):
        token()
