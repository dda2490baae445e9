"""Attested documents for tests: VMs to make them of, and what another implementation of ASN.1 reads in them."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from asn1crypto import cms  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import AuthorityInformationAccessOID
from faker import Generator

from pytest_imds import Attestation, Vm, data
from pytest_imds.trust.authority import LEAF_KEY
from pytest_imds.trust.setting import Setting
from pytest_imds.vm.provider import generate, generator
from tests import hosts

SINCE: Mapping[str, str] = data.read("attested")["members"]["since"]
CLOUDS: Mapping[str, str] = data.read("attested")["domains"]["by_cloud"]
CHAINS: tuple[str, ...] = tuple(data.read("chains"))
# The api-versions that have attested documents, oldest first.
VERSIONS: tuple[str, ...] = tuple(
    row["version"]
    for row in data.read("api_versions")["versions"]
    if row["version"] >= data.read("endpoints")["attested/document"]["since"]
)


@cache
def fake() -> Generator:
    return generator()


def vm(profile: str = "linux", **knobs: object) -> Vm:
    return generate(fake(), profile, "attested", knobs)


def attestation(
    profile: str = "linux",
    *,
    chain: str = "2024",
    aia: str = "",
    digest_oid: str = "sha256WithRSAEncryption",
    **knobs: object,
) -> Attestation:
    return hosts.attestation(vm(profile, **knobs), Setting(chain, aia, digest_oid))


@dataclass(frozen=True)
class Opened:
    """What asn1crypto reads in a document."""

    digest_oids: tuple[str, ...]
    content: bytes
    certificates: tuple[bytes, ...]
    signer_serials: tuple[int, ...]
    signatures: tuple[bytes, ...]

    @property
    def members(self) -> dict[str, Any]:
        whole: dict[str, Any] = json.loads(self.content)
        return whole

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.certificates[0])


def opened(document: Mapping[str, str]) -> Opened:
    signed = cms.ContentInfo.load(b64decode(document["signature"], validate=True), strict=True)["content"]
    signers = list(signed["signer_infos"])
    return Opened(
        tuple(
            one["algorithm"].dotted for one in (*signed["digest_algorithms"], *(s["digest_algorithm"] for s in signers))
        ),
        signed["encap_content_info"]["content"].native,
        tuple(one.chosen.dump() for one in signed["certificates"] or ()),
        tuple(one["sid"].chosen["serial_number"].native for one in signers),
        tuple(one["signature"].native for one in signers),
    )


def sign(content: bytes) -> bytes:
    """Sign with the key of the documents that ``attestation()`` makes."""
    return hosts.AUTHORITY.sign(LEAF_KEY, content, SHA256())


def ca_issuers(certificate: x509.Certificate) -> list[str]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return []
    return [
        str(one.access_location.value)
        for one in access
        if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    ]
