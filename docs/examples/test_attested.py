"""A verifier of attested documents, and the proof that it refuses every forgery. The clients are requests."""

from __future__ import annotations

import json
import re
import secrets
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any, cast

import pytest
import requests
from asn1crypto import cms  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from pytest_imds import Forgery, ImdsServer

Json = Mapping[str, Any]
# The service names its digest by the first of these; it is an OID of signatures, and the second would be right.
SHA256_OIDS, WEAK = ("1.2.840.113549.1.1.11", "2.16.840.1.101.3.4.2.1"), {"1.3.14.3.2.26": SHA1()}
URL_SAFE = str.maketrans("-_", "+/")
TIME, LIFETIME, SKEW = "%m/%d/%y %H:%M:%S %z", timedelta(hours=6), timedelta(minutes=2)
TIMEOUT_S, LONGEST_CHAIN, LONGEST_CERTIFICATE = 0.2, 6, 1 << 16
NO_AUTHORITY = x509.BasicConstraints(ca=False, path_length=None)


class Untrusted(Exception):
    """The document proves nothing; the message begins with the check that it fails."""


def require(check: str, holds: object) -> None:
    if not holds:
        raise Untrusted(check)


@contextmanager
def refused(check: str) -> Iterator[None]:
    """Make whatever goes wrong in the block a refusal."""
    try:
        yield
    except Untrusted:
        raise
    except Exception as error:
        raise Untrusted(f"{check}: {error!r}") from error


class Downloads(requests.Session):
    """Asks one server alone, whatever URL a certificate or a redirect names."""

    def __init__(self, server: str) -> None:
        super().__init__()
        self.server, self.trust_env = server, False

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        require("aia-host", str(request.url).startswith(f"{self.server}/"))
        return super().send(request, **options)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    require("members", len(dict(pairs)) == len(pairs))
    return dict(pairs)


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType], absent: object = ()) -> Any:
    return next((one.value for one in certificate.extensions if isinstance(one.value, kind)), absent)


def issuers(leaf: x509.Certificate, root: x509.Certificate, server: str) -> list[x509.Certificate]:
    """Download the certificates between a leaf and the root; each names the URL of the next."""
    chain = [leaf]
    with Downloads(server) as session:
        while chain[-1].issuer != root.subject and len(chain) < LONGEST_CHAIN:
            access = extension(chain[-1], x509.AuthorityInformationAccess)
            urls = [
                one.access_location.value
                for one in access
                if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS
            ]
            body = b""
            with session.get(urls[0], timeout=TIMEOUT_S, stream=True) as response:
                response.raise_for_status()
                for part in response.iter_content(LONGEST_CERTIFICATE):
                    body += part
                    require("aia-size", len(body) <= LONGEST_CERTIFICATE)
            chain.append(x509.load_der_x509_certificate(body))
    return [*chain[1:], root]


