"""How each forgery is made: one step of the making of a good document is done in another way.

What is wrong with each, and why anybody would forge it so, is in
``fixtures_data/forgeries.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import shake_256
from textwrap import wrap

from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import load_der_x509_certificate

from pytest_imds import data
from pytest_imds.tree import Json
from pytest_imds.trust import content
from pytest_imds.trust.alteration import Access, Alteration, Delivery, Wanted, signer
from pytest_imds.trust.authority import FORGER_KEY, Authority, Path, pem
from pytest_imds.trust.certificate import CODE_SIGNING, Certificate
from pytest_imds.trust.document import Document, SignedData

HOUR = 3_600
DAY = 24 * HOUR
MONTH = 30 * DAY
MEBIBYTE = 1 << 20
HALF_A_CERTIFICATE = 512
SHA1_OID, UNREGISTERED_OID = "1.3.14.3.2.26", "2.25.19790.1"
OTHER_NONCE = "1029384756"
OTHER_VM = b"00000000-0000-4000-a000-000000000000"
PAGE = b"<!DOCTYPE html><title>Sign in</title><p>Sign in to use this network."


def _members(**changed: Json | None) -> Alteration:
    """Return the alteration that sets members, or takes those that are None out."""

    def alter(members: dict[str, Json], wanted: Wanted) -> dict[str, Json]:
        return {name: value for name, value in {**members, **changed}.items() if value is not None}

    return Alteration(members=alter)


def _times(created: int, expires: int) -> Alteration:
    """Return the alteration that dates a document, in seconds from now."""
    return Alteration(
        members=lambda members, wanted: {
            **members,
            "timeStamp": content.time_stamp(wanted.created + created, wanted.created + expires),
        }
    )


def _other_guid(guid: object) -> str:
    text = str(guid)
    return ("1" if text[:1] != "1" else "2") + text[1:]


def _other(member: str) -> Alteration:
    return Alteration(members=lambda members, wanted: {**members, member: _other_guid(members.get(member, ""))})


def _nonce(nonce: Callable[[Wanted], str]) -> Alteration:
    return Alteration(members=lambda members, wanted: {**members, "nonce": nonce(wanted)})


def _ignored(wanted: Wanted) -> str:
    # A request without a nonce gets the expiry; the time now, which documentation promises, is as wrong there.
    return content.default_nonce(wanted.created + (content.lifetime() if wanted.nonce else 0))


def _replayed(members: dict[str, Json], wanted: Wanted) -> dict[str, Json]:
    then = wanted.created - HOUR
    expires = then + content.lifetime()
    return {**members, "nonce": OTHER_NONCE, "timeStamp": content.time_stamp(then, expires)}


def _licensed(members: dict[str, Json], wanted: Wanted) -> dict[str, Json]:
    has = members.get("licenseType")
    return {**members, "licenseType": "Windows_Server" if has != "Windows_Server" else "Windows_Client"}


def _old(members: dict[str, Json], wanted: Wanted) -> dict[str, Json]:
    since = data.read("attested")["members"]["since"]
    return {name: value for name, value in members.items() if since[name] == min(since.values())}


def _leaf(alter: Callable[[Certificate], Certificate]) -> Alteration:
    return Alteration(path=lambda path: (alter(path[0]), *path[1:]))


def _named(name: Callable[[str], str], *, common: bool = True, alternative: bool = True) -> Alteration:
    """Return the alteration of a leaf's names: ``name`` takes the domain."""
    return _leaf(lambda leaf: _renamed(leaf, name, common=common, alternative=alternative))


def _renamed(
    leaf: Certificate, name: Callable[[str], str], *, common: bool = True, alternative: bool = True
) -> Certificate:
    *before, (oid, domain) = leaf.subject
    if common:
        leaf = replace(leaf, subject=(*before, (oid, name(domain))))
    if alternative:
        leaf = replace(leaf, names=tuple(f"{dns.removesuffix(domain)}{name(domain)}" for dns in leaf.names))
    return leaf


def _stranger_name(domain: str) -> str:
    return "login.example"


def _other_domain(domain: str) -> str:
    domains = data.read("attested")["domains"]["by_cloud"].values()
    return next(str(other) for other in domains if other != domain)


def _issuer(alter: Callable[[Certificate], Certificate]) -> Alteration:
    return Alteration(path=lambda path: (path[0], alter(path[1]), *path[2:]))


def _expired(certificate: Certificate) -> Certificate:
    # What is valid now has been so for a day at least.
    begin = certificate.not_before
    return replace(certificate, not_before=begin - MONTH, not_after=begin)


