"""Whatever is done to a document, the verifier refuses it with an error of its own, or nothing has changed."""

from __future__ import annotations

import json
import warnings
from base64 import b64decode, b64encode
from functools import cache
from typing import Any

from asn1crypto import cms  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imds import Attestation, AttestationError
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Request
from pytest_imds.trust import der
from pytest_imds.trust.document import SignedData, Signer, document
from tests import documents, hosts

OID = "1.2.840.113549.1.1.11"
NONCE = "abcde12345"
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

moderate = settings(deadline=None, max_examples=25)
made = cache(documents.attestation)


@cache
def good(chain: str) -> bytes:
    return b64decode(made(chain=chain).document(nonce=NONCE).signature)


@cache
def good_members(chain: str) -> dict[str, Any]:
    return documents.opened(document(good(chain))).members


def verified(attestation: Attestation, signature: Any) -> dict[str, Any] | None:
    """What the verifier accepts; None if it refuses. Anything else that it raises, or warns of, fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return attestation.verify(signature, nonce=NONCE)
        except AttestationError:
            return None


def signers_certificate(encoded: bytes) -> bytes:
    """What the certificate of the signer says; it is found by its serial number."""
    signed = cms.ContentInfo.load(encoded)["content"]
    (signer,) = signed["signer_infos"]
    serial = signer["sid"].chosen["serial_number"].native
    (certificate,) = (one.chosen for one in signed["certificates"] if one.chosen.serial_number == serial)
    return bytes(certificate["tbs_certificate"].dump())


@settings(deadline=None, max_examples=200)
@given(chain=st.sampled_from(documents.CHAINS), where=st.integers(0, 1 << 16), flip=st.integers(1, 255))
def test_a_document_with_one_byte_flipped_is_refused_or_means_the_same(chain: str, where: int, flip: int) -> None:
    encoded = bytearray(good(chain))
    encoded[where % len(encoded)] ^= flip

    members = verified(made(chain=chain), b64encode(encoded).decode())
    if members is not None:
        assert members == good_members(chain)
        assert signers_certificate(bytes(encoded)) == signers_certificate(good(chain))


@moderate
@given(chain=st.sampled_from(documents.CHAINS), data=st.data())
def test_a_document_that_was_cut_and_pasted_is_refused_or_the_same(chain: str, data: st.DataObject) -> None:
    encoded = good(chain)
    start = data.draw(st.integers(0, len(encoded)))
    end = data.draw(st.integers(start, len(encoded)))
    pasted = data.draw(st.binary(max_size=8) | st.just(encoded[start:end] * 2))
    changed = encoded[:start] + pasted + encoded[end:]

    if verified(made(chain=chain), b64encode(changed).decode()) is not None:
        assert changed == encoded


@moderate
@given(signature=st.text() | st.binary(max_size=60).map(lambda encoded: b64encode(encoded).decode()))
def test_text_is_refused_and_nothing_breaks(signature: str) -> None:
    assert verified(made(), signature) is None
    assert verified(made(), {"encoding": "pkcs7", "signature": signature}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@moderate
@given(reply=st.dictionaries(st.sampled_from(["encoding", "signature"]) | st.text(max_size=8), JSON | st.just("pkcs7")))
def test_a_json_object_is_refused_and_nothing_breaks(reply: dict[str, Any]) -> None:
    assert verified(made(), reply) is None


@st.composite
def trees(draw: st.DrawFn) -> bytes:
    """DER that means nothing."""
    tag = draw(st.sampled_from([der.INTEGER, der.OCTET_STRING, der.OID, der.NULL, 0x13, 0x17]))
    leaf = st.builds(der.tlv, st.just(tag), st.binary(max_size=6))
    inner = st.deferred(lambda: st.lists(leaf | branch, max_size=5))
    branch = st.builds(lambda tag, parts: der.tlv(tag, *parts), st.sampled_from([0x30, 0x31, 0xA0, 0xA3]), inner)
    return draw(branch)


@settings(moderate, max_examples=20)
@given(certificates=st.lists(trees() | st.binary(max_size=8), max_size=3), named=st.booleans(), tree=trees())
def test_der_that_means_nothing_in_the_place_of_certificates_is_refused(
    certificates: list[bytes], named: bool, tree: bytes
) -> None:
    issuer, serial = (tree, der.integer(1)) if named else (der.tlv(der.SEQUENCE), tree)
    signed = SignedData(b"{}", OID, tuple(certificates), (Signer(issuer, serial, OID, b""),))

    assert verified(made(), document(signed.encoded())) is None
    assert verified(made(), b64encode(tree).decode()) is None


@moderate
@given(content=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
def test_any_content_that_the_right_signer_has_signed_is_refused_if_it_is_no_document(content: bytes) -> None:
    opened = documents.opened(document(good("2024")))
    issuer, serial = (part.whole for part in der.read(opened.certificates[0])[0].children()[0].children()[3:0:-2])
    signer = Signer(issuer, serial, OID, documents.sign(content))

    assert verified(made(), document(SignedData(content, OID, opened.certificates, (signer,)).encoded())) is None


@moderate
@given(nonce=st.text(ALPHABET, min_size=1, max_size=32))
def test_any_nonce_of_the_alphabet_is_signed_and_verified(nonce: str) -> None:
    reply = handle(attested(nonce), hosts.host(documents.vm()))

    assert reply.status == 200
    assert documents.opened(json.loads(reply.body)).members["nonce"] == nonce
    assert made().verify(json.loads(reply.body), nonce=nonce)["nonce"] == nonce


@moderate
@given(nonce=st.text(max_size=40).filter(lambda text: not text or len(text) > 32 or set(text) - set(ALPHABET)))
def test_any_other_nonce_is_refused(nonce: str) -> None:
    assert handle(attested(nonce), hosts.host(documents.vm())).status == 400


def attested(nonce: str) -> Request:
    quoted = "".join(f"%{byte:02X}" for byte in nonce.encode("utf-8", "surrogatepass"))
    query = f"api-version={documents.VERSIONS[-1]}&nonce={quoted}"
    return Request("GET", "/metadata/attested/document", query, {"metadata": "true"})


@given(tag=st.integers(0, 255).filter(lambda tag: tag & 0x1F != 0x1F), body=st.binary(max_size=300), rest=st.binary())
def test_what_was_written_is_read(tag: int, body: bytes, rest: bytes) -> None:
    written = der.tlv(tag, body)

    assert der.read(written + rest) == ((tag, body, written), rest)


@given(parts=st.lists(st.binary(max_size=20)))
def test_the_parts_that_were_written_are_read(parts: list[bytes]) -> None:
    whole, rest = der.read(der.tlv(der.SEQUENCE, *(der.tlv(der.OCTET_STRING, part) for part in parts)))

    assert [child.body for child in whole.children()] == parts
    assert rest == b""


@given(encoded=st.binary(max_size=40) | st.binary(max_size=8).map(lambda tail: b"\x30\x84" + tail))
def test_any_bytes_are_read_or_refused_with_a_value_error(encoded: bytes) -> None:
    try:
        element, rest = der.read(encoded)
    except ValueError:
        return
    assert element.whole + rest == encoded
    assert der.tlv(element.tag, element.body) == element.whole
