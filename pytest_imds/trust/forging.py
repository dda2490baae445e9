"""How each forgery is made: one step of the making of a good document is done in another way.

What is wrong with each, and why anybody would forge it so, is in
``fixtures_data/forgeries.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import shake_256
from textwrap import wrap

from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from pytest_imds.trust import content
from pytest_imds.trust import forged_certificates as certificates
from pytest_imds.trust import forged_content as contents
from pytest_imds.trust import forged_message as messages
from pytest_imds.trust.alteration import Access, Alteration
from pytest_imds.trust.authority import FORGER_KEY, pem
from pytest_imds.trust.certificate import CODE_SIGNING
from pytest_imds.trust.deliveries import Delivery
from pytest_imds.trust.document import Document
from pytest_imds.trust.forged_content import DAY, HOUR

MEBIBYTE = 1 << 20
HALF_A_CERTIFICATE = 512
SHA1_OID, UNREGISTERED_OID = "1.3.14.3.2.26", "2.25.19790.1"
OTHER_VM = b"00000000-0000-4000-a000-000000000000"
PAGE = b"<!DOCTYPE html><title>Sign in</title><p>Sign in to use this network."


def _with_text(alter: Callable[[str], str]) -> Alteration:
    return Alteration(reply=lambda reply: Document({**reply, "signature": alter(reply.signature)}))


def _random(size: int) -> bytes:
    """Return bytes that look like chance, the same ones every time."""
    return shake_256(b"pytest-imds").digest(size)


NOT_FOUND = Access(deliver=lambda *_: None)

ACCESS: Mapping[str, Access] = {
    "aia-not-found": NOT_FOUND,
    "aia-forbidden": certificates.answers(403),
    "aia-timeout": certificates.silent(0),
    "aia-hang": certificates.silent(HALF_A_CERTIFICATE),
    "aia-html": certificates.answers(200, PAGE),
    "aia-pem": Access(deliver=lambda good, *_: replace(good, body=lambda: pem(good.body()))),
    "aia-pkcs7": Access(deliver=lambda good, *_: replace(good, body=lambda: certificates.bundle(good.body()))),
    "aia-redirect": Access(
        deliver=lambda good, path, authority, elsewhere: Delivery(lambda: b"", 302, "text/html", elsewhere)
    ),
    "aia-wrong": Access(deliver=certificates.wrong),
    "aia-off-list": Access(elsewhere=True),
    "no-aia": Access(urls=0),
    "aia-both-dead": replace(NOT_FOUND, urls=2),
}

ALTERATIONS: Mapping[str, Alteration] = {
    "tampered-content": Alteration(message=messages.signed_before),
    "tampered-signature": messages.signature(lambda signature: signature[:-1] + bytes([signature[-1] ^ 1])),
    "random-signature": messages.signature(lambda signature: b"\0" + _random(len(signature) - 1)),
    "sha1-signed-as-sha256": messages.digest(None, SHA1()),  # noqa: S303 - it is what is forged
    "wrong-authority": Alteration(path=certificates.impostors),
    "self-signed": Alteration(path=lambda path: (replace(path[0], key=FORGER_KEY),)),
    "decoy-certificate": Alteration(message=messages.decoy),
    "decoy-other-name": Alteration(message=messages.stranger),
    "name-suffix": certificates.named(lambda domain: f"{domain}.evil.example"),
    "name-prefix": certificates.named(lambda domain: f"evil{domain}"),
    "wrong-subject-alt-name": certificates.named(certificates.stranger_name, common=False),
    "wrong-common-name": certificates.named(certificates.stranger_name, alternative=False),
    "no-subject-alt-name": certificates.leaf(lambda leaf: replace(leaf, names=())),
    "other-cloud": certificates.named(certificates.other_domain),
    "expired-certificate": certificates.leaf(certificates.expired),
    "future-certificate": certificates.leaf(certificates.future),
    "expired-intermediate": certificates.issuer(certificates.expired),
    **{name: Alteration(access=access) for name, access in ACCESS.items()},
    "aia-oversized": certificates.issuer(lambda issuer: replace(issuer, padding=MEBIBYTE)),
    "issuer-not-ca": certificates.issuer(lambda issuer: replace(issuer, ca=False)),
    "path-too-long": Alteration(path=certificates.sub_authority),
    "wrong-purpose": certificates.leaf(lambda leaf: replace(leaf, purposes=(CODE_SIGNING,))),
    "ca-leaf": certificates.leaf(lambda leaf: replace(leaf, ca=True)),
    "sha1": messages.digest(SHA1_OID, SHA1()),  # noqa: S303 - it is what is forged
    "unknown-digest": messages.digest(UNREGISTERED_OID, SHA256()),
    "no-certificates": Alteration(message=lambda message, *_: replace(message, certificates=())),
    "no-signers": Alteration(message=lambda message, *_: replace(message, signers=())),
    "extra-signer": Alteration(message=messages.second_signer),
    "extra-signer-certified": Alteration(message=messages.certified_second_signer),
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
    "expired-document": contents.times(-7 * HOUR, -HOUR),
    "future-document": contents.times(HOUR, 7 * HOUR),
    "stale-document": contents.times(-DAY, 6 * HOUR),
    "expires-before-created": contents.times(0, -HOUR),
    "wrong-nonce": contents.nonce(contents.other_nonce),
    "no-nonce": contents.changed(nonce=None),
    "cached-nonce": contents.nonce(lambda wanted: content.default_nonce(wanted.created - HOUR)),
    "default-nonce": contents.nonce(contents.ignored),
    "replayed": Alteration(members=contents.replayed),
    "other-vm": contents.other("vmId"),
    "empty-vm-id": contents.changed(vmId=""),
    "vm-id-not-a-guid": contents.changed(vmId="web-01"),
    "other-subscription": contents.other("subscriptionId"),
    "no-subscription": contents.changed(subscriptionId=None),
    "old-members": Alteration(members=contents.old),
    "licensed": Alteration(members=contents.licensed),
}
"""Every forgery of ``fixtures_data/forgeries.json``: the one step that is different."""
