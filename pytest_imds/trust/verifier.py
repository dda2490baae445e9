"""The reference verifier: it accepts what the service would send, and says of everything else what is wrong.

Each check stands by itself, so that each reason has an error of its own; a
verifier for production lets a library walk the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from pytest_imds import data
from pytest_imds.trust import content, der, parsing
from pytest_imds.trust.certificate import SERVER_AUTH, issuer_and_serial
from pytest_imds.trust.errors import (
    AttestationAuthorityError,
    AttestationChainError,
    AttestationDigestError,
    AttestationEndEntityError,
    AttestationHostError,
    AttestationIntermediateError,
    AttestationNameError,
    AttestationNonceError,
    AttestationPurposeError,
    AttestationSignatureError,
    AttestationSignerError,
    AttestationSizeError,
    AttestationStructureError,
    AttestationTimeError,
    AttestationValidityError,
    AttestationVmError,
)

# What cryptography raises for a certificate that is none, or has parts that it does not know; what it warns of is an
# error in test runs that ask for that.
UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    Warning,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
LONGEST_CHAIN = 6
LONGEST_DOWNLOAD = 1 << 20


@dataclass(frozen=True)
class Expected:
    """What a document has to agree with.

    Attributes:
        roots: the trusted root certificates.
        now: the time.
        nonce: the nonce that was sent; None if none was.
        domain: the domain of the cloud's metadata service.
        members: what the document has to say of the VM.
        hosts: what a URL of an issuer's certificate begins with.
    """

    roots: Sequence[x509.Certificate]
    now: datetime
    nonce: str | None
    domain: str
    members: Mapping[str, object]
    hosts: Collection[str]


Fetch = Callable[[str], bytes]
"""Downloads an issuer's certificate; raises AttestationHostError or AttestationIntermediateError."""


def verify(reply: str | Mapping[str, Any], expected: Expected, fetch: Fetch) -> dict[str, Any]:
    """Return the members of a document.

    Raises:
        AttestationError: it is not to be trusted; the subclass says why.
    """
    parsed = parsing.parsed(parsing.encoded(reply))
    try:
        leaf = _signers_certificate(parsed)
        _check_signature(parsed, leaf)
        _check_leaf(leaf, expected.domain)
        _check_chain([leaf, *_issuers(leaf, expected, fetch)], expected)
    except UNREADABLE as error:
        raise AttestationStructureError.found(f"a certificate that cannot be read: {error}", "one in DER") from None
    members = parsing.members(parsed.content)
    _check_members(members, expected)
    return members


def _signers_certificate(parsed: parsing.Parsed) -> x509.Certificate:
    named = [issuer_and_serial(certificate) for certificate in parsed.certificates]
    if named != [parsed.issuer_and_serial]:
        own = "with" if parsed.issuer_and_serial in named else "without"
        raise AttestationSignerError.found(f"{len(named)} certificates, {own} the signer's", "the signer's alone")
    return x509.load_der_x509_certificate(parsed.certificates[0])


