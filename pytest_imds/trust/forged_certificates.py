"""Forged certificates, and what the URLs of issuers' certificates answer in their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import load_der_x509_certificate

from pytest_imds import data
from pytest_imds.trust.alteration import Access, Alteration
from pytest_imds.trust.authority import FORGER_KEY, Authority, Path
from pytest_imds.trust.certificate import Certificate
from pytest_imds.trust.deliveries import Delivery

DAY = 86_400
MONTH = 30 * DAY


def leaf(alter: Callable[[Certificate], Certificate]) -> Alteration:
    """Alter the leaf."""
    return Alteration(path=lambda path: (alter(path[0]), *path[1:]))


def named(name: Callable[[str], str], *, common: bool = True, alternative: bool = True) -> Alteration:
    """Alter the names of the leaf: ``name`` takes the domain that they have."""
    return leaf(lambda leaf: renamed(leaf, name, common=common, alternative=alternative))


def renamed(
    leaf: Certificate, name: Callable[[str], str], *, common: bool = True, alternative: bool = True
) -> Certificate:
    """Return the leaf with other names: ``name`` takes the domain that it has."""
    *before, (oid, domain) = leaf.subject
    if common:
        leaf = replace(leaf, subject=(*before, (oid, name(domain))))
    if alternative:
        leaf = replace(leaf, names=tuple(f"{dns.removesuffix(domain)}{name(domain)}" for dns in leaf.names))
    return leaf


def stranger_name(domain: str) -> str:
    """Return a name that is no metadata service's."""
    return "login.example"


def other_domain(domain: str) -> str:
    """Return the domain of another cloud."""
    domains = data.read("attested")["domains"]["by_cloud"].values()
    return next(str(other) for other in domains if other != domain)


def issuer(alter: Callable[[Certificate], Certificate]) -> Alteration:
    """Alter the certificate of the leaf's issuer."""
    return Alteration(path=lambda path: (path[0], alter(path[1]), *path[2:]))


def expired(certificate: Certificate) -> Certificate:
    """Return the certificate as it was a month ago, when it ran out."""
    # What is valid now has been so for a day at least.
    begin = certificate.not_before
    return replace(certificate, not_before=begin - MONTH, not_after=begin)


def future(certificate: Certificate) -> Certificate:
    """Return the certificate as one that is not valid yet."""
    # What is valid now will be so for some days yet.
    return replace(certificate, not_before=certificate.not_after - DAY)


def sub_authority(path: Path) -> Path:
    """Put an authority below the issuer, which may have none there."""
    *before, (oid, common_name) = path[1].subject
    below = replace(path[1], subject=(*before, (oid, f"{common_name} Sub CA")), key=FORGER_KEY)
    return (path[0], below, *path[1:])


def impostors(path: Path) -> Path:
    """Give every authority the key of a forger."""
    return (path[0], *(replace(authority, key=FORGER_KEY) for authority in path[1:]))


def wrong(good: Delivery, path: Path, authority: Authority, elsewhere: str) -> Delivery:
    """Deliver the certificate of another authority."""
    *before, (oid, common_name) = path[0].subject
    other = replace(path[0], subject=(*before, (oid, f"{common_name} 2")), key=FORGER_KEY)
    return replace(good, body=lambda: authority.certificate((other, *path[1:])))


def bundle(encoded: bytes) -> bytes:
    """Return a PKCS#7 bundle, certificates alone, of one certificate."""
    return pkcs7.serialize_certificates([load_der_x509_certificate(encoded)], Encoding.DER)


def answers(status: int, page: bytes = b"") -> Access:
    """Answer with a status and a page."""
    return Access(deliver=lambda good, *_: Delivery(lambda: page, status, "text/html"))


def silent(after: int) -> Access:
    """Deliver some bytes, then nothing more; no bytes are no head either."""
    return Access(deliver=lambda good, *_: replace(good, silent_after=after))
