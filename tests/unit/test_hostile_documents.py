"""Documents that nobody would make by mistake: the verifier refuses each with an error of its own, and never breaks."""

from __future__ import annotations

import warnings
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pytest_imds import (
    AttestationChainError,
    AttestationError,
    AttestationSignatureError,
    AttestationStructureError,
    Document,
)
from pytest_imds.trust import der, document, parsing
from pytest_imds.trust.certificate import issuer_and_serial
from pytest_imds.trust.deliveries import Delivery
from pytest_imds.trust.document import SignedData, Signer
from tests import documents
from tests.every import every

OID = "1.2.840.113549.1.1.11"

made = cache(documents.attestation)


def good() -> bytes:
    return b64decode(made().document().signature)


def signature(encoded: bytes) -> str:
    return b64encode(encoded).decode()


def with_certificates(*certificates: bytes, named: tuple[bytes, bytes] | None = None) -> Document:
    """Return the good document with other certificates, and whose signer is named as said."""
    parsed = parsing.parsed(good())
    issuer, serial = named or parsed.issuer_and_serial
    signer = Signer(issuer, serial, OID, parsed.signature)
    return document.document(SignedData(parsed.content, OID, certificates, (signer,)).encoded())


# The text of a reply that is none, and the check that it fails.
TEXTS = {
    "": "structure",
    "=": "structure",
    "A": "structure",
    "AAA": "structure",
    "AAAA": "structure",
    "MAA=": "structure",
    "MIAAAA==": "structure",
    "====": "encoding",
    "A=AA": "encoding",
    " ": "encoding",
    "MAA=\n": "encoding",
    "MA-_": "encoding",
    "\uff2d\uff21\uff21\uff1d": "encoding",
    "\ud800": "encoding",
    "\0": "encoding",
}


@every("text", TEXTS)
def test_text_that_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(AttestationError) as caught:
        made().verify(text)
    assert caught.value.check == TEXTS[text]


# A JSON object that is no reply, and the check that it fails.
REPLIES: list[tuple[dict[str, Any], str]] = [
    ({}, "encoding"),
    ({"signature": "AAAA"}, "encoding"),
    ({"encoding": None, "signature": "AAAA"}, "encoding"),
    ({"encoding": ["pkcs7"], "signature": "AAAA"}, "encoding"),
    ({"encoding": "PKCS7", "signature": "AAAA"}, "encoding"),
    ({"encoding": "pkcs7"}, "structure"),
    ({"encoding": "pkcs7", "signature": None}, "structure"),
    ({"encoding": "pkcs7", "signature": 5}, "structure"),
    ({"encoding": "pkcs7", "signature": ["AAAA"]}, "structure"),
    ({"error": "Not found"}, "encoding"),
]


@every(("reply", "check"), REPLIES)
def test_an_object_that_is_no_reply_is_refused(reply: dict[str, Any], check: str) -> None:
    with pytest.raises(AttestationError) as caught:
        made().verify(reply)
    assert caught.value.check == check


def swapped(old: str, new: str, *, last: bool = False) -> Callable[[bytes], bytes]:
    """Return what puts one object identifier in the place of another."""

    def swap(encoded: bytes) -> bytes:
        before, found, after = (encoded.rpartition if last else encoded.partition)(der.oid(old))
        assert found
        return before + der.oid(new) + after

    return swap


def another_tag_of_the_signer(encoded: bytes) -> bytes:
    signed = der.read(encoded)[0].children()[1].children()[0]
    signer = signed.children()[-1].body
    return encoded.removesuffix(signer) + b"\x31" + signer[1:]


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "another content type": swapped("1.2.840.113549.1.7.2", "1.2.840.113549.1.7.3"),
    "content of another type": swapped("1.2.840.113549.1.7.1", "1.2.840.113549.1.7.5"),
    "another signature algorithm": swapped("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.7", last=True),
    "another version": lambda encoded: encoded.replace(der.integer(1), der.integer(3), 1),
    "an extension twice": swapped("2.5.29.17", "2.5.29.35"),
    "an extension that is another": swapped("2.5.29.37", "2.5.29.19"),
    "an unknown kind of key": swapped("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.5"),
    "a signature algorithm of the certificate that is unknown": swapped(
        "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.0"
    ),
    "a public exponent of 1": lambda encoded: encoded.replace(der.integer(65537), b"\x02\x03\0\0\1", 1),
    "a country in bytes that are no text": lambda encoded: encoded.replace(b"\x13\x02US", b"\x13\x02\xff\xfe", 2),
    "a name in bits": lambda encoded: encoded.replace(b"\x13\x12metadata", b"\x03\x12metadata", 1),
    "a name of a type that there is not": lambda encoded: encoded.replace(b"\x13\x12metadata", b"\x11\x12metadata", 1),
    "a country of seven letters": swapped("2.5.4.7", "2.5.4.6"),
    "an outermost tag that is another": lambda encoded: b"\x31" + encoded[1:],
    "a signer that is no sequence": another_tag_of_the_signer,
    "a time that is none": lambda encoded: encoded.replace(b"\x17\x0d", b"\x17\x0dX", 1)[:-1],
}