def verify(reply: Json, *, nonce: str, vm: Json, root_pem: bytes, domain: str, aia: str) -> dict[str, Any]:
    """Return what the service has signed about ``vm``, or raise Untrusted."""
    now, root = datetime.now(timezone.utc), x509.load_pem_x509_certificate(root_pem)
    with refused("structure"):  # anybody may have written what is read here
        require("encoding", reply["encoding"] == "pkcs7" and re.fullmatch("[A-Za-z0-9+/]*={0,2}", reply["signature"]))
        encoded = b64decode(reply["signature"].translate(URL_SAFE))
        info = cms.ContentInfo.load(encoded)
        require("trailing", len(info.dump()) == len(encoded))
        signed = info["content"]
        text = bytes(signed["encap_content_info"]["content"].native)
        certificates = [x509.load_der_x509_certificate(one.dump()) for one in signed["certificates"]]
        leaf = certificates[0]
        require("signers", len(signed["signer_infos"]) == 1)
        for signer in list(signed["signer_infos"])[:1]:
            serial, oid = signer["sid"].chosen["serial_number"].native, signer["digest_algorithm"]["algorithm"].dotted
            (signed_by,) = [one for one in certificates if one.serial_number == serial]
            require("signer", signed_by == leaf)
            require("digest", oid in SHA256_OIDS)
            with refused("signature"):
                key = cast(RSAPublicKey, signed_by.public_key())
                key.verify(signer["signature"].native, text, PKCS1v15(), WEAK.get(oid, SHA256()))
        common_names = [name.value for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        names = [name.value for name in extension(leaf, x509.SubjectAlternativeName) if isinstance(name, x509.DNSName)]
        require("name", common_names == [domain] and any(f".{name}".endswith(f".{domain}") for name in names))
        require("end-entity", not extension(leaf, x509.BasicConstraints, NO_AUTHORITY).ca)
        require("purpose", ExtendedKeyUsageOID.SERVER_AUTH in extension(leaf, x509.ExtendedKeyUsage))
        content = {**json.loads(text, object_pairs_hook=unique)}
        created, expires = (datetime.strptime(content["timeStamp"][on], TIME) for on in ("createdOn", "expiresOn"))
    with refused("intermediate"):  # so may what is downloaded here
        chain = [leaf, *issuers(leaf, root, aia)]
        for depth, (below, issuer) in enumerate(pairwise(chain)):
            with refused("chain"):
                below.verify_directly_issued_by(issuer)
            limits = extension(issuer, x509.BasicConstraints, NO_AUTHORITY)
            require("ca", limits.ca and (limits.path_length is None or depth <= limits.path_length))
        require("time", all(one.not_valid_before_utc <= now <= one.not_valid_after_utc for one in chain))
    require("document-time", now - LIFETIME <= created <= now + SKEW and now < expires)
    require("nonce", content.get("nonce") == nonce)
    require("vm", vm.items() <= content.items())
    return content


def ask(imds: str, nonce: str) -> dict[str, str]:
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the environment must not see this request
        reply = session.get(
            f"{imds}/metadata/attested/document",
            params={"api-version": "2025-04-07", "nonce": nonce},
            headers={"Metadata": "true"},
            timeout=5,
        )
    reply.raise_for_status()
    document: dict[str, str] = reply.json()
    return document


def attested(server: ImdsServer, domain: str = "metadata.azure.com") -> dict[str, Any]:
    """Ask for a document as a client does, and verify it as a server does."""
    nonce, vm = secrets.token_urlsafe(24), server.vm
    return verify(
        ask(server.url, nonce),
        nonce=nonce,
        vm={"vmId": vm.vm_id, "subscriptionId": vm.subscription_id, "licenseType": vm.license_type},
        root_pem=server.attestation.root_pem,
        domain=domain,
        aia=server.url,
    )


def test_a_good_document_is_trusted(imds_server: ImdsServer) -> None:
    # Catches a verifier whose library does not know the digest algorithm that the service names.
    assert attested(imds_server)["vmId"] == imds_server.vm.vm_id


@pytest.mark.imds(chain="2026")
def test_the_chain_may_have_one_authority_more(imds_server: ImdsServer) -> None:
    # Catches a verifier that downloads one issuer's certificate, or expects one URL.
    assert attested(imds_server)["vmId"] == imds_server.vm.vm_id


@pytest.mark.imds(cloud="AzureUSGovernmentCloud")
def test_each_cloud_has_a_domain_of_its_own(imds_server: ImdsServer) -> None:
    # Catches a verifier that trusts the documents of every cloud.
    assert attested(imds_server, "metadata.azure.us")["vmId"] == imds_server.vm.vm_id
    with pytest.raises(Untrusted, match=r"^name"):
        attested(imds_server)


def test_no_forgery_is_trusted(imds_server: ImdsServer, imds_forgery: Forgery) -> None:
    # Catches a verifier without the check that the forgery names.
    imds_server.attestation.serve(imds_forgery)
    with pytest.raises(Untrusted, match=f"^{imds_forgery.must_check}\\b"):
        attested(imds_server)
