"""THIM: the certificates of the processor of a confidential VM."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PSS
from cryptography.hazmat.primitives.hashes import SHA384

from pytest_imds import data
from pytest_imds.host import Host
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Reply, Request
from pytest_imds.trust import der, processor
from pytest_imds.trust.authority import Authority
from pytest_imds.vm.model import Vm
from pytest_imds.vm.provider import generate, generator
from tests import hosts

PATH = "/metadata/THIM/amd/certification"
METADATA = {"metadata": "true"}
FACTS = data.read("confidential")
OPENSSL = shutil.which("openssl") or ""
TIMEOUT_S = 10
FIFTY_YEARS_S = 50 * 366 * 86_400


@cache
def vm(profile: str = "confidential", seed: str = "processor") -> Vm:
    return generate(generator(), profile, seed, {})


def host(profile: str = "confidential", seed: str = "processor") -> Host:
    return hosts.host(vm(profile, seed))


def ask(host: Host, query: str = "", headers: dict[str, str] = METADATA) -> Reply:
    return handle(Request("GET", PATH, query, headers), host)


def answered(host: Host) -> Any:
    reply = ask(host)
    assert reply.status == 200
    return json.loads(reply.body)


def chain(host: Host) -> list[x509.Certificate]:
    """VCEK, ASK, ARK, as a client puts them together."""
    members = answered(host)
    return x509.load_pem_x509_certificates((members["vcekCert"] + members["certificateChain"]).encode())


def told(reply: Reply) -> tuple[int, bytes]:
    return reply.status, reply.body


def error(name: str) -> tuple[int, bytes]:
    row = data.read("errors")[name]
    return row["status"], row["body"].encode()


def extension(certificate: x509.Certificate, oid: str) -> bytes:
    value = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
    assert isinstance(value, x509.UnrecognizedExtension)
    return value.value


def test_the_answer_is_compact_json_of_four_strings() -> None:
    reply = ask(host())
    members = json.loads(reply.body)

    assert list(members) == FACTS["reply"]["members"]
    assert {type(value) for value in members.values()} == {str}
    assert reply.body == json.dumps(members, separators=(",", ":")).encode()
    assert dict(reply.headers)["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("profile", ["linux", "trusted-launch", "minimal"])
def test_a_vm_that_is_not_confidential_has_no_such_path(profile: str) -> None:
    assert told(ask(host(profile))) == error("category-unknown")


def test_a_vm_can_become_confidential() -> None:
    server = hosts.host(replace(vm("linux"), security_profile=vm().security_profile))

    assert ask(server).status == 200


@pytest.mark.parametrize("headers", [{}, {"metadata": "false"}], ids=str)
@pytest.mark.parametrize("query", ["", "Metadata=false", "metadata=true", "api-version=2021-02-01"])
def test_the_metadata_header_is_needed(headers: dict[str, str], query: str) -> None:
    assert told(ask(host(), query, headers)) == error("header-missing")


@pytest.mark.parametrize("query", ["Metadata=true", "Metadata=True&tcbVersion=1"])
def test_a_metadata_parameter_is_as_good_as_the_header(query: str) -> None:
    assert ask(host(), query, {}).status == 200


@pytest.mark.parametrize("query", ["tcbVersion=1&platformId=2&productName=Genoa", "api-version=2021-02-01"])
def test_parameters_change_nothing(query: str) -> None:
    assert ask(host(), query).body == ask(host()).body


def test_a_vm_has_the_same_certificate_every_time() -> None:
    later = host()
    later.clock.advance(FIFTY_YEARS_S)

    assert answered(host()) == answered(later)


def test_no_more_certificates_are_kept_than_a_fleet_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_imds.trust.authority.LEAVES_KEPT", 2)
    authority = Authority()
    first = processor.vcek("a", authority)
    kept = processor.vcek("b", authority)
    processor.vcek("c", authority)

    assert processor.vcek("b", authority) == kept
    assert processor.vcek("a", authority) != first


def test_each_vm_has_a_certificate_of_its_own_from_the_same_authorities() -> None:
    first, second = answered(host()), answered(host(seed="another"))

    assert first["vcekCert"] != second["vcekCert"]
    assert first["certificateChain"] == second["certificateChain"]


def test_the_chain_goes_from_the_vcek_over_the_ask_to_the_ark() -> None:
    names = [certificate.subject.rfc4514_string() for certificate in chain(host())]

    rest = "O=pytest-imds TEST - NOT AMD,ST=CA,L=Santa Clara,C=US,OU=Engineering"
    assert names == [f"CN=SEV-VCEK,{rest}", f"CN=SEV-Milan,{rest}", f"CN=ARK-Milan,{rest}"]


@pytest.mark.parametrize("level", range(3), ids=["VCEK", "ASK", "ARK"])
def test_each_certificate_is_signed_by_the_next_as_amd_signs(level: int) -> None:
    certificates = chain(host())
    issuer = certificates[min(level + 1, 2)]
    key, padding = issuer.public_key(), certificates[level].signature_algorithm_parameters

    certificates[level].verify_directly_issued_by(issuer)  # raises, if not
    assert isinstance(key, rsa.RSAPublicKey)
    assert isinstance(padding, PSS)
    assert padding._salt_length == SHA384.digest_size
    assert isinstance(certificates[level].signature_hash_algorithm, SHA384)
    key.verify(certificates[level].signature, certificates[level].tbs_certificate_bytes, padding, SHA384())


def test_the_key_of_the_vcek_is_on_the_curve_p_384() -> None:
    key = chain(host())[0].public_key()

    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP384R1)


def test_ask_and_ark_are_authorities() -> None:
    _, ask_, ark = (certificate.extensions for certificate in chain(host()))
    constraints = [one.get_extension_for_class(x509.BasicConstraints) for one in (ask_, ark)]

    assert [(one.critical, one.value.ca, one.value.path_length) for one in constraints] == [
        (True, True, 0),
        (True, True, None),
    ]


def test_the_vcek_has_the_extensions_of_amd_and_no_other() -> None:
    known = FACTS["extensions"]
    levels = [level["oid"] for level in FACTS["tcb"]["levels"].values()]

    found = [one.oid.dotted_string for one in chain(host())[0].extensions]

    assert found == [known["struct_version"], known["product_name"], *levels, known["hardware_id"]]


def test_the_levels_of_the_vcek_agree_with_tcbm() -> None:
    members, certificate = answered(host()), chain(host())[0]
    # From the lowest byte to the highest.
    suffixes = (1, 2, 4, 5, 6, 7, 3, 8)
    levels = [extension(certificate, f"1.3.6.1.4.1.3704.1.3.{suffix}") for suffix in suffixes]

    assert levels == [der.integer(byte) for byte in reversed(bytes.fromhex(members["tcbm"]))]
    assert members["tcbm"] == "DB18000000000004"


def test_the_vcek_names_its_product_and_its_chip() -> None:
    first, second = (chain(server)[0] for server in (host(), host(seed="another")))
    chip = FACTS["extensions"]["hardware_id"]

    assert extension(first, "1.3.6.1.4.1.3704.1.1") == der.integer(0)
    assert extension(first, "1.3.6.1.4.1.3704.1.2") == b"\x16\x08Milan-B0"
    assert len(extension(first, chip)) == 64
    assert extension(first, chip) != extension(second, chip)


def test_the_chain_is_valid_whatever_time_a_test_lives_in() -> None:
    for certificate in chain(host()):
        assert certificate.not_valid_before_utc.year == 2000
        assert certificate.not_valid_after_utc.year == 2099


def test_ask_and_ark_have_rsa_keys_even_where_authorities_have_elliptic_ones() -> None:
    server, authority = host(), Authority("ec")
    server.authority = lambda: authority

    keys = [certificate.public_key() for certificate in chain(server)]

    assert [isinstance(key, rsa.RSAPublicKey) for key in keys] == [False, True, True]


@pytest.mark.skipif(not OPENSSL, reason="OpenSSL is not installed")
def test_openssl_verifies_the_chain(tmp_path: Path) -> None:
    members = answered(host())
    pem = members["certificateChain"].partition("-----END CERTIFICATE-----\n")
    files = {"vcek": members["vcekCert"], "ask": pem[0] + pem[1], "ark": pem[2]}
    for name, content in files.items():
        (tmp_path / name).write_text(content)

    verified = subprocess.run(
        [OPENSSL, "verify", "-no-CApath", "-CAfile", "ark", "-untrusted", "ask", "vcek"],
        cwd=tmp_path,
        capture_output=True,
        timeout=TIMEOUT_S,
    )

    assert (verified.stdout, verified.stderr) == (b"vcek: OK\n", b"")
