"""Reading a document that nobody has vouched for yet."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_imds import data
from pytest_imds.errors import ImdsUsageError
from pytest_imds.trust import der
from pytest_imds.trust.document import DATA, RSA_ENCRYPTION, SIGNED_DATA, VERSION
from pytest_imds.trust.errors import (
    AttestationEncodingError,
    AttestationMembersError,
    AttestationSignersError,
    AttestationStructureError,
    AttestationTrailingDataError,
)

# Standard base64 on one line; whether its length is right, decoding tells.
BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)
SHAPE = (der.INTEGER, der.SET, der.SEQUENCE, der.context(0), der.SET)
SIGNER_SHAPE = (der.INTEGER, der.SEQUENCE, der.SEQUENCE, der.SEQUENCE, der.OCTET_STRING)


@dataclass(frozen=True)
class Parsed:
    """A PKCS#7 document with one signer, in parts.

    Attributes:
        content: the bytes that are signed.
        certificates: in DER, as many as there are.
        issuer_and_serial: what the signer's certificate is named by, in DER.
        digest_oid: the digest algorithm that the signer names, in DER.
        signature: the signature.
    """

    content: bytes
    certificates: tuple[bytes, ...]
    issuer_and_serial: tuple[bytes, bytes]
    digest_oid: bytes
    signature: bytes


def encoded(reply: str | Mapping[str, Any]) -> bytes:
    """Return the PKCS#7 document of a reply, or of its ``signature`` alone.

    Raises:
        AttestationEncodingError: ``encoding`` is not pkcs7, or ``signature`` no standard base64 on one line.
        AttestationStructureError: there is no ``signature``, or its base64 is broken off.
    """
    if not isinstance(reply, (str, Mapping)):
        raise ImdsUsageError.wrong_value(
            "signature", reply, "the signature in base64, a str, or the whole reply, a JSON object"
        )
    if not isinstance(reply, str):
        encoding, wanted = reply.get("encoding"), data.read("attested")["reply"]["encoding"]
        if encoding != wanted:
            raise AttestationEncodingError.found(f"encoding {encoding!r}", repr(wanted))
    signature = reply if isinstance(reply, str) else reply.get("signature")
    if not isinstance(signature, str):
        raise AttestationStructureError.found(f"signature {signature!r}", "a string")
    if not BASE64.fullmatch(signature):
        wrong = sorted(set(re.sub(r"[A-Za-z0-9+/]", "", signature)))
        raise AttestationEncodingError.found(f"a signature with {wrong}", "standard base64 on one line")
    try:
        return b64decode(signature, validate=True)
    except ValueError as error:
        raise AttestationStructureError.found(
            f"a signature of {len(signature)} characters: {error}", "base64"
        ) from None


def parsed(document: bytes) -> Parsed:
    """Take a PKCS#7 document apart.

    Raises:
        AttestationStructureError: it is none, or has parts that the service's have not.
        AttestationSignersError: it has not exactly one signer.
        AttestationTrailingDataError: something follows it.
    """
    try:
        info, rest = der.read(document)
        whole = _signed_data(info)
    except ValueError as error:
        raise AttestationStructureError.found(str(error), "a PKCS#7 document in DER") from None
    if rest:
        raise AttestationTrailingDataError.found(f"{len(rest)} bytes after the document", "none")
    return whole


def members(content: bytes) -> dict[str, Any]:
    """Return the JSON object of the content.

    Raises:
        AttestationStructureError: it is none.
        AttestationMembersError: a member is there twice.
    """
    repeated: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        repeated.extend(name for name in names if names.count(name) > 1)
        return dict(pairs)

    try:
        whole = json.loads(content, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise AttestationStructureError.found(f"content {content[:80]!r}: {error}", "a JSON object") from None
    if not isinstance(whole, dict):
        raise AttestationStructureError.found(f"content {content[:80]!r}", "a JSON object")
    if repeated:
        raise AttestationMembersError.found(f"{repeated[0]} {repeated.count(repeated[0])} times", "each member once")
    return whole


def _signed_data(info: der.Element) -> Parsed:
    _require("the tag of the document", info.whole[:1], bytes([der.SEQUENCE]))
    kind, explicit = _parts(info, (der.OID, der.context(0)), "ContentInfo")
    _require("the content type", kind.whole, der.oid(SIGNED_DATA))
    (signed,) = _parts(explicit, (der.SEQUENCE,), "[0] of ContentInfo")
    version, _, encapsulated, bag, signers = _parts(signed, SHAPE, "SignedData")
    _require("the version", version.whole, der.integer(VERSION))
    kind, explicit = _parts(encapsulated, (der.OID, der.context(0)), "the content")
    _require("the type of the content", kind.whole, der.oid(DATA))
    (content,) = _parts(explicit, (der.OCTET_STRING,), "[0] of the content")
    infos = signers.children()
    if len(infos) != 1:
        raise AttestationSignersError.found(f"{len(infos)} signers", "1")
    _require("the tag of the signer", infos[0].whole[:1], bytes([der.SEQUENCE]))
    version, named, digest, algorithm, signature = _parts(infos[0], SIGNER_SHAPE, "SignerInfo")
    _require("the signer's version", version.whole, der.integer(VERSION))
    _require("the signature algorithm", algorithm.whole, der.algorithm(RSA_ENCRYPTION))
    issuer, serial = _parts(named, (der.SEQUENCE, der.INTEGER), "issuerAndSerialNumber")
    oid, *_ = digest.children() or [der.NOTHING]
    certificates = tuple(certificate.whole for certificate in bag.children())
    return Parsed(content.body, certificates, (issuer.whole, serial.whole), oid.whole, signature.body)


def _parts(element: der.Element, tags: tuple[int, ...], what: str) -> list[der.Element]:
    parts = element.children()
    found = tuple(part.tag for part in parts)
    if found != tags:
        raise ValueError(f"{what} with the tags {_hex(found)}, where {_hex(tags)} are right")
    return parts


def _require(what: str, found: bytes, right: bytes) -> None:
    if found != right:
        raise ValueError(f"{what} is {found.hex()}, where {right.hex()} is right")


def _hex(tags: tuple[int, ...]) -> str:
    return " ".join(f"{tag:02x}" for tag in tags)
