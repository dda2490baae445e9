"""Libraries that are not ours judge attested documents, as they come over the wire."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from asn1crypto import cms, pem  # type: ignore[import-untyped]
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError

from pytest_imds import FORGERIES, ImdsServer, data
from pytest_imds.shared import Shared
from pytest_imds.trust.setting import domain
from tests.every import every

TIMEOUT_S = 10
CLOUDS = list(data.read("attested")["domains"]["by_cloud"])
CHAINS = list(data.read("chains"))
VERSIONS = sorted(set(data.read("attested")["members"]["since"].values()))
GOOD = {
    f"{cloud}-{chain}-{version}": ({"cloud": cloud, "chain": chain}, version)
    for cloud in CLOUDS
    for chain in CHAINS
    for version in VERSIONS
} | {f"sha256-{chain}": ({"chain": chain, "digest_oid": "sha256"}, VERSIONS[-1]) for chain in CHAINS}
DIGESTS = tuple(data.read("attested")["digest-oid"]["known"].values())


class Case(NamedTuple):
    """A document, and what a judge needs beside it.

    Attributes:
        document: the PKCS#7 document.
        root: the certificate to trust, in PEM.
        issuers: what the CA Issuers deliver, from the signer's issuer up, in DER.
        names: the domain, and that of the VM's region.
    """

    document: bytes
    root: bytes
    issuers: tuple[bytes, ...]
    names: tuple[str, str]


def get(url: str, **headers: str) -> bytes:
    """What a URL answers; nothing if that is no 200. A redirect is not followed."""
    where = urlsplit(url)
    connection = HTTPConnection(str(where.hostname), where.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", url.removeprefix(f"http://{where.netloc}"), headers=headers)
        response = connection.getresponse()
        return response.read() if response.status == 200 else b""
    finally:
        connection.close()


def signers_certificate(document: bytes) -> Any:
    return cms.ContentInfo.load(document)["content"]["certificates"][0].chosen


def issuers(below: Any) -> Iterator[bytes]:
    """What the CA Issuers of a certificate deliver, if it is DER, and those of its issuer, up to the root."""
    for method in below.authority_information_access_value or ():
        if method["access_method"].native == "ca_issuers":
            body = get(method["access_location"].chosen.contents.decode())
            if body.startswith(b"\x30"):
                yield body
                yield from issuers(asn1_x509.Certificate.load(body))
                return


def case(server: ImdsServer, version: str) -> Case:
    url = f"{server.url}/metadata/attested/document?api-version={version}&nonce=1234567890"
    document = b64decode(json.loads(get(url, Metadata="true"))["signature"])
    try:
        delivered = tuple(issuers(signers_certificate(document)))
    except (ValueError, TypeError):  # there is no certificate, or nothing that can be read
        delivered = ()
    of_cloud = domain(server.vm.cloud)
    return Case(document, server.attestation.root_pem, delivered, (of_cloud, f"{server.vm.location}.{of_cloud}"))


def by_asn1crypto(case: Case) -> None:
    """Judge the structure, read strictly, and the signature over the content."""
    info = cms.ContentInfo.load(case.document, strict=True)
    assert info.native["content_type"] == "signed_data"  # this reads every part, however deep
    signed = info["content"]
    (certificate,), (signer,) = signed["certificates"], signed["signer_infos"]
    leaf, named = certificate.chosen, signer["sid"].chosen
    if (named["issuer"].dump(), named["serial_number"].native) != (leaf.issuer.dump(), leaf.serial_number):
        raise ValueError("the certificate is not the signer's")
    digests = {one["algorithm"].dotted for one in (*signed["digest_algorithms"], signer["digest_algorithm"])}
    if not digests <= set(DIGESTS):
        raise ValueError(f"digests {digests}")
    content = signed["encap_content_info"]["content"].native
    if content is None:
        raise ValueError("no content")
    key = load_der_public_key(leaf.public_key.dump())
    assert isinstance(key, RSAPublicKey)
    key.verify(signer["signature"].native, content, PKCS1v15(), SHA256())


def by_certvalidator(case: Case) -> None:
    """Judge the chain and the purpose."""
    root = asn1_x509.Certificate.load(pem.unarmor(case.root)[2])
    context = ValidationContext(trust_roots=[root], allow_fetching=False)
    given = [asn1_x509.Certificate.load(issuer) for issuer in case.issuers]
    validator = CertificateValidator(signers_certificate(case.document), given, context)
    asyncio.run(validator.async_validate_usage({"digital_signature"}, {"server_auth"}))  # type: ignore[no-untyped-call]


def by_cryptography(case: Case) -> None:
    """Judge the chain, the purpose and the names, as a client of TLS does."""
    builder = PolicyBuilder().store(Store(x509.load_pem_x509_certificates(case.root)))
    leaf = x509.load_der_x509_certificate(signers_certificate(case.document).dump())
    given = [x509.load_der_x509_certificate(issuer) for issuer in case.issuers]
    for name in case.names:
        builder.build_server_verifier(x509.DNSName(name)).verify(leaf, given)


class Judge(NamedTuple):
    """A judge, what it raises, and what it has to refuse: names of forgeries or of checks."""

    judge: Callable[[Case], None]
    raises: tuple[type[Exception], ...]
    refuses: Collection[str]


CHAIN = ("chain", "ca", "time", "aia-not-found", "aia-html", "aia-pem", "aia-pkcs7", "aia-redirect", "no-aia")
SHAPE = ("no-certificates", "detached", "truncated", "garbage")
NAMES = ("name-suffix", "name-prefix", "wrong-subject-alt-name", "no-subject-alt-name", "other-cloud")
JUDGES = {
    "asn1crypto": Judge(
        by_asn1crypto,
        (ValueError, InvalidSignature),
        ("signature", "signer", "signers", "digest", "trailing", *SHAPE),
    ),
    "pyhanko-certvalidator": Judge(by_certvalidator, (PathError, ValidationError), (*CHAIN, "purpose")),
    "cryptography": Judge(by_cryptography, (VerificationError,), (*CHAIN, *NAMES, "purpose", "end-entity")),
}
# What node-forge and node:crypto have to refuse; the common name is compared as well. Certificates are counted, signers
# are not: a second signer without a certificate passes.
NODE_REFUSES = (
    *(*CHAIN, *SHAPE, "signature", "signer", "no-signers", "extra-signer-certified", "trailing"),
    *("name-suffix", "wrong-common-name"),
)


def refused(by: Collection[str]) -> list[str]:
    return [name for name, forgery in FORGERIES.items() if {name, forgery.must_check} & set(by)]


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    """All documents that are judged, by their names."""
    shared, made = Shared(), dict[str, Case]()
    for name, (knobs, version) in GOOD.items():
        with ImdsServer(seed="judges", shared=shared, **knobs) as server:
            made[name] = case(server, version)
    with ImdsServer(seed="judges", shared=shared) as server:
        for name in refused({*NODE_REFUSES, *(each for judge in JUDGES.values() for each in judge.refuses)}):
            server.attestation.serve(name)
            made[name] = case(server, VERSIONS[-1])
    return made


@every("judge", JUDGES.values())
@every("name", GOOD)
def test_a_good_document_passes(judge: Judge, name: str, cases: dict[str, Case]) -> None:
    judge.judge(cases[name])


@pytest.mark.parametrize(
    ("judge", "name"),
    [pytest.param(judge, name, id=f"{by}-{name}") for by, judge in JUDGES.items() for name in refused(judge.refuses)],
)
def test_a_forgery_is_refused(judge: Judge, name: str, cases: dict[str, Case]) -> None:
    with pytest.raises(judge.raises):
        judge.judge(cases[name])


@pytest.fixture(scope="module")
def by_node(cases: dict[str, Case]) -> dict[str, str | None]:
    """Why node-forge and node:crypto refuse a document; None if they accept it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = Path(__file__).with_name("judge.mjs")
    look = [node, "-e", "require.resolve('node-forge')"]
    found = subprocess.run(look, cwd=script.parent, capture_output=True, timeout=TIMEOUT_S)
    if found.returncode:
        pytest.skip("node finds no node-forge; NODE_PATH says where it is")
    asked = [
        {
            "signature": b64encode(case.document).decode(),
            "root": case.root.decode(),
            "issuers": [b64encode(issuer).decode() for issuer in case.issuers],
            "domain": case.names[0],
        }
        for case in cases.values()
    ]
    told = subprocess.run(
        [node, script], input=json.dumps(asked).encode(), check=True, capture_output=True, timeout=TIMEOUT_S
    )
    return dict(zip(cases, json.loads(told.stdout), strict=True))


@every("name", GOOD)
def test_a_good_document_passes_node_forge(name: str, by_node: dict[str, str | None]) -> None:
    assert by_node[name] is None


@every("name", refused(NODE_REFUSES))
def test_a_forgery_is_refused_by_node_forge(name: str, by_node: dict[str, str | None]) -> None:
    assert by_node[name] is not None
