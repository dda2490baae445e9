"""Access tokens: what they say, who signed them, and what validates them."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from hashlib import sha1
from random import Random
from typing import Any, cast

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from pytest_imds import Identity, ImdsServer, TokenIssuer, Vm, data
from pytest_imds.clock import Clock
from pytest_imds.shared import Shared
from pytest_imds.trust.authority import Authority
from tests import hosts
from tests.documents import vm

VAULT = "https://vault.azure.net"
CLAIMS = {
    "aud": str,
    "iss": str,
    "iat": int,
    "nbf": int,
    "exp": int,
    "aio": str,
    "appid": str,
    "appidacr": str,
    "idp": str,
    "idtyp": str,
    "oid": str,
    "rh": str,
    "sub": str,
    "tid": str,
    "uti": str,
    "ver": str,
    "xms_az_rid": str,
    "xms_cae": str,
    "xms_mirid": str,
    "xms_tcdt": int,
}
OPAQUE = ("aio", "rh", "uti")
ISSUERS = {
    "AzurePublicCloud": "https://sts.windows.net/",
    "AzureUSGovernmentCloud": "https://sts.windows.net/",
    "AzureChinaCloud": "https://sts.chinacloudapi.cn/",
    "AzureGermanCloud": "https://sts.microsoftazure.de/",
}
# What only the holder of a private RSA key has (RFC 7518, 6.3.2), and the key of a symmetric one.
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def issue(issuer: TokenIssuer, identity: Identity, resource: str = VAULT) -> str:
    return issuer.answer(identity, resource)["access_token"]


def said(token: str) -> dict[str, Any]:
    """Return the claims, in their order, without validating anything."""
    part = token.split(".")[1]
    content: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return content


def claims_of(machine: Vm, which: int = 0) -> dict[str, Any]:
    return said(issue(hosts.host(machine).identity, machine.identities[which]))


def validated(token: str, issuer: TokenIssuer, resource: str = VAULT) -> dict[str, Any]:
    """Validate a token as an application does that has the key set."""
    keys = jwt.PyJWKSet.from_dict(cast("dict[str, Any]", issuer.jwks))
    key = keys[jwt.get_unverified_header(token)["kid"]]
    content: dict[str, Any] = jwt.decode(token, key.key, algorithms=["RS256"], audience=resource, issuer=issuer.issuer)
    return content


@pytest.mark.parametrize("which", [0, 1], ids=["system", "user"])
def test_claims_have_their_order_and_types(which: int) -> None:
    content = claims_of(vm(user_identities=1), which)
    expected = {name: kind for name, kind in CLAIMS.items() if which or name != "xms_az_rid"}

    assert {name: type(value) for name, value in content.items()} == expected
    assert list(content) == list(expected)


@pytest.mark.parametrize("which", [0, 1], ids=["system", "user"])
def test_claims_name_the_identity_the_tenant_and_the_resource(which: int) -> None:
    machine = vm(user_identities=1)
    identity, content = machine.identities[which], claims_of(machine, which)

    assert content["aud"] == VAULT
    assert content["appid"] == identity.client_id
    assert content["oid"] == content["sub"] == identity.object_id
    assert content["tid"] == machine.tenant_id
    assert {name: content[name] for name in ("appidacr", "idtyp", "ver", "xms_cae")} == {
        "appidacr": "2",
        "idtyp": "app",
        "ver": "1.0",
        "xms_cae": "1",
    }


def test_times_are_those_of_the_reply() -> None:
    machine = vm()
    answer = hosts.host(machine).identity.answer(machine.identities[0], VAULT)
    content = said(answer["access_token"])

    assert content["iat"] == content["nbf"] == int(answer["not_before"])
    assert content["exp"] == int(answer["expires_on"]) == content["iat"] + 86700


def test_opaque_claims_have_the_form_of_real_ones() -> None:
    content = claims_of(vm())

    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", content["uti"])
    assert re.fullmatch(r"0\.A[A-Za-z0-9_-]+\.", content["rh"])
    assert re.fullmatch(r"[A-Za-z0-9_-]+", content["aio"])


@pytest.mark.parametrize(
    ("profile", "machine"),
    [
        ("linux", "virtualMachines/{vm.name}"),
        ("windows", "virtualMachines/{vm.name}"),
        ("scale-set-flex", "virtualMachines/{vm.name}"),
        ("scale-set", "virtualMachineScaleSets/{vm.vm_scale_set_name}"),
    ],
)
def test_claims_name_the_machine_or_its_uniform_scale_set(profile: str, machine: str) -> None:
    one = vm(profile, user_identities=1)
    group = f"/subscriptions/{one.subscription_id}/resourcegroups/{one.resource_group_name}/providers"
    of_machine = f"{group}/Microsoft.Compute/{machine.format(vm=one)}"
    name = one.identities[1].resource_id.rpartition("/")[2]
    of_user = f"{group}/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"

    assert claims_of(one, 0)["xms_mirid"] == of_machine
    assert claims_of(one, 1)["xms_mirid"] == of_user
    assert claims_of(one, 1)["xms_az_rid"] == of_machine


@pytest.mark.parametrize("cloud", data.read("clouds")["clouds"])
def test_every_cloud_has_its_issuer(cloud: str) -> None:
    machine = vm(cloud=cloud)
    content = claims_of(machine)

    assert content["iss"] == content["idp"] == f"{ISSUERS[cloud]}{machine.tenant_id}/"
    assert hosts.host(machine).identity.issuer == content["iss"]


def test_opaque_claims_can_be_had_again_by_their_seed() -> None:
    machine = vm(user_identities=1)

    def opaque(seed: int) -> list[list[str]]:
        issuer = hosts.host(machine, seed=seed).identity
        tokens = [said(issue(issuer, identity)) for identity in machine.identities]
        return [[token[name] for name in OPAQUE] for token in tokens]

    assert opaque(1) == opaque(1) != opaque(2)
    assert opaque(1)[0] != opaque(1)[1]


def test_the_header_names_the_algorithm_and_the_key() -> None:
    machine = vm()
    issuer = hosts.host(machine).identity
    header = jwt.get_unverified_header(issue(issuer, machine.identities[0]))

    (key,) = issuer.jwks["keys"]
    assert list(header.items()) == [("typ", "JWT"), ("alg", "RS256"), ("x5t", key["x5t"]), ("kid", key["kid"])]


def test_the_key_set_has_one_public_key_and_nothing_private() -> None:
    (key,) = hosts.host(vm()).identity.jwks["keys"]

    assert list(key) == ["kty", "use", "kid", "x5t", "n", "e", "x5c"]
    assert not PRIVATE & key.keys()
    assert (key["kty"], key["use"], key["e"]) == ("RSA", "sig", "AQAB")


def test_the_key_is_known_by_the_thumbprint_of_a_certificate_that_has_it() -> None:
    (key,) = hosts.host(vm()).identity.jwks["keys"]
    (encoded,) = key["x5c"]
    certificate = x509.load_der_x509_certificate(b64decode(encoded, validate=True))
    public = cast("RSAPublicKey", certificate.public_key()).public_numbers()

    thumbprint = urlsafe_b64encode(sha1(b64decode(encoded), usedforsecurity=False).digest()).decode().rstrip("=")
    assert key["kid"] == key["x5t"] == thumbprint
    assert public == cast("RSAPublicKey", jwt.PyJWK(key).key).public_numbers()
    assert public.n.bit_length() == 2048
    assert "NOT MICROSOFT" in certificate.subject.rfc4514_string()


def test_a_token_is_validated_with_the_key_set() -> None:
    machine = vm(user_identities=1)
    issuer = hosts.host(machine).identity

    assert validated(issue(issuer, machine.identities[1]), issuer)["oid"] == machine.identities[1].object_id


@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "claims", "signature"])
def test_a_token_that_was_changed_is_refused(part: int) -> None:
    machine = vm()
    issuer = hosts.host(machine).identity
    parts = issue(issuer, machine.identities[0]).split(".")
    content = urlsafe_b64decode(parts[part] + "==").replace(b'"typ":"JWT"', b'"typ":"jwt"')
    content = content.replace(machine.tenant_id.encode(), b"0" * 36)
    parts[part] = urlsafe_b64encode(content if part < 2 else bytes([content[0] ^ 1]) + content[1:]).decode().rstrip("=")

    with pytest.raises(jwt.InvalidSignatureError):
        validated(".".join(parts), issuer)


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_tokens_are_signed_with_rsa_whatever_the_authorities_have(kind: str) -> None:
    authority, machine = Authority(kind), vm()
    issuer = TokenIssuer(machine, Clock(), Random(0), lambda: authority, hosts.ADDRESSES.__getitem__)
    token = issue(issuer, machine.identities[0])

    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    assert validated(token, issuer)["aud"] == VAULT


def test_the_key_is_the_sessions_and_no_other_sessions() -> None:
    session = Shared()
    one, other, stranger = ImdsServer(shared=session), ImdsServer("windows", shared=session), ImdsServer()

    assert one.identity.jwks == other.identity.jwks
    (ours,), (theirs,) = one.identity.jwks["keys"], stranger.identity.jwks["keys"]
    assert {ours["kid"], ours["n"]}.isdisjoint({theirs["kid"], theirs["n"]})


def test_an_identity_that_a_test_changes_is_the_one_of_the_next_token() -> None:
    machine = vm()
    issuer = hosts.host(machine).identity
    issue(issuer, machine.identities[0])
    machine.identities[0].object_id = "11111111-2222-4333-8444-555555555555"

    assert said(issue(issuer, machine.identities[0]))["oid"] == machine.identities[0].object_id


def test_requests_at_once_get_the_same_token() -> None:
    """All of them are in the middle of making one, as when the first token of a session waits for its key."""
    machine, count = vm(), 4
    together = threading.Barrier(count)

    def authority() -> Authority:
        with suppress(threading.BrokenBarrierError):  # one after another is as good
            together.wait(timeout=1)
        return hosts.AUTHORITY

    issuer = TokenIssuer(machine, Clock(), Random(0), authority, hosts.ADDRESSES.__getitem__)
    tokens: list[str] = []
    threads = [
        threading.Thread(target=lambda: tokens.append(issue(issuer, machine.identities[0]))) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)

    assert len(tokens) == count
    assert len(set(tokens)) == 1
