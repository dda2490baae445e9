"""msal, unmodified, gets tokens from the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from msal import (  # type: ignore[import-untyped]
    ManagedIdentityClient,
    SystemAssignedManagedIdentity,
    UserAssignedManagedIdentity,
)

from pytest_imds import ImdsServer, Vm
from tests.clients.redirected import (
    RESOURCE,
    TOKEN_PATH,
    VALID_S,
    Asked,
    asked,
    claims,
    claims_by_discovery,
    error,
    redirect,
    span,
)

# requests encodes what stands in the query.
TARGET = f"{TOKEN_PATH}?api-version=2018-02-01&resource={quote(RESOURCE, safe='')}"
PARAMETERS = {"client_id": "client_id", "object_id": "object_id", "resource_id": "msi_res_id"}
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(autouse=True)
def _redirected(monkeypatch: pytest.MonkeyPatch, imds_server: ImdsServer) -> None:
    redirect(monkeypatch, imds_server)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """What msal asks through."""
    with requests.Session() as session:
        yield session


def acquire(session: requests.Session, identity: Any = None, resource: str = RESOURCE) -> dict[str, Any]:
    """What a new client returns, which has no token yet."""
    client = ManagedIdentityClient(identity or SystemAssignedManagedIdentity(), http_client=session)
    result: dict[str, Any] = client.acquire_token_for_client(resource=resource)
    return result


@pytest.mark.imds_vm(user_identities=2)
def test_the_system_assigned_identity_answers(session: requests.Session, imds_server: ImdsServer, imds_vm: Vm) -> None:
    with span() as taken:
        result = acquire(session)

    found = claims(imds_server, result["access_token"])
    system = imds_vm.identities[0]
    assert system.system_assigned
    assert (found["oid"], found["appid"], found["tid"]) == (system.object_id, system.client_id, imds_vm.tenant_id)
    assert taken.has(found["exp"] - VALID_S)
    assert (result["token_type"], result["resource"], result["expires_in"]) == ("Bearer", RESOURCE, VALID_S)
    assert asked(imds_server) == [Asked(TARGET, "true", 200)]


@pytest.mark.imds_vm(user_identities=2)
@pytest.mark.parametrize("attribute", PARAMETERS)
def test_a_user_assigned_identity_answers_where_it_is_named(
    attribute: str, session: requests.Session, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    wanted = imds_vm.identities[-1]
    value = getattr(wanted, attribute)

    result = acquire(session, UserAssignedManagedIdentity(**{attribute: value}))

    assert claims(imds_server, result["access_token"])["oid"] == wanted.object_id
    assert asked(imds_server) == [Asked(f"{TARGET}&{PARAMETERS[attribute]}={quote(value, safe='')}", "true", 200)]


@pytest.mark.imds_vm(identity=None, user_identities=1)
def test_the_only_user_assigned_identity_answers_a_client_of_the_system_assigned_one(
    session: requests.Session, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    result = acquire(session)

    assert claims_by_discovery(imds_server, result["access_token"])["oid"] == imds_vm.identities[0].object_id


def test_another_client_gets_the_same_token_with_less_time_left(
    session: requests.Session, imds_server: ImdsServer
) -> None:
    with span() as taken:
        first = acquire(session)
        imds_server.clock.advance(3600)
        second = acquire(session)

    assert second["access_token"] == first["access_token"]
    passed = taken.ends - taken.begins
    assert first["expires_in"] - 3600 - passed <= second["expires_in"] <= first["expires_in"] - 3600


def test_a_token_that_has_ended_gives_way_to_another(session: requests.Session, imds_server: ImdsServer) -> None:
    first = acquire(session)
    imds_server.clock.advance(VALID_S)
    second = acquire(session)

    assert second["access_token"] != first["access_token"]
    assert second["expires_in"] == VALID_S


@pytest.mark.parametrize("attribute", PARAMETERS)
def test_an_identity_that_the_vm_does_not_have_is_an_error(
    attribute: str, session: requests.Session, imds_server: ImdsServer
) -> None:
    result = acquire(session, UserAssignedManagedIdentity(**{attribute: NOBODY}))

    assert result == error("identity-not-found")
    assert asked(imds_server) == [Asked(f"{TARGET}&{PARAMETERS[attribute]}={NOBODY}", "true", 400)]


@pytest.mark.imds_vm(identity=None)
def test_a_vm_without_an_identity_is_an_error(session: requests.Session, imds_server: ImdsServer) -> None:
    assert acquire(session) == error("identity-not-found")
    assert asked(imds_server) == [Asked(TARGET, "true", 400)]


@pytest.mark.imds_vm(identity=None, user_identities=2)
def test_several_identities_of_which_none_is_named_are_an_error(
    session: requests.Session, imds_server: ImdsServer
) -> None:
    assert acquire(session) == error("identity-several")
    assert asked(imds_server) == [Asked(TARGET, "true", 400)]


def test_an_unknown_resource_is_the_error_of_entra(
    session: requests.Session, imds_server: ImdsServer, imds_vm: Vm
) -> None:
    imds_server.identity.unknown_resource(RESOURCE)

    result = acquire(session)

    assert (result["error"], result["error_codes"]) == ("invalid_resource", [500011])
    description, *lines = result["error_description"].split("\r\n")
    assert description.startswith(f"AADSTS500011: The resource principal named {RESOURCE} was not found in the tenant")
    assert imds_vm.tenant_id in description
    assert lines == [
        f"Trace ID: {result['trace_id']}",
        f"Correlation ID: {result['correlation_id']}",
        f"Timestamp: {result['timestamp']}",
    ]
