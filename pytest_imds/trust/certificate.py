"""Certificates: what each says, and how that is written.

The service's leaf has string types, extensions and an order of them that no
builder of certificates offers, so the frame is written here; keys, signatures
and the values of the standard extensions are cryptography's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_network

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID

from pytest_imds.trust import der

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
Name = tuple[tuple[str, str], ...]

COUNTRY, STATE, LOCALITY, ORGANIZATION, COMMON_NAME = "2.5.4.6", "2.5.4.8", "2.5.4.7", "2.5.4.10", "2.5.4.3"
TRANSPARENCY = "1.3.6.1.4.1.11129.2.4.2"
APPLICATION_POLICIES, TEMPLATE, PADDING = "1.3.6.1.4.1.311.21.10", "1.3.6.1.4.1.311.21.7", "2.25.19790"
SHA384_WITH_RSA, ECDSA_WITH_SHA384 = "1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3"
SERVER_AUTH, CODE_SIGNING = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.3"
SERIAL_BYTES = 19
LOGS = ("pytest-imds TEST log 1", "pytest-imds TEST log 2", "pytest-imds TEST log 3")
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
EVERY_ADDRESS = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True)
class Profile:
    """What only a leaf has: the template that its authority issued it by, and its policies.

    Attributes:
        template: object identifier, major and minor version.
        policies: object identifiers, each with the URL of its practice statement if it has one.
    """

    template: tuple[str, int, int]
    policies: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Certificate:
    """What a certificate says.

    Attributes:
        subject: object identifiers and values, in order.
        key: the name of its key, in the ``Authority``.
        not_before: seconds since the epoch.
        not_after: seconds since the epoch.
        ca: whether it is a certificate authority's.
        purposes: extended key usage, as object identifiers.
        names: the DNS names of a leaf, or those that an authority may sign for.
        ca_issuers: URLs of the issuer's certificate.
        path_length: how many authorities may stand between an authority and a leaf.
        leaf: what only a leaf has; None in an authority.
        revocation: URLs of the leaf's OCSP responder, then of its revocation lists.
        padding: bytes that make it longer.
    """

    subject: Name
    key: str
    not_before: int
    not_after: int
    ca: bool
    purposes: tuple[str, ...]
    names: tuple[str, ...]
    ca_issuers: tuple[str, ...] = ()
    path_length: int | None = None
    leaf: Profile | None = None
    revocation: tuple[str, ...] = ()
    padding: int = 0


def common_name(certificate: Certificate) -> str:
    """Return the common name of a certificate's subject."""
    return dict(certificate.subject)[COMMON_NAME]


def name(parts: Name) -> bytes:
    """Write a Name; its strings are PrintableString, as Microsoft's are."""
    return der.tlv(
        der.SEQUENCE,
        *(
            der.tlv(
                der.SET,
                der.tlv(der.SEQUENCE, der.oid(oid), der.tlv(der.PRINTABLE_STRING, value.encode("ascii"))),
            )
            for oid, value in parts
        ),
    )


def write(certificate: Certificate, key: PrivateKey, issuer: Certificate, issuer_key: PrivateKey) -> bytes:
    """Return the certificate in DER, signed with the issuer's key."""
    algorithm = (
        der.algorithm(SHA384_WITH_RSA)
        if isinstance(issuer_key, rsa.RSAPrivateKey)
        else der.tlv(der.SEQUENCE, der.oid(ECDSA_WITH_SHA384))
    )
    public = key.public_key()
    rest = (
        algorithm,
        name(issuer.subject),
        der.tlv(der.SEQUENCE, der.time(certificate.not_before), der.time(certificate.not_after)),
        name(certificate.subject),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        der.tlv(
            der.context(3),
            der.tlv(der.SEQUENCE, *_extensions(certificate, public, issuer_key.public_key())),
        ),
    )
    # A serial number that follows from the rest: what is issued twice is the same certificate. It is positive, and
    # none of its bytes is missing.
    serial = b"\x41" + sha256(b"".join(rest)).digest()[: SERIAL_BYTES - 1]
    signed = der.tlv(der.SEQUENCE, der.tlv(der.context(0), der.integer(2)), der.tlv(der.INTEGER, serial), *rest)
    signature = (
        issuer_key.sign(signed, PKCS1v15(), SHA384())
        if isinstance(issuer_key, rsa.RSAPrivateKey)
        else issuer_key.sign(signed, ec.ECDSA(SHA384()))
    )
    return der.tlv(der.SEQUENCE, signed, algorithm, der.tlv(der.BIT_STRING, b"\0", signature))


def issuer_and_serial(certificate: bytes) -> tuple[bytes, bytes]:
    """Return what a SignerInfo names a certificate by: its issuer and its serial number, in DER.

    Raises:
        ValueError: it is no certificate.
    """
    signed, *_ = der.read(certificate)[0].children() or [der.NOTHING]
    match signed.children():
        case [_, serial, _, issuer, *_]:
            return issuer.whole, serial.whole
    raise ValueError("no certificate")