def _check_signature(parsed: parsing.Parsed, leaf: x509.Certificate) -> None:
    known = data.read("attested")["digest-oid"]["known"]
    if parsed.digest_oid not in [der.oid(oid) for oid in known.values()]:
        raise AttestationDigestError.found(f"the digest OID {parsed.digest_oid.hex()}", " or ".join(known))
    key = leaf.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise AttestationSignatureError.found(f"a key of the type {type(key).__name__}", "an RSA key")
    try:
        key.verify(parsed.signature, parsed.content, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise AttestationSignatureError.found(
            "a signature that is not one over the content", "RSA with SHA-256 by the signer's key"
        ) from None


def _check_leaf(leaf: x509.Certificate, domain: str) -> None:
    common_names = [attribute.value for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    alternatives = _extension(leaf, x509.SubjectAlternativeName)
    dns = alternatives.get_values_for_type(x509.DNSName) if alternatives else []
    if common_names != [domain] or not any(name == domain or name.endswith(f".{domain}") for name in dns):
        raise AttestationNameError.found(
            f"common name {common_names} and subjectAltName {dns}", f"common name {domain} and subjectAltName {domain}"
        )
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise AttestationEndEntityError.found("a certificate authority's certificate", "CA:FALSE")
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    dotted = [purpose.dotted_string for purpose in purposes or ()]
    if SERVER_AUTH not in dotted:
        raise AttestationPurposeError.found(f"extended key usage {dotted}", f"serverAuth, {SERVER_AUTH}")


def _issuers(leaf: x509.Certificate, expected: Expected, fetch: Fetch) -> list[x509.Certificate]:
    """Return the certificates from the issuer of ``leaf`` up to a trusted root."""
    chain = [leaf]
    while not (trusted := [root for root in expected.roots if root.subject == chain[-1].issuer]):
        if len(chain) == LONGEST_CHAIN:
            raise AttestationChainError.found(f"{LONGEST_CHAIN} certificates", "a shorter chain to a trusted root")
        chain.append(_downloaded(chain[-1], expected, fetch))
    root = next((root for root in trusted if _is_signed_by(chain[-1], root)), trusted[0])
    return [*chain[1:], root]


def _downloaded(below: x509.Certificate, expected: Expected, fetch: Fetch) -> x509.Certificate:
    """Download the certificate of the issuer of ``below``."""
    access = _extension(below, x509.AuthorityInformationAccess)
    urls = [
        str(one.access_location.value)
        for one in access or ()
        if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    ]
    for url in urls:
        if not any(url.startswith(f"{host}/") for host in expected.hosts):
            raise AttestationHostError.found(url, " or ".join(f"{host}/..." for host in expected.hosts))
    problem = "no CA Issuers"
    for url in urls:
        try:
            body = fetch(url)
        except AttestationIntermediateError as error:
            problem = str(error)
            continue
        if len(body) > LONGEST_DOWNLOAD:
            raise AttestationSizeError.found(f"{len(body)} bytes at {url}", f"at most {LONGEST_DOWNLOAD}")
        try:
            return x509.load_der_x509_certificate(body)
        except ValueError:
            problem = f"{body[:40]!r}... at {url}"
    raise AttestationIntermediateError.found(problem, f"the certificate of {below.issuer.rfc4514_string()} in DER")


def _check_chain(chain: list[x509.Certificate], expected: Expected) -> None:
    """Check the certificates from the signer's to the root's, which is trusted."""
    for depth, (certificate, issuer) in enumerate(pairwise(chain)):
        if not _is_signed_by(certificate, issuer):
            raise AttestationChainError.found(
                f"{_name(certificate)}, which is not signed by {_name(issuer)}", "a chain to a trusted root"
            )
        constraints = _extension(issuer, x509.BasicConstraints)
        if constraints is None or not constraints.ca:
            raise AttestationAuthorityError.found(f"the issuer {_name(issuer)} with CA:FALSE", "CA:TRUE")
        if constraints.path_length is not None and constraints.path_length < depth:
            raise AttestationAuthorityError.found(
                f"{depth} authorities below {_name(issuer)}", f"at most {constraints.path_length}"
            )
    for certificate in chain:
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begin <= expected.now <= end:
            raise AttestationValidityError.found(
                f"{_name(certificate)}, valid from {begin} to {end}", f"one that is valid at {expected.now}"
            )


def _is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):  # other names, another kind of key, another key
        return False
    return True


def _check_members(members: Mapping[str, Any], expected: Expected) -> None:
    try:
        stamp = members["timeStamp"]
        created, expires = (content.seconds(stamp[name]) for name in ("createdOn", "expiresOn"))
    except (KeyError, TypeError, ValueError) as error:
        raise AttestationStructureError.found(f"timeStamp: {error!r}", "createdOn and expiresOn") from None
    now = int(expected.now.timestamp())
    if not now - content.lifetime() <= created <= now < expires:
        raise AttestationTimeError.found(
            f"createdOn {stamp['createdOn']} and expiresOn {stamp['expiresOn']}",
            f"times around {datetime.fromtimestamp(now, timezone.utc)}, of a document of six hours",
        )
    nonce = content.default_nonce(expires) if expected.nonce is None else expected.nonce
    if members.get("nonce") != nonce:
        asked = ", since the request had none" if expected.nonce is None else ""
        raise AttestationNonceError.found(f"{members.get('nonce')!r}", f"{nonce!r}{asked}")
    for name, value in expected.members.items():
        if members.get(name) != value:
            raise AttestationVmError.found(f"{name} {members.get(name)!r}", f"{value!r}")


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