def _future(certificate: Certificate) -> Certificate:
    # What is valid now will be so for some days yet.
    return replace(certificate, not_before=certificate.not_after - DAY)


def _sub_authority(path: Path) -> Path:
    *before, (oid, common_name) = path[1].subject
    below = replace(path[1], subject=(*before, (oid, f"{common_name} Sub CA")), key=FORGER_KEY)
    return (path[0], below, *path[1:])


def _impostors(path: Path) -> Path:
    return (path[0], *(replace(authority, key=FORGER_KEY) for authority in path[1:]))


def _wrong(good: Delivery, path: Path, authority: Authority, elsewhere: str) -> Delivery:
    *before, (oid, common_name) = path[0].subject
    other = replace(path[0], subject=(*before, (oid, f"{common_name} 2")), key=FORGER_KEY)
    return replace(good, body=lambda: authority.certificate((other, *path[1:])))


def _bundle(encoded: bytes) -> bytes:
    return pkcs7.serialize_certificates([load_der_x509_certificate(encoded)], Encoding.DER)


def _attacked(message: SignedData, path: Path, authority: Authority, attacker: Path) -> SignedData:
    """Add the certificate of an attacker, who signs."""
    signs = signer(authority, attacker, message.content or b"", message.digest_oid)
    return replace(message, certificates=(*message.certificates, authority.certificate(attacker)), signers=(signs,))


def _decoy(message: SignedData, path: Path, authority: Authority) -> SignedData:
    return _attacked(message, path, authority, (replace(path[0], key=FORGER_KEY),))


def _stranger(message: SignedData, path: Path, authority: Authority) -> SignedData:
    leaf = _renamed(path[0], _stranger_name)
    return _attacked(message, path, authority, (replace(leaf, key=FORGER_KEY), *path[1:]))


def _signed_before(message: SignedData, path: Path, authority: Authority) -> SignedData:
    # The content is what the verifier wants to read; what was signed was another VM's.
    signs = signer(authority, path, _tampered(message.content or b""), message.digest_oid)
    return replace(message, signers=(signs,))


def _second_signer(message: SignedData, path: Path, authority: Authority) -> SignedData:
    attacked = _decoy(message, path, authority)
    return replace(attacked, signers=(*message.signers, *attacked.signers))


def _digest(digest_oid: str | None, digest: HashAlgorithm) -> Alteration:
    """Return the alteration of the digest that is named, None for the right one, and of the one that is signed."""

    def alter(message: SignedData, path: Path, authority: Authority) -> SignedData:
        oid = digest_oid or message.digest_oid
        signs = signer(authority, path, message.content or b"", oid, digest)
        return replace(message, digest_oid=oid, signers=(signs,))

    return Alteration(message=alter)


def _signature(alter: Callable[[bytes], bytes]) -> Alteration:
    def altered(message: SignedData, path: Path, authority: Authority) -> SignedData:
        (only,) = message.signers
        return replace(message, signers=(replace(only, signature=alter(only.signature)),))

    return Alteration(message=altered)


def _with_text(alter: Callable[[str], str]) -> Alteration:
    return Alteration(reply=lambda reply: Document({**reply, "signature": alter(reply.signature)}))


def _tampered(text: bytes) -> bytes:
    place = text.index(b'"vmId":"') + len(b'"vmId":"')
    return text[:place] + (b"1" if text[place : place + 1] != b"1" else b"2") + text[place + 1 :]


def _random(size: int) -> bytes:
    """Return bytes that look like chance, the same ones every time."""
    return shake_256(b"pytest-imds").digest(size)


def _answers(status: int, page: bytes = b"") -> Access:
    return Access(deliver=lambda good, *_: Delivery(lambda: page, status, "text/html"))


def _silent(after: int) -> Access:
    return Access(deliver=lambda good, *_: replace(good, silent_after=after))


NOT_FOUND = Access(deliver=lambda *_: None)

ACCESS: Mapping[str, Access] = {
    "aia-not-found": NOT_FOUND,
    "aia-forbidden": _answers(403),
    "aia-timeout": _silent(0),
    "aia-hang": _silent(HALF_A_CERTIFICATE),
    "aia-html": _answers(200, PAGE),
    "aia-pem": Access(deliver=lambda good, *_: replace(good, body=lambda: pem(good.body()))),
    "aia-pkcs7": Access(deliver=lambda good, *_: replace(good, body=lambda: _bundle(good.body()))),
    "aia-redirect": Access(
        deliver=lambda good, path, authority, elsewhere: Delivery(lambda: b"", 302, "text/html", elsewhere)
    ),
    "aia-wrong": Access(deliver=_wrong),
    "aia-off-list": Access(elsewhere=True),
    "no-aia": Access(urls=0),
    "aia-both-dead": replace(NOT_FOUND, urls=2),
}

