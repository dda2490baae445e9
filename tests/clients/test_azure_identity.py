"""azure-identity, unmodified, gets tokens from the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.credentials import AccessTokenInfo
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, DefaultAzureCredential, ManagedIdentityCredential
from azure.identity.aio import DefaultAzureCredential as AsyncDefaultAzureCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential

from pytest_imds import ImdsServer, Vm
from tests.clients.redirected import (
    NO_OTHER,
    RESOURCE,
    SCOPE,
    TOKEN_PATH,
    VALID_S,
    VARIABLE,
    Asked,
    asked,
    claims,
    claims_by_discovery,
    error,
    redirect,
    span,
)

# It does not encode the slashes and colons in a query.
TARGET = f"{TOKEN_PATH}?api-version=2018-02-01&resource={RESOURCE}"
Credential = Any
Kind = Callable[..., Credential]
# How each class calls the id of the resource that an identity is. The asynchronous one sends whatever it is given.
RESOURCE_ID: dict[Kind, str] = {ManagedIdentityCredential: "resource_id", AsyncManagedIdentityCredential: "msi_res_id"}


def ask(credential: Credential, *scopes: str) -> list[AccessTokenInfo]:
    """Ask a credential for tokens, one after the other, and close it."""
    if isinstance(credential, (ManagedIdentityCredential, DefaultAzureCredential)):
        with credential:
            return [credential.get_token_info(scope) for scope in scopes]

    async def ask_it() -> list[AccessTokenInfo]:
        async with credential:
            return [await credential.get_token_info(scope) for scope in scopes]

    return asyncio.run(ask_it())


@pytest.fixture(autouse=True)
def _redirected(monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer) -> None:
    redirect(monkeypatch, imds_server)


@pytest.fixture(params=RESOURCE_ID, ids=["sync", "async"])
def managed(request: pytest.FixtureRequest) -> Kind:
    """The class of a credential."""
    of_class: Kind = request.param
    return of_class


@pytest.fixture(params=[DefaultAzureCredential, AsyncDefaultAzureCredential], ids=["sync", "async"])
def default(request: pytest.FixtureRequest) -> Kind:
    """The class of a chain of credentials."""
    of_class: Kind = request.param
    return of_class


@pytest.mark.imds_vm(user_identities=2)
def test_the_system_assigned_identity_answers_where_none_is_named(
    managed: Kind, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    with span() as taken:
        (token,) = ask(managed(), SCOPE)

    found = claims(imds_server, token.token)
    system = imds_vm.identities[0]
    assert system.system_assigned
    assert (found["oid"], found["sub"], found["appid"]) == (system.object_id, system.object_id, system.client_id)
    assert found["tid"] == imds_vm.tenant_id
    assert found["xms_mirid"].lower() == imds_vm.resource_id.lower()
    assert taken.has(found["exp"] - VALID_S)
    assert taken.has(token.expires_on - VALID_S)
    assert token.token_type == "Bearer"
    assert asked(imds_server) == [Asked(TARGET, "true", 200)]


@pytest.mark.imds_vm(user_identities=2)
@pytest.mark.parametrize(
    ("attribute", "parameter"),
    [("client_id", "client_id"), ("object_id", "object_id"), ("resource_id", "msi_res_id")],
)
def test_a_user_assigned_identity_answers_where_it_is_named(
    managed: Kind, attribute: str, parameter: str, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    wanted = imds_vm.identities[-1]
    name = RESOURCE_ID[managed] if attribute == "resource_id" else attribute
    value = getattr(wanted, attribute)

    (token,) = ask(managed(identity_config={name: value}), SCOPE)

    found = claims(imds_server, token.token)
    assert (found["oid"], found["appid"]) == (wanted.object_id, wanted.client_id)
    assert found["xms_mirid"].lower() == wanted.resource_id.lower()
    assert asked(imds_server) == [Asked(f"{TARGET}&{parameter}={value}", "true", 200)]


@pytest.mark.imds_vm(identity=None, user_identities=1)
def test_the_only_user_assigned_identity_answers_where_none_is_named(
    managed: Kind, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    (token,) = ask(managed(), SCOPE)

    assert claims(imds_server, token.token)["oid"] == imds_vm.identities[0].object_id


def test_the_discovery_document_leads_to_the_key_of_a_token(
    managed: Kind, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    (token,) = ask(managed(), SCOPE)

    assert claims_by_discovery(imds_server, token.token)["oid"] == imds_vm.identities[0].object_id


def test_get_token_gives_the_token_of_get_token_info(imds_server: ImdsServer) -> None:
    with ManagedIdentityCredential() as credential:
        info = credential.get_token_info(SCOPE)
        token = credential.get_token(SCOPE)

    assert token.token == info.token


def test_a_slash_at_the_end_of_the_resource_is_part_of_the_audience(managed: Kind, imds_server: ImdsServer) -> None:
    (token,) = ask(managed(), f"{RESOURCE}//.default")

    assert claims(imds_server, token.token, f"{RESOURCE}/")["aud"] == f"{RESOURCE}/"
    assert asked(imds_server) == [Asked(f"{TARGET}/", "true", 200)]


def test_a_credential_keeps_its_token(managed: Kind, imds_server: ImdsServer) -> None:
    first, second = ask(managed(), SCOPE, SCOPE)

    assert second.token == first.token
    assert len(asked(imds_server)) == 1


def test_another_credential_gets_the_same_token_with_less_time_left(imds_server: ImdsServer) -> None:
    with span() as taken:
        (first,) = ask(ManagedIdentityCredential(), SCOPE)
        imds_server.clock.advance(3600)
        (second,) = ask(ManagedIdentityCredential(), SCOPE)

    assert second.token == first.token
    # The client adds what is left to the time of its own clock, which has not been moved on.
    assert taken.has(second.expires_on - VALID_S + 3600)


def test_another_asynchronous_credential_gets_the_same_token_with_the_same_end(imds_server: ImdsServer) -> None:
    (first,) = ask(AsyncManagedIdentityCredential(), SCOPE)
    imds_server.clock.advance(3600)
    (second,) = ask(AsyncManagedIdentityCredential(), SCOPE)

    # It believes what it is told: expires_on.
    assert (second.token, second.expires_on) == (first.token, first.expires_on)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"client_id": "00000000-0000-0000-0000-000000000000"}, "identity-not-found", id="wrong"),
        pytest.param(
            {}, "identity-not-found", id="no-identity", marks=pytest.mark.imds_vm(identity=None, user_identities=0)
        ),
        pytest.param({}, "identity-several", id="several", marks=pytest.mark.imds_vm(identity=None, user_identities=2)),
    ],
)
def test_a_credential_says_why_it_gets_no_token(
    managed: Kind, options: dict[str, str], reason: str, imds_server: ImdsServer
) -> None:
    with pytest.raises(CredentialUnavailableError) as caught:
        ask(managed(**options), SCOPE)

    ((_, metadata, status),) = asked(imds_server)  # it does not try again
    assert (metadata, status) == ("true", 400)
    assert error(reason)["error_description"] in caught.value.message


def test_a_credential_passes_on_what_entra_says_of_an_unknown_resource(
    managed: Kind, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    imds_server.identity.unknown_resource("https://vault.azure.net")

    with pytest.raises(CredentialUnavailableError) as caught:
        ask(managed(), "https://vault.azure.net/.default")

    assert (
        "AADSTS500011: The resource principal named https://vault.azure.net was not found in the tenant named "
        f"{imds_vm.tenant_id}."
    ) in caught.value.message
    assert [status for _, _, status in asked(imds_server)] == [400]


def test_the_probe_without_the_header_finds_the_service(
    default: Kind, monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    # A credential looks for the variable when it is made, and does not probe where it is set; where to ask, it looks
    # up for each request. So this one probes, and probes the server.
    monkeypatch.delenv(VARIABLE)
    credential = default(**NO_OTHER)
    monkeypatch.setenv(VARIABLE, imds_server.url)

    (token,) = ask(credential, SCOPE)

    assert claims(imds_server, token.token)["oid"] == imds_vm.identities[0].object_id
    assert asked(imds_server) == [Asked(TARGET, None, 400), Asked(TARGET, "true", 200)]


@pytest.mark.imds_vm(user_identities=1)
def test_the_default_credential_takes_the_client_id_of_an_identity(
    default: Kind, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    wanted = imds_vm.identities[-1]

    (token,) = ask(default(managed_identity_client_id=wanted.client_id, **NO_OTHER), SCOPE)

    assert claims(imds_server, token.token)["oid"] == wanted.object_id
    assert asked(imds_server) == [Asked(f"{TARGET}&client_id={wanted.client_id}", "true", 200)]


@pytest.mark.imds_vm(identity=None)
def test_the_default_credential_says_why_it_gets_no_token(default: Kind, imds_server: ImdsServer) -> None:
    with pytest.raises(ClientAuthenticationError) as caught:
        ask(default(**NO_OTHER), SCOPE)

    assert error("identity-not-found")["error_description"] in caught.value.message