@every("break_", BROKEN.values())
def test_a_document_with_a_broken_part_is_refused(break_: Callable[[bytes], bytes]) -> None:
    encoded = good()
    broken = break_(encoded)

    assert broken != encoded
    with pytest.raises(AttestationError):
        made().verify(signature(broken))


@pytest.mark.parametrize("certificate", ["3000", "30023000", "30043002" + "0500", "300202" + "00", "020100", "0500"])
def test_a_certificate_that_is_none_is_refused(certificate: str) -> None:
    with pytest.raises(AttestationError):
        made().verify(with_certificates(bytes.fromhex(certificate)))


def test_a_certificate_that_is_there_twice_is_refused() -> None:
    (certificate,) = parsing.parsed(good()).certificates

    with pytest.raises(AttestationError) as caught:
        made().verify(with_certificates(certificate, certificate))
    assert caught.value.check == "signer"


def test_an_authority_s_certificate_beside_the_signer_s_is_refused() -> None:
    (certificate,) = parsing.parsed(good()).certificates
    issuer = x509.load_pem_x509_certificate(made().intermediate_pem).public_bytes(Encoding.DER)

    with pytest.raises(AttestationError) as caught:
        made().verify(with_certificates(certificate, issuer))
    assert caught.value.check == "signer"


def test_a_chain_without_end_is_refused() -> None:
    attestation = documents.attestation()
    reply, root = attestation.document(), attestation.root_pem
    opened = documents.opened(reply)
    (url,) = documents.ca_issuers(opened.leaf)
    attestation.deliveries.put(unquote(urlsplit(url).path), Delivery(lambda: opened.certificates[0]))

    with pytest.raises(AttestationChainError, match="a shorter chain"):
        attestation.verify(reply, trust=root)


def test_a_negative_serial_number_is_refused_and_never_a_warning() -> None:
    (certificate,) = parsing.parsed(good()).certificates
    issuer, serial = issuer_and_serial(certificate)
    negative = der.tlv(der.INTEGER, bytes([serial[2] | 0x80]) + serial[3:])
    forged = with_certificates(certificate.replace(serial, negative, 1), named=(issuer, negative))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AttestationError):
            made().verify(forged)


def test_a_signer_with_another_kind_of_key_is_refused() -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "metadata.azure.com")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = builder.sign(key, SHA256()).public_bytes(Encoding.DER)

    with pytest.raises(AttestationSignatureError, match=r"found a key of the type .*; expected an RSA key"):
        made().verify(with_certificates(certificate, named=issuer_and_serial(certificate)))


def signed_over(content: bytes) -> Document:
    """Return a document whose content the right signer has signed, whatever it is."""
    attestation = made()
    (certificate,) = documents.opened(attestation.document()).certificates
    issuer, serial = issuer_and_serial(certificate)
    signer = Signer(issuer, serial, OID, documents.sign(content))
    return document.document(SignedData(content, OID, (certificate,), (signer,)).encoded())


STAMP = '"timeStamp":{"createdOn":"%s","expiresOn":"%s"}'
CONTENTS = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{}",
    b'{"timeStamp":null}',
    b'{"timeStamp":{}}',
    b'{"timeStamp":["createdOn","expiresOn"]}',
    b'{"timeStamp":"createdOn"}',
    (b"{%s}" % STAMP.encode()),
    b'{"timeStamp":{"createdOn":1,"expiresOn":2}}',
    b"\xff\xfe",
    b'{"vmId":"\xff"}',
    b"[" * 100_000,
    b'{"vmId":' + b"9" * 5_000 + b"}",
]


@every("content", CONTENTS)
def test_content_that_is_signed_and_yet_none_is_refused(content: bytes) -> None:
    with pytest.raises(AttestationStructureError):
        made().verify(signed_over(content))