Extensions = Iterator[tuple[str, bool, bytes]]


def _extensions(certificate: Certificate, public: PublicKey, issuer_public: PublicKey) -> Iterator[bytes]:
    if certificate.leaf is None:
        listed = _of_authority(certificate, public, issuer_public)
    else:
        listed = _of_leaf(certificate, certificate.leaf, public, issuer_public)
    for oid, critical, value in listed:
        flag = (der.tlv(der.BOOLEAN, b"\xff"),) if critical else ()
        yield der.tlv(der.SEQUENCE, der.oid(oid), *flag, der.tlv(der.OCTET_STRING, value))


def _of_leaf(certificate: Certificate, profile: Profile, public: PublicKey, issuer_public: PublicKey) -> Extensions:
    """Give the extensions of the service's leaf, in its order: object identifier, critical, value.

    Source: documents of 2025-11-19 and 2026-07-28; see ``fixtures_data/chains.json``.
    """
    ocsp, *lists = certificate.revocation
    yield TRANSPARENCY, False, _timestamps(certificate.not_before)
    policies = (der.tlv(der.SEQUENCE, der.oid(purpose)) for purpose in certificate.purposes)
    yield APPLICATION_POLICIES, False, der.tlv(der.SEQUENCE, *policies)
    template, major, minor = profile.template
    yield TEMPLATE, False, der.tlv(der.SEQUENCE, der.oid(template), der.integer(major), der.integer(minor))
    yield _standard(_access(certificate.ca_issuers, ocsp))
    yield _standard(x509.SubjectKeyIdentifier.from_public_key(public))
    yield _standard(_usage("digital_signature", "key_encipherment"), critical=True)
    if certificate.names:
        yield _standard(x509.SubjectAlternativeName([x509.DNSName(dns) for dns in certificate.names]))
    yield _standard(x509.BasicConstraints(certificate.ca, None), critical=True)
    points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url) for url in lists], None, None, None)]
    yield _standard(x509.CRLDistributionPoints(points))
    yield _standard(
        x509.CertificatePolicies(
            [
                x509.PolicyInformation(x509.ObjectIdentifier(policy), [statement] if statement else None)
                for policy, statement in profile.policies
            ]
        )
    )
    yield _standard(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public))
    yield _standard(_purposes(certificate))


def _of_authority(certificate: Certificate, public: PublicKey, issuer_public: PublicKey) -> Extensions:
    path_length = certificate.path_length if certificate.ca else None
    yield _standard(x509.BasicConstraints(certificate.ca, path_length), critical=True)
    yield _standard(_usage("digital_signature", "key_cert_sign", "crl_sign"), critical=True)
    yield _standard(x509.SubjectKeyIdentifier.from_public_key(public))
    yield _standard(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public))
    # Not critical: gpgsm refuses constraints that are, and who ignores them is no worse off than without.
    yield _standard(
        x509.NameConstraints(
            [x509.DNSName(dns) for dns in certificate.names],
            [x509.IPAddress(ip_network(network)) for network in EVERY_ADDRESS],
        )
    )
    if certificate.purposes:
        yield _standard(_purposes(certificate))
    if certificate.ca_issuers:
        yield _standard(_access(certificate.ca_issuers))
    if certificate.padding:
        yield PADDING, False, bytes(certificate.padding)


def _standard(extension: x509.ExtensionType, *, critical: bool = False) -> tuple[str, bool, bytes]:
    return extension.oid.dotted_string, critical, extension.public_bytes()


def _usage(*for_what: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in for_what for usage in USAGES})


def _purposes(certificate: Certificate) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([x509.ObjectIdentifier(purpose) for purpose in certificate.purposes])


def _access(ca_issuers: tuple[str, ...], *ocsp: str) -> x509.AuthorityInformationAccess:
    methods = [(AuthorityInformationAccessOID.CA_ISSUERS, url) for url in ca_issuers]
    methods += [(AuthorityInformationAccessOID.OCSP, url) for url in ocsp]
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in methods]
    )


def _timestamps(second: int) -> bytes:
    """Return a list of signed certificate timestamps (RFC 6962, section 3.3) of logs that there are not."""
    stamps = b""
    for log in LOGS:
        digest = sha256(log.encode()).digest()
        signature = der.tlv(
            der.SEQUENCE, der.tlv(der.INTEGER, b"\x01" + digest[1:]), der.tlv(der.INTEGER, b"\x01" + digest[1:])
        )
        stamp = b"\0" + digest + (second * 1000).to_bytes(8, "big") + b"\0\0" + b"\x04\x03" + _counted(signature)
        stamps += _counted(stamp)
    return der.tlv(der.OCTET_STRING, _counted(stamps))


def _counted(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content
