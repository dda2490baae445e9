"""The writer and reader of DER, against the encodings that X.690 gives and against asn1crypto."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from asn1crypto import core  # type: ignore[import-untyped]

from pytest_imds.trust import der
from tests.every import every

# Object identifiers by their bytes: sha256WithRSAEncryption, commonName, one below 2.25 and X.690's own example.
OIDS = {
    "1.2.840.113549.1.1.11": "06092a864886f70d01010b",
    "2.16.840.1.101.3.4.2.1": "0609608648016503040201",
    "2.5.4.3": "0603550403",
    "2.25.19790.1": "060569819a4e01",
    "2.999.3": "0603883703",
    "0.0": "060100",
    "1.39.0": "06024f00",
}


@every(
    ("size", "head"),
    [
        (0, "0400"),
        (1, "0401"),
        (127, "047f"),
        (128, "048180"),
        (255, "0481ff"),
        (256, "04820100"),
        (65535, "0482ffff"),
        (65536, "0483010000"),
    ],
)
def test_a_length_is_written_in_its_shortest_form_and_read_back(size: int, head: str) -> None:
    written = der.tlv(der.OCTET_STRING, bytes(size))

    assert written == bytes.fromhex(head) + bytes(size)
    assert der.read(written) == ((der.OCTET_STRING, bytes(size), written), b"")


def test_an_element_has_its_parts_in_order() -> None:
    whole = der.tlv(der.SEQUENCE, der.integer(1), der.tlv(der.NULL), der.tlv(der.context(0), der.integer(2)))

    assert whole.hex() == "300a020101" + "0500" + "a003020102"
    assert [part.tag for part in der.read(whole)[0].children()] == [der.INTEGER, der.NULL, 0xA0]


@every("value", [0, 1, 127, 128, 255, 256, 32767, 32768, 65537, 2**63, 2**152 - 1])
def test_an_integer_is_written_as_asn1crypto_writes_it(value: int) -> None:
    assert der.integer(value) == core.Integer(value).dump()


@pytest.mark.parametrize("dotted", OIDS)
def test_an_object_identifier_has_its_bytes(dotted: str) -> None:
    assert der.oid(dotted).hex() == OIDS[dotted]
    assert core.ObjectIdentifier.load(der.oid(dotted)).dotted == dotted


def test_an_algorithm_has_the_parameters_null() -> None:
    assert der.algorithm("2.5.4.3").hex() == "30070603550403" + "0500"


@pytest.mark.parametrize(
    ("when", "tag", "text"),
    [
        ((1970, 1, 1), der.UTC_TIME, b"700101000000Z"),
        ((1999, 12, 31, 23, 59, 59), der.UTC_TIME, b"991231235959Z"),
        ((2049, 12, 31, 23, 59, 59), der.UTC_TIME, b"491231235959Z"),
        ((2050, 1, 1), der.GENERALIZED_TIME, b"20500101000000Z"),
        ((2051, 6, 5, 4, 3, 2), der.GENERALIZED_TIME, b"20510605040302Z"),
    ],
)
def test_a_time_is_utc_time_until_2049_and_generalized_time_from_2050_on(
    when: tuple[int, int, int], tag: int, text: bytes
) -> None:
    moment = datetime(*when, tzinfo=timezone.utc)

    assert der.time(int(moment.timestamp())) == der.tlv(tag, text)
    kind = core.UTCTime if tag == der.UTC_TIME else core.GeneralizedTime
    assert kind.load(der.time(int(moment.timestamp()))).native == moment


def test_what_follows_an_element_is_given_back() -> None:
    element, rest = der.read(der.integer(5) + b"rest")

    assert (element.tag, element.body, element.whole, rest) == (der.INTEGER, b"\x05", b"\x02\x01\x05", b"rest")


@every(
    ("encoded", "problem"),
    [
        ("", "0 bytes"),
        ("30", "1 bytes"),
        ("3001", "3 bytes where 2 are left"),
        ("308000000000", "bytes where"),
        ("30820100", "260 bytes where 4 are left"),
        ("30ff", "bytes where 2 are left"),
        ("30840000", "bytes where 4 are left"),
        ("308100", "shortest form"),
        ("30817f" + "00" * 127, "shortest form"),
        ("3082007f" + "00" * 127, "shortest form"),
        ("1f0100", "tag 0x1f, which has more than one byte"),
        ("bf8101" + "00" * 127, "tag 0xbf, which has more than one byte"),
    ],
)
def test_what_is_not_der_is_refused(encoded: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        der.read(bytes.fromhex(encoded))


def test_a_part_that_is_not_der_is_found_when_the_parts_are_read() -> None:
    element, _ = der.read(bytes.fromhex("3004020105" + "30"))

    with pytest.raises(ValueError, match="1 bytes"):
        element.children()
