"""IMDSv2: what a certificate is asked for with, and the certificate."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pytest_imds import data
from pytest_imds.host import Host
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Reply, Request
from pytest_imds.trust.attestation import Attestation
from pytest_imds.trust.authority import Authority
from pytest_imds.trust.setting import Setting
from pytest_imds.vm.model import Vm
from pytest_imds.vm.provider import generate, generator
from tests import hosts
from tests.every import every

PLATFORM, CREDENTIAL = "/metadata/identity/getplatformmetadata", "/metadata/identity/issuecredential"
VERBS = {PLATFORM: "GET", CREDENTIAL: "POST"}
VERSION = "cred-api-version=2.0"
FACTS = data.read("identity")
CU_ID = FACTS["v2-credential"]["cu_id_attribute"]
PADDINGS = {"pss": PSS(MGF1(SHA256()), SHA256.digest_size), "pkcs1": PKCS1v15()}
NOBODY = "00000000-0000-0000-0000-000000000000"
OPENSSL = shutil.which("openssl") or ""
TIMEOUT_S = 10


@cache
def key(name: str = "rsa") -> Any:
    return ec.generate_private_key(ec.SECP384R1()) if name == "ec" else rsa.generate_private_key(65537, 2048)


@cache
def authority(keys: str) -> Authority:
    return hosts.AUTHORITY if keys == "rsa" else Authority(keys)


@cache
def vm(profile: str = "linux", **knobs: Any) -> Vm:
    return generate(generator(), profile, "identity v2", knobs)


def host(profile: str = "linux", **knobs: Any) -> Host:
    return hosts.host(vm(profile, **knobs), identity_v2=True)


def ask(host: Host, path: str = PLATFORM, query: str = VERSION, body: bytes = b"", **changed: Any) -> Reply:
    return handle(replace(Request(VERBS[path], path, query, {"metadata": "true"}, body), **changed), host)


def told(reply: Reply) -> tuple[int, str, bytes]:
    return reply.status, dict(reply.headers)["Content-Type"], reply.body


def error(name: str) -> tuple[int, str, bytes]:
    row = data.read("errors")[name]
    return row["status"], row["content_type"], row["body"].encode()


def platform(host: Host, query: str = VERSION) -> Any:
    reply = ask(host, query=query)
    assert reply.status == 200
    return json.loads(reply.body)


def csr(said: Mapping[str, Any], private: Any = None, padding: str = "pss", **changed: Any) -> bytes:
    """The request that what getplatformmetadata said asks for, as MSAL writes it, with some parts changed."""
    parts = {"cn": said["clientId"], "dc": said["tenantId"], "cu_id": json.dumps(said["cuId"]), "oid": CU_ID, **changed}
    cu_id = parts["cu_id"].replace("%s", said["cuId"]["vmId"])
    names = [(NameOID.COMMON_NAME, parts["cn"]), (NameOID.DOMAIN_COMPONENT, parts["dc"]), *parts.get("others", ())]
    builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(*name) for name in names]))
    builder = builder.add_attribute(x509.ObjectIdentifier(parts["oid"]), cu_id.encode())
    private = private or key()
    options: dict[str, Any] = {"rsa_padding": PADDINGS[padding]} if isinstance(private, rsa.RSAPrivateKey) else {}
    return builder.sign(private, SHA256(), **options).public_bytes(Encoding.DER)


def body(csr: bytes, **others: Any) -> bytes:
    return json.dumps({"csr": b64encode(csr).decode(), **others}).encode()


def issued(host: Host, query: str = VERSION, *how: Any) -> Any:
    reply = ask(host, CREDENTIAL, query, body(csr(platform(host, query), *how), attestation_token="token"))
    assert reply.status == 200
    return json.loads(reply.body)


def certificate(members: Mapping[str, str]) -> x509.Certificate:
    return x509.load_der_x509_certificate(b64decode(members["certificate"], validate=True))


def public(key: Any) -> Any:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


NAMES_OF_THE_FIRST = ("msi_res_id", "resource", "api-version", "principal_id")
NEITHER_STEP: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("identity-header-missing", {"headers": {}}, {}),
    ("method", {"method": "PUT"}, {}),
    *(("identity-v2-version", {"query": query}, {}) for query in ("", "cred-api-version=1.0", "api-version=2.0")),
    *(("identity-v2-unsupported", {"query": f"{VERSION}&{name}=x"}, {}) for name in NAMES_OF_THE_FIRST),
    ("identity-not-found", {}, {"identity": None}),
    ("identity-not-found", {"query": f"{VERSION}&client_id={NOBODY}"}, {"user_identities": 1}),
    ("identity-not-found", {"query": f"{VERSION}&client_id="}, {}),
    ("identity-selectors", {"query": f"{VERSION}&client_id=x&object_id=y"}, {}),
    ("identity-several", {}, {"identity": None, "user_identities": 2}),
]


@every("path", VERBS)
@every(("name", "asked", "knobs"), NEITHER_STEP)
def test_both_steps_refuse_alike(path: str, name: str, asked: dict[str, Any], knobs: dict[str, Any]) -> None:
    assert told(ask(host(**knobs), path, **asked)) == error(name)


@pytest.mark.parametrize("path", VERBS)
@pytest.mark.parametrize("headers", [{}, {"metadata": "true"}], ids=["probe", "request"])
def test_a_service_that_has_only_the_first_version_answers_404(path: str, headers: dict[str, str]) -> None:
    assert told(ask(hosts.host(vm()), path, headers=headers)) == error("category-unknown")


def test_platform_metadata_is_compact_json_from_imds() -> None:
    server = host()
    reply = ask(server)

    identity, endpoint = server.vm.identities[0], FACTS["v2-platform"]["attestation_endpoint"]
    cu_id, client_id, tenant_id = f'{{"vmId":"{server.vm.vm_id}"}}', identity.client_id, server.vm.tenant_id
    written = f'"clientId":"{client_id}","tenantId":"{tenant_id}","attestationEndpoint":"{endpoint}"'
    assert told(reply) == (200, "application/json; charset=utf-8", f'{{"cuId":{cu_id},{written}}}'.encode())
    assert "IMDS" in dict(reply.headers)["Server"]


@pytest.mark.parametrize(("profile", "named"), [("linux", False), ("scale-set", True), ("scale-set-flex", False)])
def test_the_vm_of_a_uniform_scale_set_names_the_set(profile: str, named: bool) -> None:
    server = host(profile)
    group = {"vmssId": server.vm.placement_group_id} if named else {}

    assert platform(server)["cuId"] == {"vmId": server.vm.vm_id, **group}
    assert all(group.values())


@pytest.mark.parametrize("knobs", [{"user_identities": 2}, {"identity": None, "user_identities": 1}], ids=str)
def test_an_identity_that_goes_without_saying_is_chosen(knobs: dict[str, Any]) -> None:
    server = host(**knobs)

    assert platform(server)["clientId"] == server.vm.identities[0].client_id


@pytest.mark.parametrize("parameter", ["client_id", "object_id", "mi_res_id"])
def test_an_identity_is_chosen_by_name(parameter: str) -> None:
    server = host(user_identities=2)
    wanted = server.vm.identities[2]
    query = f"{VERSION}&{parameter}={getattr(wanted, FACTS['selectors']['by'][parameter])}"

    assert platform(server, query)["clientId"] == issued(server, query)["client_id"] == wanted.client_id


@pytest.mark.parametrize("others", ["&bypass_cache=true", "&cid=x"])
def test_a_parameter_that_clients_send_besides_changes_nothing(others: str) -> None:
    assert platform(host(), VERSION + others) == platform(host())


@pytest.mark.parametrize(("number", "kind"), [(0, "SAMI"), (1, "UAMI")])
def test_a_credential_has_five_strings(number: int, kind: str) -> None:
    server = host(user_identities=1)
    wanted = server.vm.identities[number]
    members = issued(server, f"{VERSION}&client_id={wanted.client_id}")

    assert list(members.items()) == [
        ("client_id", wanted.client_id),
        ("tenant_id", server.vm.tenant_id),
        ("certificate", members["certificate"]),
        ("identity_type", kind),
        ("mtls_authentication_endpoint", FACTS["v2-credential"]["mtls_authentication_endpoint"]),
    ]


@pytest.mark.parametrize("how", [("rsa", "pss"), ("rsa", "pkcs1"), ("ec",)], ids="-".join)
def test_a_certificate_has_the_key_and_the_names_of_the_request(how: tuple[str, ...]) -> None:
    server, private = host(), key(how[0])
    made = certificate(issued(server, VERSION, private, *how[1:]))

    assert public(made.public_key()) == public(private.public_key())
    names = [(NameOID.COMMON_NAME, server.vm.identities[0].client_id), (NameOID.DOMAIN_COMPONENT, server.vm.tenant_id)]
    assert [(part.oid, part.value) for part in made.subject] == names


def test_a_certificate_is_a_new_one_for_clients() -> None:
    server = host()
    extensions = (made := certificate(issued(server))).extensions

    assert made.serial_number != certificate(issued(server)).serial_number
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("days", [0, 3650])
def test_a_certificate_is_valid_for_seven_days_of_the_hosts_time(days: int) -> None:
    server = host()
    server.clock.advance(days * 86_400)
    now, made = datetime.fromtimestamp(server.clock.time(), timezone.utc), certificate(issued(server))

    assert timedelta(minutes=1) < now - made.not_valid_before_utc < timedelta(minutes=10)
    assert abs(made.not_valid_after_utc - now - timedelta(days=7)) < timedelta(seconds=TIMEOUT_S)


@pytest.mark.parametrize("chain", data.read("chains"))
@pytest.mark.parametrize("keys", ["rsa", "ec"])
def test_a_certificate_is_issued_by_the_root_of_trust(chain: str, keys: str) -> None:
    server = host()
    server.authority = partial(authority, keys)
    server.attestation = Attestation(
        server.vm, server.clock, "2021-02-01", Setting(chain), server.authority, hosts.ADDRESSES.__getitem__
    )
    made, root = certificate(issued(server)), x509.load_pem_x509_certificate(server.attestation.root_pem)

    made.verify_directly_issued_by(root)  # raises, if not
    assert made.not_valid_after_utc < root.not_valid_after_utc


# What the request and the body around it may say in place of what MSAL writes; %s is the VM's id.
TAKEN: list[dict[str, Any]] = [{"token": None}, {"token": "ey"}, {"cu_id": '{"vmId":"%s","vmssId":null}'}]
REFUSED: list[dict[str, Any]] = [
    *({"token": token} for token in (1, True, ["ey"], {"ey": ""})),
    {"cn": NOBODY},
    {"dc": NOBODY},
    {"others": [(NameOID.ORGANIZATION_NAME, "Contoso")]},
    {"oid": "1.2.840.113549.1.9.7"},
    *({"cu_id": cu_id} for cu_id in ('{"vmId":"%s","vmssId":""}', '{"vmId":"x"}', "{}", '"%s"', "{", "[" * 100_000)),
]


@every("said", [{}, *TAKEN, *REFUSED])
def test_a_request_is_the_identitys_and_the_vms_or_is_refused(said: dict[str, Any]) -> None:
    server = host()
    others = {f"attestation_{name}": said[name] for name in said.keys() & {"token"}}
    reply = ask(server, CREDENTIAL, body=body(csr(platform(server), **said), **others))
    assert told(reply) == error("identity-v2-csr") if said in REFUSED else reply.status == 200


BODIES = [b"", b"{", b'{"csr":"\xff"}', b"[" * 100_000, b"[]", b'"csr"', b"{}", b'{"csr":null}', b'{"csr":1}']
BODIES += [f'{{"csr":"{text}"}}'.encode() for text in ("", "%", "é", "AAAA", "-----BEGIN CERTIFICATE REQUEST-----")]


@every("sent", BODIES)
def test_a_body_without_a_request_is_refused(sent: bytes) -> None:
    assert told(ask(host(), CREDENTIAL, body=sent)) == error("identity-v2-csr")


@pytest.mark.parametrize("padding", PADDINGS)
def test_a_damaged_request_is_refused_wherever_the_damage_is(padding: str) -> None:
    server = host()
    good = csr(platform(server), key(), padding)
    damaged = [bytes((*good[:at], good[at] ^ 0x55, *good[at + 1 :])) for at in range(0, len(good), 2)]
    damaged += [good[:length] for length in range(1, len(good), 16)]
    damaged += [good + b"\0", good.replace(public(key().public_key()), public(key("another").public_key()))]
    sent = [*map(body, damaged), body(good).replace(b'": "', b'": "\\n')]
    assert {told(ask(server, CREDENTIAL, body=one)) for one in sent} == {error("identity-v2-csr")}


@pytest.mark.skipif(not OPENSSL, reason="OpenSSL is not installed")
def test_openssl_makes_a_request_and_verifies_the_certificate(tmp_path: Path) -> None:
    def openssl(command: str) -> str:
        arguments = [OPENSSL, *command.split()]
        return subprocess.run(
            arguments, cwd=tmp_path, capture_output=True, check=True, timeout=TIMEOUT_S
        ).stdout.decode()

    server = host()
    said = platform(server)
    (tmp_path / "key").write_bytes(key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "config").write_text(
        "[req]\nprompt = no\nstring_mask = utf8only\ndistinguished_name = names\nattributes = attributes\n[names]\n"
        f"CN = {said['clientId']}\nDC = {said['tenantId']}\n[attributes]\n{CU_ID} = '{json.dumps(said['cuId'])}'\n"
    )
    openssl("req -new -config config -key key -sha256 -sigopt rsa_padding_mode:pss -outform DER -out csr")
    reply = ask(server, CREDENTIAL, body=body((tmp_path / "csr").read_bytes()))
    (tmp_path / "root").write_bytes(server.attestation.root_pem)
    (tmp_path / "issued").write_bytes(certificate(json.loads(reply.body)).public_bytes(Encoding.PEM))

    assert openssl("verify -x509_strict -purpose sslclient -no-CApath -CAfile root issued") == "issued: OK\n"
