"""The ASN.1 structure of real attested documents, and that of ours: node for node the same."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from difflib import unified_diff
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import core, parser  # type: ignore[import-untyped]

from pytest_imds import Vm
from pytest_imds.trust.setting import Setting
from pytest_imds.vm.provider import generate, generator
from tests.hosts import attestation

SHAPES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("attested_shapes.json").read_text(encoding="utf-8"))[
    "documents"
]
UNIVERSAL = {
    1: "BOOLEAN",
    2: "INTEGER",
    3: "BIT STRING",
    4: "OCTET STRING",
    5: "NULL",
    6: "OID",
    12: "UTF8String",
    16: "SEQUENCE",
    17: "SET",
    19: "PrintableString",
    22: "IA5String",
    23: "UTCTime",
}
DIGESTS = ["-OID 1.2.840.113549.1.1.11", "+OID 2.16.840.1.101.3.4.2.1"]
CONSTRUCTED = ["-[2] primitive", "+[2]", "+UTF8String"]
COMPARED = [pytest.param(row, aia, id=f"{row['name']}-{aia}") for row in SHAPES for aia in row["aia"]]


def shape(encoded: bytes, depth: int = 0) -> Iterator[str]:
    """Give a line for each node of ``encoded``: its tag, indented by its depth, and the value of an OID."""
    before, index = "", 0
    while encoded:
        size = parser.peek(encoded)
        node, encoded = encoded[:size], encoded[size:]
        number, constructed, tag, _, body, _ = parser.parse(node, strict=True)
        name = UNIVERSAL[tag] if number == 0 else f"[{tag}]" if constructed else f"[{tag}] primitive"
        yield " " * depth + (f"OID {core.ObjectIdentifier.load(node).dotted}" if name == "OID" else name)
        extension = name == "OCTET STRING" and before in ("OID", "BOOLEAN")
        key = name == "BIT STRING" and index == 1  # of a SubjectPublicKeyInfo: its algorithm comes first
        if constructed or extension or key:
            yield from shape(body[1:] if key else body, depth + 1)
        before, index = name, index + 1


@cache
def vm() -> Vm:
    return generate(generator(), "linux", "shape", {"cloud": "AzurePublicCloud"})


def ours(chain: str, aia: str, digest_oid: str = "sha256WithRSAEncryption") -> bytes:
    return b64decode(attestation(vm(), Setting(chain, aia, digest_oid)).document().signature)


def difference(recorded: list[str], found: list[str]) -> str:
    return "\n".join(unified_diff(recorded, found, "the service", "ours", n=8, lineterm=""))


def changed(recorded: list[str], found: list[str]) -> list[str]:
    """What one of the two has and the other has not, with its sign, without its indentation."""
    lines = difference(recorded, found).splitlines()[2:]  # after the names of the two
    return [line[0] + line[1:].strip() for line in lines if line[0] in "-+"]


@pytest.mark.parametrize(("recorded", "aia"), COMPARED)
def test_a_document_has_the_nodes_of_a_real_one(recorded: dict[str, Any], aia: str) -> None:
    found = list(shape(ours(recorded["chain"], aia)))

    assert not difference(recorded["shape"], found), difference(recorded["shape"], found)


@pytest.mark.parametrize(("recorded", "aia"), COMPARED)
def test_with_the_digest_oid_sha256_the_two_digest_oids_are_the_one_difference(
    recorded: dict[str, Any], aia: str
) -> None:
    real, found = recorded["shape"], list(shape(ours(recorded["chain"], aia, "sha256")))

    assert changed(real, found) == DIGESTS * 2, difference(real, found)


def test_the_default_of_each_chain_is_compared() -> None:
    compared = {(row["chain"], aia) for row in SHAPES for aia in row["aia"]}

    assert {(chain, Setting(chain).aia) for chain in ("2024", "2026")} <= compared


# Bytes of a good document, what they are changed to, and the lines that this changes.
CHANGES = {
    "the type of a string": (b"\x13\x07Redmond", b"\x0c\x07Redmond", ["-PrintableString", "+UTF8String"]),
    "a tag in an extension": (b"\x82\x12metadata", b"\x81\x12metadata", ["-[2] primitive", "+[1] primitive"]),
    "what is constructed": (b"\x82\x12metadata.azure.com", b"\xa2\x12\x0c\x10" + bytes(16), CONSTRUCTED),
    "an OID in an extension": (
        bytes.fromhex("06082b06010505070301"),
        bytes.fromhex("06082b06010505070303"),
        ["-OID 1.3.6.1.5.5.7.3.1", "+OID 1.3.6.1.5.5.7.3.3"],
    ),
    "a node of the public key": (
        bytes.fromhex("0203010001"),
        bytes.fromhex("0403010001"),
        ["-INTEGER", "+OCTET STRING"],
    ),
}


@pytest.mark.parametrize(("before", "after", "lines"), CHANGES.values(), ids=CHANGES.keys())
def test_a_node_that_is_changed_is_seen(before: bytes, after: bytes, lines: list[str]) -> None:
    good = ours("2024", "loopback")

    assert changed(list(shape(good)), list(shape(good.replace(before, after, 1)))) == lines


@pytest.mark.parametrize(
    ("forgery", "sign", "line"),
    [
        ("no-subject-alt-name", "-", "OID 2.5.29.17"),
        ("detached", "-", "OCTET STRING"),
        ("extra-signer", "+", "OID 1.2.840.113549.1.1.11"),
    ],
)
def test_a_node_that_is_missing_or_too_many_is_seen(forgery: str, sign: str, line: str) -> None:
    forged = b64decode(attestation(vm(), Setting("2024")).forge(forgery).signature)
    lines = changed(SHAPES[0]["shape"], list(shape(forged)))

    assert f"{sign}{line}" in lines
    assert {line[0] for line in lines} == {sign}
