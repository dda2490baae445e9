"""A PKCS#7 document, put together piece by piece: no builder can write what the service sends.

Source: ``wire-form`` and ``digest-oid`` in ``fixtures_data/attested.json``;
RFC 2315, sections 9 and 14. There are no signed attributes, so that the
signature covers the content alone, and each other piece can be another one.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from pytest_imds import data
from pytest_imds.trust import der

SIGNED_DATA, DATA = "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.1"
RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
VERSION = 1


class Document(dict[str, str]):
    """What ``/metadata/attested/document`` answers: ``encoding``, which is ``pkcs7``, and ``signature``, in base64.

    It is the JSON object itself: equal to what ``response.json()`` gives.
    """

    @property
    def signature(self) -> str:
        """The PKCS#7 document in base64; ``""`` if the reply has none."""
        return self.get("signature", "")


def document(encoded: bytes) -> Document:
    """Return the reply that carries ``encoded``."""
    return Document(encoding=data.read("attested")["reply"]["encoding"], signature=b64encode(encoded).decode())


@dataclass(frozen=True)
class Signer:
    """A SignerInfo: whose signature it is, made how."""

    issuer: bytes
    serial: bytes
    digest_oid: str
    signature: bytes

    def encoded(self) -> bytes:
        """Return it in DER."""
        return der.tlv(
            der.SEQUENCE,
            der.integer(VERSION),
            der.tlv(der.SEQUENCE, self.issuer, self.serial),
            der.algorithm(self.digest_oid),
            der.algorithm(RSA_ENCRYPTION),
            der.tlv(der.OCTET_STRING, self.signature),
        )


@dataclass(frozen=True)
class SignedData:
    """A SignedData: the content (None is left out), the certificates in DER, who signed."""

    content: bytes | None
    digest_oid: str
    certificates: tuple[bytes, ...]
    signers: tuple[Signer, ...]

    def encoded(self) -> bytes:
        """Return it in DER, as a ContentInfo."""
        content = () if self.content is None else (der.tlv(der.context(0), der.tlv(der.OCTET_STRING, self.content)),)
        certificates = (der.tlv(der.context(0), *self.certificates),) if self.certificates else ()
        signed = der.tlv(
            der.SEQUENCE,
            der.integer(VERSION),
            der.tlv(der.SET, der.algorithm(self.digest_oid)),
            der.tlv(der.SEQUENCE, der.oid(DATA), *content),
            *certificates,
            der.tlv(der.SET, *(signer.encoded() for signer in self.signers)),
        )
        return der.tlv(der.SEQUENCE, der.oid(SIGNED_DATA), der.tlv(der.context(0), signed))
