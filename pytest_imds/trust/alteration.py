"""The steps in the making of a document, each of which a forgery may do in another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm

from pytest_imds.tree import Json
from pytest_imds.trust.authority import Authority, Path
from pytest_imds.trust.certificate import issuer_and_serial
from pytest_imds.trust.deliveries import Delivery
from pytest_imds.trust.document import Document, SignedData, Signer


@dataclass(frozen=True)
class Access:
    """How the issuer's certificate of a leaf is to be had.

    Attributes:
        elsewhere: whether it is on another host than it should be.
        urls: how many URLs the leaf names; None is as many as a good one.
        deliver: what the URL answers, given what it should, the path from the issuer up, the
            authority and the URL elsewhere; None is 404.
    """

    elsewhere: bool = False
    urls: int | None = None
    deliver: Callable[[Delivery, Path, Authority, str], Delivery | None] = lambda good, *_: good


GOOD = Access()


@dataclass(frozen=True)
class Wanted:
    """What a document is asked for with.

    Attributes:
        now: seconds since the epoch.
        version: the api-version.
        nonce: the nonce of the request; None if it had none.
        created: when the document is made out, seconds since the epoch.
        expires: until when it is valid; None is the service's lifetime later.
        changed: members that are not the VM's.
    """

    now: int
    version: str
    nonce: str | None
    created: int
    expires: int | None = None
    changed: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Alteration:
    """What is done to a document on its way; each step returns what goes on."""

    members: Callable[[dict[str, Json], Wanted], dict[str, Json]] | None = None
    text: Callable[[bytes], bytes] | None = None
    path: Callable[[Path], Path] | None = None
    access: Access | None = None
    message: Callable[[SignedData, Path, Authority], SignedData] | None = None
    encoded: Callable[[bytes], bytes] | None = None
    reply: Callable[[Document], Document] | None = None


def signer(
    authority: Authority, path: Path, text: bytes, digest_oid: str, digest: HashAlgorithm | None = None
) -> Signer:
    """Sign ``text`` with the key of the first certificate of ``path``."""
    issuer, serial = issuer_and_serial(authority.certificate(path))
    return Signer(issuer, serial, digest_oid, authority.sign(path[0].key, text, digest or SHA256()))
