"""The certificates that documents lead to: names, keys, extensions, validity, and that they are the same each time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from shutil import which

import pytest
from asn1crypto import x509 as asn1  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from pytest_imds import Attestation, data
from pytest_imds.clock import Clock
from pytest_imds.service.versions import supported
from pytest_imds.trust.authority import Authority
from pytest_imds.trust.certificate import Certificate
from pytest_imds.trust.deliveries import Deliveries
from pytest_imds.trust.mint import Mint
from pytest_imds.trust.setting import Setting
from tests import documents, hosts
from tests.documents import CHAINS, CLOUDS

NEEDS_OPENSSL = pytest.mark.skipif(which("openssl") is None, reason="openssl is not installed")


def loaded(attestation: Attestation) -> list[x509.Certificate]:
    """The certificates from the signer's to the root's."""
    return [x509.load_pem_x509_certificate(pem) for pem in (*attestation.chain, attestation.root_pem)]


@cache
def chain(name: str = "2024", cloud: str = "AzurePublicCloud") -> list[x509.Certificate]:
    return loaded(documents.attestation(chain=name, cloud=cloud))


@pytest.mark.parametrize("name", CHAINS)
def test_every_subject_says_that_it_is_a_test_and_not_microsoft(name: str) -> None:
    for certificate in chain(name):
        subject = certificate.subject.rfc4514_string()
        assert "TEST" in subject
        assert "NOT MICROSOFT" in subject


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_signer_has_the_names_of_its_cloud_and_region(cloud: str) -> None:
    vm = documents.vm(cloud=cloud)
    signer, *_ = chain(cloud=cloud)
    alternatives = signer.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert [one.value for one in signer.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [CLOUDS[cloud]]
    assert alternatives.get_values_for_type(x509.DNSName) == [f"{vm.location}.{CLOUDS[cloud]}", CLOUDS[cloud]]
    assert len(alternatives) == 2


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_has_the_purposes_and_path_lengths_of_the_data(name: str) -> None:
    row = data.read("chains")[name]
    signer, *authorities = chain(name)

    purposes = [
        purpose.dotted_string for purpose in signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    ]
    assert purposes == row["leaf"]["purposes"]
    assert ExtendedKeyUsageOID.SERVER_AUTH.dotted_string in purposes
    for certificate, authority in zip(authorities, row["authorities"], strict=True):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical
        assert constraints.value == x509.BasicConstraints(True, authority.get("path_length"))
        assert authority["name"] in certificate.subject.rfc4514_string()
    assert not signer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("name", CHAINS)
def test_keys_are_rsa_of_2048_bits(name: str) -> None:
    keys = [certificate.public_key() for certificate in chain(name)]

    assert [(type(key).__name__, getattr(key, "key_size", 0)) for key in keys] == [("RSAPublicKey", 2048)] * len(keys)
    assert len({key.public_numbers().n for key in keys if isinstance(key, rsa.RSAPublicKey)}) == len(keys)


@pytest.mark.parametrize("name", CHAINS)
def test_serial_numbers_are_positive_have_19_bytes_and_differ(name: str) -> None:
    serials = [certificate.serial_number for certificate in chain(name)]

    assert [(serial.bit_length() + 7) // 8 for serial in serials] == [19] * len(serials)
    assert min(serials) > 0
    assert [asn1.Certificate.load(one.public_bytes(Encoding.DER)).serial_number for one in chain(name)] == serials
    assert len(set(serials)) == len(serials)


@pytest.mark.parametrize("name", CHAINS)
def test_key_identifiers_lead_from_each_certificate_to_its_issuer(name: str) -> None:
    certificates = chain(name)
    for below, above in zip(certificates, [*certificates[1:], certificates[-1]], strict=True):
        names = below.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert names.key_identifier == above.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        assert below.issuer == above.subject


def test_strings_of_names_are_printable_as_the_service_s_are() -> None:
    for certificate in chain():
        kinds = {
            type(pair["value"].chosen).__name__
            for part in asn1.Certificate.load(certificate.public_bytes(Encoding.DER)).subject.chosen
            for pair in part
        }
        assert kinds == {"PrintableString"}


def test_logs_of_certificates_that_there_are_not_are_named_in_a_form_that_can_be_read() -> None:
    stamps = chain()[0].extensions.get_extension_for_oid(ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS).value

    assert isinstance(stamps, x509.PrecertificateSignedCertificateTimestamps)
    assert len({stamp.log_id for stamp in stamps}) == len(stamps) == 3


MOMENTS = ["2019-06-01", "2026-11-22", "2035-01-01", "2049-12-20", "2050-01-02", "2051-06-01"]


@pytest.mark.parametrize("day", MOMENTS)
def test_documents_are_valid_at_whatever_time_the_clock_says(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    now = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    attestation = documents.attestation(chain="2026")
    present = attestation.chain

    with monkeypatch.context() as frozen:
        frozen.setattr("time.time", now.timestamp)
        assert attestation.verify(attestation.document())["timeStamp"]["createdOn"].startswith(f"{now:%m/%d/%y} ")
        for certificate in loaded(attestation):
            assert certificate.not_valid_before_utc <= now - timedelta(days=1)
            assert now + timedelta(days=14) <= certificate.not_valid_after_utc

    assert attestation.chain == present
    assert attestation.verify(attestation.document())


def test_certificates_are_valid_for_a_month_and_no_longer() -> None:
    for certificate in chain():
        assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(days=31)


def test_certificates_are_the_same_bytes_within_a_session() -> None:
    vm = documents.vm()
    made = [hosts.attestation(vm) for _ in range(2)]

    assert made[0].chain == made[1].chain
    assert documents.opened(made[0].document()).certificates == documents.opened(made[1].document()).certificates


def test_only_the_signer_differs_between_two_regions() -> None:
    one, other = (loaded(documents.attestation(location=region)) for region in ("westeurope", "eastus"))

    assert one[1:] == other[1:]
    assert one[0] != other[0]
    assert one[0].public_key() == other[0].public_key()


def of_authority(authority: Authority, location: str = "westeurope") -> Attestation:
    vm, newest = documents.vm(), supported(None)[-1]
    vm.location = location
    return Attestation(vm, Clock(), newest, Setting("2026"), lambda: authority, hosts.ADDRESSES.__getitem__)


@pytest.mark.parametrize("keys", ["rsa", "ec"])
def test_the_root_stays_the_same_however_many_certificates_a_session_makes(
    monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    monkeypatch.setattr("pytest_imds.trust.authority.LEAVES_KEPT", 8)
    authority = Authority(keys)
    attestation = of_authority(authority)
    root, (_, *between) = attestation.root_pem, attestation.chain
    for number in range(12):
        assert of_authority(authority, location=f"region{number}").chain
        assert attestation.root_pem == root
    assert list(attestation.chain[1:]) == between


@pytest.fixture(scope="module")
def elliptic() -> Attestation:
    return of_authority(Authority("ec"))


def test_authorities_with_elliptic_curves_issue_to_a_signer_with_rsa(elliptic: Attestation) -> None:
    signer, *authorities = loaded(elliptic)

    assert isinstance(signer.public_key(), rsa.RSAPublicKey)
    assert {type(certificate.public_key().curve) for certificate in authorities} == {ec.SECP384R1}  # type: ignore[union-attr]
    assert elliptic.verify(elliptic.document())


def test_the_same_certificate_is_the_same_bytes_with_elliptic_curves_too(elliptic: Attestation) -> None:
    assert elliptic.chain == elliptic.chain
    assert documents.opened(elliptic.document()).certificates == documents.opened(elliptic.document()).certificates


class Foreign:
    """A document's chain, and a signer for another name below the same authorities."""

    def __init__(self, name: str) -> None:
        authority = hosts.AUTHORITY
        mint = Mint(documents.vm(), Setting("2026"), authority, hosts.ADDRESSES.__getitem__, Deliveries(list))
        signer, *above = mint.path(int(datetime.now(timezone.utc).timestamp()))
        path: tuple[Certificate, ...] = (replace(signer, names=(name,)), *above)
        self.name = name
        self.chain = [x509.load_der_x509_certificate(authority.certificate(path[level:])) for level in range(len(path))]

    def written(self, folder: Path) -> Iterator[str]:
        signer, *between, root = self.chain
        for file, content in (("root", [root]), ("between", between), ("signer", [signer])):
            path = folder / f"{file}.pem"
            path.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in content))
            yield str(path)


