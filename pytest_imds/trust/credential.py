"""Certificates of managed identities, as IMDSv2 issues them: what is asked for, and what is issued."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pytest_imds import data
from pytest_imds.trust.authority import TEST, Authority
from pytest_imds.trust.certificate import USAGES, PrivateKey
from pytest_imds.trust.verifier import UNREADABLE


@dataclass(frozen=True)
class Holder:
    """Whom a certificate is for.

    Attributes:
        client_id: that of the managed identity.
        tenant_id: its tenant.
        compute_unit: what IMDSv2 calls the VM.
    """

    client_id: str
    tenant_id: str
    compute_unit: Mapping[str, str]


def requested(encoded: bytes, holder: Holder) -> x509.CertificateSigningRequest | None:
    """Return a certificate signing request (PKCS#10, DER) that ``holder`` may make; None if it is no such.

    Source: ``v2-csr`` in ``fixtures_data/identity.json``.
    """
    try:
        request = x509.load_der_x509_csr(encoded)
        of_holder = _subject(request) == _names(holder) and _compute_unit(request) == holder.compute_unit
        return request if of_holder and request.is_signature_valid else None
    except (*UNREADABLE, RecursionError):
        return None


def issued(request: x509.CertificateSigningRequest, root: bytes, authority: Authority, now: int) -> bytes:
    """Return the certificate that ``request`` gets, in DER; each is a new one.

    Args:
        request: what was asked for.
        root: the certificate of the issuer, in PEM.
        authority: who has the issuer's key.
        now: seconds since the epoch.

    Source: ``v2-credential`` in ``fixtures_data/identity.json``; that it begins some minutes earlier, for clocks that
    are behind, is assumed: tokens do.
    """
    known = data.read("identity")
    issuer, public = x509.load_pem_x509_certificate(root), request.public_key()
    key = _key(issuer, authority)
    begins, ends = now - known["lifetime"]["before_s"], now + known["v2-credential"]["valid_s"]
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(begins, timezone.utc))
        .not_valid_after(datetime.fromtimestamp(ends, timezone.utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{usage: usage == "digital_signature" for usage in USAGES}), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, SHA384()).public_bytes(Encoding.DER)


def _subject(request: x509.CertificateSigningRequest) -> list[tuple[str, str | bytes]]:
    return sorted((part.oid.dotted_string, part.value) for part in request.subject)  # in any order


def _names(holder: Holder) -> list[tuple[str, str]]:
    names = {NameOID.COMMON_NAME: holder.client_id, NameOID.DOMAIN_COMPONENT: holder.tenant_id}
    return sorted((oid.dotted_string, value) for oid, value in names.items())


def _compute_unit(request: x509.CertificateSigningRequest) -> object:
    """Return the ``cuId`` of a request; what is null counts as left out."""
    oid = data.read("identity")["v2-credential"]["cu_id_attribute"]
    values = [attribute.value for attribute in request.attributes if attribute.oid.dotted_string == oid]
    unit = json.loads(values[0]) if len(values) == 1 else None
    return {name: value for name, value in unit.items() if value is not None} if isinstance(unit, dict) else None


def _key(issuer: x509.Certificate, authority: Authority) -> PrivateKey:
    (name,) = issuer.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return authority.key(str(name.value).removeprefix(TEST))
