"""The certificates of an AMD processor with SEV-SNP, made by the test: VCEK, ASK, ARK.

The versioned chip endorsement key (VCEK) is a chip's; the AMD SEV key (ASK) certifies it, and the AMD root key (ARK)
that one. What the certificates say is data, with its sources: ``fixtures_data/confidential.json``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha512
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from pytest_imds import data
from pytest_imds.trust import der
from pytest_imds.trust.authority import RSA_BITS, RSA_EXPONENT, Authority
from pytest_imds.trust.certificate import USAGES, PrivateKey

# A VM has the same certificate for as long as the session, however far its clocks are moved: AMD's 25 years for
# authorities and 7 years for a VCEK would end within the times that tests live in.
VALID_FROM, VALID_UNTIL = datetime(2000, 1, 1, tzinfo=timezone.utc), datetime(2099, 12, 31, tzinfo=timezone.utc)
SALT_BYTES = SHA384.digest_size
IA5_STRING = 0x16


@dataclass(frozen=True)
class Issuer:
    """Who signs a certificate: its name, and its key."""

    name: x509.Name
    key: rsa.RSAPrivateKey


def tcb_version() -> str:
    """Return the version of the processor's firmware and microcode: 16 upper-case hexadecimal digits.

    Source: ``tcb`` in ``fixtures_data/confidential.json``.
    """
    return bytes(level["value"] for level in reversed(_levels().values())).hex().upper()


def vcek(vm_id: str, authority: Authority) -> str:
    """Return the certificate of the chip that a VM is on, in PEM: another one for each VM, always the same for one."""
    return authority.of_vm(vm_id, lambda: _vcek(vm_id, authority)).decode()


def issuers(authority: Authority) -> str:
    """Return the certificates of ASK and ARK, in PEM, in this order."""
    return (authority.kept("ASK", lambda: _ask(authority)) + authority.kept("ARK", lambda: _ark(authority))).decode()


def chip_id(vm_id: str) -> bytes:
    """Return the id of the chip that a VM is on: 64 bytes."""
    return sha512(vm_id.encode()).digest()


def _vcek(vm_id: str, authority: Authority) -> bytes:
    key = _key("VCEK", authority, lambda: ec.generate_private_key(ec.SECP384R1()))
    # AMD's extensions and no other: clients refuse a VCEK with one that they do not know.
    return _signed(_builder("VCEK", key, _processor(vm_id)), _issuer("ASK", authority))


def _ask(authority: Authority) -> bytes:
    issuer, key = _issuer("ARK", authority), _issuer("ASK", authority).key
    extensions = _of_authority(key, issuer.key, 0, "key_cert_sign")
    return _signed(_builder("ASK", key, extensions), issuer)


def _ark(authority: Authority) -> bytes:
    issuer = _issuer("ARK", authority)
    extensions = _of_authority(issuer.key, issuer.key, None, "key_cert_sign", "crl_sign")
    return _signed(_builder("ARK", issuer.key, extensions), issuer)


Extensions = list[tuple[x509.ExtensionType, bool]]


def _processor(vm_id: str) -> Extensions:
    """Return AMD's extensions of a VCEK, in AMD's order."""
    known = data.read("confidential")["extensions"]
    values = {
        known["struct_version"]: der.integer(0),
        known["product_name"]: der.tlv(IA5_STRING, known["product"].encode()),
        **{level["oid"]: der.integer(level["value"]) for level in _levels().values()},
        known["hardware_id"]: chip_id(vm_id),  # the bytes alone: AMD writes no tag before them
    }
    return [(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), False) for oid, value in values.items()]


def _of_authority(
    key: rsa.RSAPrivateKey, issuer: rsa.RSAPrivateKey, path_length: int | None, *usages: str
) -> Extensions:
    return [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (x509.KeyUsage(**{usage: usage in usages for usage in USAGES}), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), False),
    ]


def _builder(who: str, key: PrivateKey, extensions: Extensions) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(_name(who)).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.not_valid_before(VALID_FROM).not_valid_after(VALID_UNTIL)


def _signed(builder: x509.CertificateBuilder, issuer: Issuer) -> bytes:
    """Return the certificate in PEM, signed as AMD signs: RSASSA-PSS."""
    padding = PSS(MGF1(SHA384()), SALT_BYTES)
    certificate = builder.issuer_name(issuer.name).sign(issuer.key, SHA384(), rsa_padding=padding)
    return certificate.public_bytes(Encoding.PEM)


def _issuer(who: str, authority: Authority) -> Issuer:
    key = _key(who, authority, lambda: rsa.generate_private_key(RSA_EXPONENT, RSA_BITS))
    assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101 - it was made one
    return Issuer(_name(who), key)


def _name(who: str) -> x509.Name:
    names = data.read("confidential")["names"]
    attributes = {**names["all"], **names["common_names"][who]}
    return x509.Name([x509.NameAttribute(x509.ObjectIdentifier(oid), value) for oid, value in attributes.items()])


def _key(who: str, authority: Authority, make: Callable[[], PrivateKey]) -> Any:
    """Return the key of that name, of the type that AMD's has; the authority's own are all of the type asked for."""

    def made() -> bytes:
        return make().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    return load_der_private_key(authority.kept(f"{who} key", made), None)


def _levels() -> dict[str, dict[str, Any]]:
    """Return the levels of what runs on the processor, from the lowest byte of the version to the highest."""
    levels: dict[str, dict[str, Any]] = data.read("confidential")["tcb"]["levels"]
    return levels
