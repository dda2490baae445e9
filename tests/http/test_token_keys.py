"""What validates tokens, as the server publishes it: the key set and the discovery document; tokens of several VMs."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest

from pytest_imds import Fleet, ImdsServer, ServerFactory, data
from pytest_imds.shared import Shared

VAULT = "https://vault.azure.net"
ANOTHER = "11111111-2222-4333-8444-555555555555"


def issue(server: ImdsServer, which: int = 0) -> str:
    return server.identity.answer(server.vm.identities[which], VAULT)["access_token"]


def said(token: str) -> dict[str, Any]:
    content: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return content


def validated(token: str, server: ImdsServer) -> dict[str, Any]:
    """Validate a token as an application does: it knows the URL of the discovery document, and nothing else."""
    document = json.loads(get(server.identity.openid_configuration_url)[2])
    keys = jwt.PyJWKSet.from_dict(json.loads(get(document["jwks_uri"])[2]))
    key = keys[jwt.get_unverified_header(token)["kid"]]
    algorithms = document["id_token_signing_alg_values_supported"]
    content: dict[str, Any] = jwt.decode(
        token, key.key, algorithms=algorithms, audience=VAULT, issuer=document["issuer"]
    )
    return content


def get(url: str) -> tuple[int, str | None, bytes]:
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()
    finally:
        connection.close()


def test_the_discovery_document_names_the_issuer_and_the_key_set(imds_server: ImdsServer) -> None:
    identity = imds_server.identity
    status, content_type, body = get(identity.openid_configuration_url)
    document = json.loads(body)

    assert (status, content_type) == (200, "application/json; charset=utf-8")
    assert document["issuer"] == identity.issuer
    assert document["id_token_signing_alg_values_supported"] == ["RS256"]
    assert document["jwks_uri"] == identity.jwks_url
    assert document["token_endpoint"].startswith(f"{imds_server.url}/{imds_server.vm.tenant_id}/")


def test_a_token_is_validated_with_nothing_but_the_url_of_the_discovery_document(imds_server: ImdsServer) -> None:
    assert validated(issue(imds_server), imds_server)["tid"] == imds_server.vm.tenant_id


def test_a_client_library_finds_the_key_by_the_url(imds_server: ImdsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    identity = imds_server.identity
    token = issue(imds_server)
    key = jwt.PyJWKClient(identity.jwks_url, timeout=5).get_signing_key_from_jwt(token)

    assert jwt.decode(token, key.key, algorithms=["RS256"], audience=VAULT, issuer=identity.issuer)["aud"] == VAULT


@pytest.mark.parametrize("tenant", ["common", "{tenant}"])
@pytest.mark.parametrize("keys", data.read("identity")["discovery"]["keys"])
def test_the_key_set_is_at_every_path_of_entra(imds_server: ImdsServer, tenant: str, keys: str) -> None:
    path = f"/{tenant.format(tenant=imds_server.vm.tenant_id)}/{keys}"

    assert json.loads(get(f"{imds_server.url}{path}")[2]) == imds_server.identity.jwks


@pytest.mark.parametrize(
    "path",
    [
        "/{stranger}/.well-known/openid-configuration",
        "/{stranger}/discovery/keys",
        "/{tenant}",
        "/{tenant}/",
        "/{tenant}/discovery",
        "/{tenant}/oauth2/token",
        "/discovery/keys",
        "/.well-known/openid-configuration",
    ],
)
def test_a_stranger_s_tenant_and_other_paths_are_404(imds_server: ImdsServer, path: str) -> None:
    url = path.format(stranger=ANOTHER, tenant=imds_server.vm.tenant_id)

    assert get(f"{imds_server.url}{url}")[0] == 404


def test_a_tenant_that_a_test_assigns_is_the_tenant_of_the_next_token(imds_server: ImdsServer) -> None:
    identity, machine = imds_server.identity, imds_server.vm
    issue(imds_server)
    before = identity.openid_configuration_url
    machine.tenant_id = ANOTHER

    content = validated(issue(imds_server), imds_server)
    assert content["tid"] == machine.tenant_id
    assert content["iss"] == f"https://sts.windows.net/{machine.tenant_id}/"
    assert (get(before)[0], get(identity.openid_configuration_url)[0]) == (404, 200)


def test_a_token_of_another_vm_has_a_good_signature_and_another_issuer(make_imds_server: ServerFactory) -> None:
    one, other = make_imds_server(), make_imds_server()
    token = issue(one)

    assert one.vm.tenant_id != other.vm.tenant_id
    assert validated(token, one)["tid"] == one.vm.tenant_id
    with pytest.raises(jwt.InvalidIssuerError):
        validated(token, other)


def test_tokens_of_the_vms_of_a_fleet_differ_in_what_is_opaque() -> None:
    fleet, session = Fleet(), Shared()
    members = [ImdsServer("scale-set", seed=7, fleet=fleet, shared=session, user_identities=1) for _ in range(3)]
    contents = [said(issue(member, 1)) for member in members]

    assert len({content["oid"] for content in contents}) == 1
    assert len({content["uti"] for content in contents}) == 3
