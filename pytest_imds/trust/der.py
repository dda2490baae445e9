"""DER, the encoding of certificates and PKCS#7: what is written and read of it.

Source: ITU-T X.690. Lengths are definite, and tags have one byte: documents
have no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from functools import lru_cache
from typing import NamedTuple

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
PRINTABLE_STRING, UTC_TIME, GENERALIZED_TIME = 0x13, 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31


def context(number: int) -> int:
    """Return the constructed tag ``[number]``."""
    return 0xA0 | number


def tlv(tag: int, *parts: bytes) -> bytes:
    """Write an element: its tag, the length, the parts."""
    body = b"".join(parts)
    length = len(body)
    if length < 0x80:
        return bytes((tag, length)) + body
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def integer(value: int) -> bytes:
    """Write an INTEGER that is not negative."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


@lru_cache(maxsize=128)
def oid(dotted: str) -> bytes:
    """Write an OBJECT IDENTIFIER."""
    first, second, *arcs = (int(arc) for arc in dotted.split("."))
    body = bytearray()
    for arc in (first * 40 + second, *arcs):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        body += bytes(reversed(groups))
    return tlv(OID, bytes(body))


def algorithm(dotted: str) -> bytes:
    """Write an AlgorithmIdentifier whose parameters are NULL."""
    return tlv(SEQUENCE, oid(dotted), tlv(NULL))


def time(second: int) -> bytes:
    """Write a time, from seconds since the epoch: UTCTime, GeneralizedTime from 2050 on (RFC 5280, section 4.1.2.5)."""
    when = datetime.fromtimestamp(second, timezone.utc)
    if when.year < 2050:
        return tlv(UTC_TIME, f"{when:%y%m%d%H%M%SZ}".encode())
    return tlv(GENERALIZED_TIME, f"{when:%Y%m%d%H%M%SZ}".encode())


class Element(NamedTuple):
    """What was read: the tag, what is in the element, and the element as a whole."""

    tag: int
    body: bytes
    whole: bytes

    def children(self) -> list[Element]:
        """Return the elements that are in this one.

        Raises:
            ValueError: what is in it is not DER.
        """
        return list(_elements(self.body))


NOTHING = Element(0, b"", b"")


def read(encoded: bytes) -> tuple[Element, bytes]:
    """Read the first element of ``encoded``; return it, and what follows it.

    Raises:
        ValueError: it is not DER.
    """
    if len(encoded) < 2:
        raise ValueError(f"an element of {len(encoded)} bytes; its tag and its length have 2 or more")
    tag, length, start = encoded[0], encoded[1], 2
    if tag & 0x1F == 0x1F:
        raise ValueError(f"the tag {tag:#04x}, which has more than one byte")
    if length >= 0x80:
        start += length & 0x7F
        length = int.from_bytes(encoded[2:start], "big")
    end = start + length
    if encoded[1] == 0x80 or end > len(encoded):
        raise ValueError(f"an element of {end} bytes where {len(encoded)} are left")
    element = Element(tag, encoded[start:end], encoded[:end])
    if tlv(tag, element.body) != element.whole:
        raise ValueError("a length that is not in its shortest form")
    return element, encoded[end:]


def _elements(body: bytes) -> Iterator[Element]:
    while body:
        element, body = read(body)
        yield element