MAY_BE_SIGNED = {
    **{f"eastus.{domain}": True for domain in CLOUDS.values()},
    "metadata.azure.com.evil.example": True,
    "evilmetadata.azure.com": True,
    "login.microsoftonline.com": False,
    "azure.com": False,
    "management.azure.com": False,
    "localhost": False,
}


@pytest.mark.parametrize("name", MAY_BE_SIGNED)
def test_cryptography_refuses_a_signer_for_a_name_that_is_none_of_metadata(name: str) -> None:
    foreign = Foreign(name)
    signer, *between, root = foreign.chain
    verifier = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName(name))

    if MAY_BE_SIGNED[name]:
        assert len(verifier.verify(signer, between)) == len(foreign.chain)
    else:
        with pytest.raises(VerificationError, match="constraint"):
            verifier.verify(signer, between)


@NEEDS_OPENSSL
@pytest.mark.parametrize("name", ["metadata.azure.com", "login.microsoftonline.com"])
def test_openssl_refuses_a_signer_for_a_name_that_is_none_of_metadata(tmp_path: Path, name: str) -> None:
    root, between, signer = Foreign(name).written(tmp_path)
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", root, "-untrusted", between, signer],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode == 0, "permitted subtree violation" in done.stderr) == (
        (True, False) if name == "metadata.azure.com" else (False, True)
    )