ALTERATIONS: Mapping[str, Alteration] = {
    "tampered-content": Alteration(message=_signed_before),
    "tampered-signature": _signature(lambda signature: signature[:-1] + bytes([signature[-1] ^ 1])),
    "random-signature": _signature(lambda signature: b"\0" + _random(len(signature) - 1)),
    "sha1-signed-as-sha256": _digest(None, SHA1()),  # noqa: S303 - it is what is forged
    "wrong-authority": Alteration(path=_impostors),
    "self-signed": Alteration(path=lambda path: (replace(path[0], key=FORGER_KEY),)),
    "decoy-certificate": Alteration(message=_decoy),
    "decoy-other-name": Alteration(message=_stranger),
    "name-suffix": _named(lambda domain: f"{domain}.evil.example"),
    "name-prefix": _named(lambda domain: f"evil{domain}"),
    "wrong-subject-alt-name": _named(_stranger_name, common=False),
    "wrong-common-name": _named(_stranger_name, alternative=False),
    "no-subject-alt-name": _leaf(lambda leaf: replace(leaf, names=())),
    "other-cloud": _named(_other_domain),
    "expired-certificate": _leaf(_expired),
    "future-certificate": _leaf(_future),
    "expired-intermediate": _issuer(_expired),
    **{name: Alteration(access=access) for name, access in ACCESS.items()},
    "aia-oversized": _issuer(lambda issuer: replace(issuer, padding=MEBIBYTE)),
    "issuer-not-ca": _issuer(lambda issuer: replace(issuer, ca=False)),
    "path-too-long": Alteration(path=_sub_authority),
    "wrong-purpose": _leaf(lambda leaf: replace(leaf, purposes=(CODE_SIGNING,))),
    "ca-leaf": _leaf(lambda leaf: replace(leaf, ca=True)),
    "sha1": _digest(SHA1_OID, SHA1()),  # noqa: S303 - it is what is forged
    "unknown-digest": _digest(UNREGISTERED_OID, SHA256()),
    "no-certificates": Alteration(message=lambda message, *_: replace(message, certificates=())),
    "no-signers": Alteration(message=lambda message, *_: replace(message, signers=())),
    "extra-signer": Alteration(message=_second_signer),
    "detached": Alteration(message=lambda message, *_: replace(message, content=None)),
    "trailing-bytes": Alteration(encoded=lambda encoded: encoded + b"\0\0\0\0"),
    "truncated": Alteration(encoded=lambda encoded: encoded[: len(encoded) // 2]),
    "garbage": Alteration(encoded=lambda encoded: _random(len(encoded))),
    "truncated-base64": _with_text(lambda text: text[: len(text) // 8 * 4 + 1]),
    "urlsafe-base64": _with_text(lambda text: text.translate(str.maketrans("+/", "-_"))),
    "wrapped-base64": _with_text(lambda text: "\n".join(wrap(text, 64))),
    "wrong-encoding": Alteration(reply=lambda reply: Document({**reply, "encoding": "cms"})),
    "no-signature": Alteration(reply=lambda reply: Document(encoding=reply["encoding"])),
    "not-json": Alteration(text=lambda text: b"vmId=" + text[1:-1]),
    "repeated-member": Alteration(text=lambda text: b'{"vmId":"' + OTHER_VM + b'",' + text[1:]),
    "expired-document": _times(-7 * HOUR, -HOUR),
    "future-document": _times(HOUR, 7 * HOUR),
    "stale-document": _times(-DAY, 6 * HOUR),
    "expires-before-created": _times(0, -HOUR),
    "wrong-nonce": _nonce(lambda wanted: OTHER_NONCE),
    "no-nonce": _members(nonce=None),
    "cached-nonce": _nonce(lambda wanted: content.default_nonce(wanted.created - HOUR)),
    "default-nonce": _nonce(_ignored),
    "replayed": Alteration(members=_replayed),
    "other-vm": _other("vmId"),
    "empty-vm-id": _members(vmId=""),
    "vm-id-not-a-guid": _members(vmId="web-01"),
    "other-subscription": _other("subscriptionId"),
    "no-subscription": _members(subscriptionId=None),
    "old-members": Alteration(members=_old),
    "licensed": Alteration(members=_licensed),
}
"""Every forgery of ``fixtures_data/forgeries.json``: the one step that is different."""
